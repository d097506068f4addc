"""What every script does around its `main`: flags, quiet start of TensorFlow, errors as one sentence."""
import math
import os
import sys
import threading
import warnings

from absl import app as absl_app
from absl import flags, logging

from cli import console
from common.errors import UserError, op_error_message

_TRACEBACK = 'SSD_TRACEBACK'
_FULL = ('No space left on device', 'Disk quota exceeded', 'File too large')


def run(main, check, takes_arguments=False):
    """Parses the flags, calls `check()`, loads TensorFlow, calls `main()`, and exits with what that returns.

    check: refuses what is wrong without TensorFlow, so within a moment; where it returns a number, the program
    ends with that. With `takes_arguments` both get the list of arguments that are no flags. A UserError, or an
    error of the operating system, ends the program with one sentence and code 2.
    """
    def guarded(arguments):
        try:
            if len(arguments) > 1 and not takes_arguments:
                raise UserError(f"'{arguments[1]}' is no flag; flags are given as --name=value")
            positional = [arguments[1:]] if takes_arguments else []
            exit_code = check(*positional)
            if exit_code is not None:
                return exit_code
            _start_tensorflow()
            return main(*positional)
        except UserError as error:
            return _fail(str(error), error.exit_code)
        except OSError as error:
            advice = '; make room and start the same command again' if _is_full(error) else ''
            return _fail((f'{error.filename}: {error.strerror}' if error.filename else str(error)) + advice)
        except KeyboardInterrupt:
            return _fail('interrupted', 130)
        except Exception as error:
            if _TRACEBACK in os.environ or not _is_tensorflow_error(error):
                raise
            return _fail(_sentence(error))

    console.set_up()
    if _TRACEBACK not in os.environ:
        threading.excepthook = _thread_failed
    absl_app.run(guarded, flags_parser=_parse)


def _thread_failed(failure):
    """Says nothing of a full disk: the thread that writes summaries hands that error on to the main one."""
    if not _is_full(failure.exc_value):
        threading.__excepthook__(failure)


def _parse(arguments):
    try:
        left = flags.FLAGS(arguments)
    except flags.Error as error:
        sys.exit(_fail(f'{error}; --help lists the flags'))
    for flag in flags.FLAGS:   # bounds do not stop NaN
        value = flags.FLAGS[flag].value
        if isinstance(value, float) and not math.isfinite(value):
            sys.exit(_fail(f'--{flag}={value} is no finite number'))
    return left


def _fail(sentence, code=2):
    console.print_error(sentence)
    return code


def _is_tensorflow_error(error):
    """Whether it comes from running a graph (data, memory, disk), and not from building one."""
    import tensorflow.compat.v1 as tf
    return isinstance(error, tf.errors.OpError) or _is_full(error)   # summary writers raise plain errors


def _is_full(error):
    return any(text in str(error) for text in _FULL)


def _sentence(error):
    import tensorflow.compat.v1 as tf
    what = op_error_message(error) if isinstance(error, tf.errors.OpError) else str(error)
    if _is_full(error):
        return f'the disk is full ({what}); make room and start the same command again'
    if isinstance(error, tf.errors.ResourceExhaustedError) and 'space' not in what:
        what = f'out of memory: pass a smaller --batch_size ({what})'
    return f'TensorFlow: {what[:600]} (with {_TRACEBACK}=1 in the environment the whole traceback is shown)'


def require_flags(values, *names):
    """UserError for the first of these flags that is not given."""
    for name in names:
        if not getattr(values, name):
            raise UserError(f'--{name} is required; --help says what it is')


def _start_tensorflow():
    """Imports TensorFlow in the TF1 way: graph mode, no chatter."""
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')   # its C++ errors come as exceptions too
    # TensorFlow's own default leaves it off on processors without AVX512_VNNI, where it trains 1.7 times as fast too.
    os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '1')
    for chatter in ('.*layer.apply.*', '.*closed FileWriter.*'):
        warnings.filterwarnings('ignore', message=chatter)
    with QuietStderr():
        import tensorflow.compat.v1 as tf
    tf.disable_eager_execution()
    tf.logging.set_verbosity(tf.logging.ERROR)
    logging.set_verbosity(logging.ERROR)


class QuietStderr:
    """Drops what C++ code writes to file descriptor 2: notes on the processor, and the like."""

    def __enter__(self):
        sys.stderr.flush()
        self._kept = os.dup(2)
        with open(os.devnull, 'w') as nowhere:
            os.dup2(nowhere.fileno(), 2)

    def __exit__(self, *error):
        os.dup2(self._kept, 2)
        os.close(self._kept)

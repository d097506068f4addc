"""Entry point of all scripts: flag parsing, a quiet TensorFlow start, one-line errors."""
import atexit
import faulthandler
import math
import os
import shutil
import sys
import tempfile
import threading
import warnings

from absl import app as absl_app
from absl import flags, logging

from cli import console, flag_help
from common.errors import UserError, op_error_message
from common.native_stderr import suppress_native_stderr

_TRACEBACK_VARIABLE = 'SSD_TRACEBACK'
# Message of the operating system -> (problem, remedy).
_DISK_FULL = 'the disk is full', 'Free some space and run the same command again'
_WRITE_ERRORS = {
    'No space left on device': _DISK_FULL,
    'Disk quota exceeded': _DISK_FULL,
    'File too large': ('a file would exceed the largest size', 'Raise the limit (ulimit -f), or '
                       'write to another file system')}


def run(main, check, takes_arguments=False):
    """Run a script: parse the flags, call `check`, import TensorFlow, call `main`, exit.

    A `UserError`, an OSError, an error of a TensorFlow op and Ctrl-C are printed as one line,
    without a traceback. The exit code is that of the `UserError`, 130 after Ctrl-C, otherwise 2.

    Args:
        main: Function that returns the exit code, or None for 0.
        check: Function that raises `UserError` for errors that can be found without TensorFlow,
            whose import takes seconds. If it returns a number, the script exits with it at once.
        takes_arguments: Whether positional arguments are allowed. `check` and `main` then get
            them as a list.
    """
    def run_main(arguments):
        try:
            if len(arguments) > 1 and not takes_arguments:
                raise UserError(f"'{arguments[1]}' is not a flag. Write flags as --name=value")
            positional = [arguments[1:]] if takes_arguments else []
            exit_code = check(*positional)
            if exit_code is not None:
                return exit_code
            import_tensorflow()
            return main(*positional)
        except UserError as error:
            return _fail(str(error), error.exit_code)
        except OSError as error:
            return _fail(_os_error_message(error))
        except KeyboardInterrupt:
            return _fail('interrupted', 130)
        except Exception as error:
            if _TRACEBACK_VARIABLE in os.environ or not _is_runtime_error(error):
                raise
            return _fail(_runtime_error_message(error))

    console.set_up()
    _ensure_home()
    faulthandler.enable(file=2)   # shows where a crash of native code happened
    if _TRACEBACK_VARIABLE not in os.environ:
        threading.excepthook = _report_thread_error
    absl_app.run(run_main, flags_parser=_parse_flags)


def require_flags(values, *names):
    """Raise a `UserError` for the first of these flags that is not set.

    Args:
        values: Parsed flags, or another object with the flags as attributes.
        *names: Names of the required flags.
    """
    for name in names:
        if not getattr(values, name):
            raise UserError(f'--{name} is required. See --help')


def _ensure_home():
    """Set HOME to a temporary folder if this user has no home, as users of containers may.

    Libraries such as matplotlib fail without one.
    """
    if os.path.expanduser('~') == '~':   # neither HOME nor an entry in the user database
        os.environ['HOME'] = tempfile.mkdtemp(prefix='home-')
        atexit.register(shutil.rmtree, os.environ['HOME'], ignore_errors=True)


def _parse_flags(arguments):
    """Parse the command line and return the positional arguments, with the program name first."""
    flag_help.define_help_flags()
    try:
        positional = flags.FLAGS(arguments)
    except flags.Error as error:
        sys.exit(_fail(f'{error}; --help lists the flags'))
    for name in flags.FLAGS:   # NaN passes the bounds of absl
        value = flags.FLAGS[name].value
        if isinstance(value, float) and not math.isfinite(value):
            sys.exit(_fail(f'--{name}={value} is not a finite number'))
    return positional


def import_tensorflow():
    """Import TensorFlow in graph mode, without its log messages, and with oneDNN.

    `run` calls it before `main`. A `check` that needs TensorFlow has to call it first.
    """
    # C++ errors also arrive as exceptions.
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
    # By default, TensorFlow disables oneDNN on processors without AVX512_VNNI, but training is
    # 1.7 times as fast with oneDNN there too.
    os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '1')
    for message in ('.*layer.apply.*', '.*closed FileWriter.*'):
        warnings.filterwarnings('ignore', message=message)
    with suppress_native_stderr():
        import tensorflow.compat.v1 as tf
    tf.disable_eager_execution()
    tf.logging.set_verbosity(tf.logging.ERROR)
    logging.set_verbosity(logging.ERROR)


def _fail(message, exit_code=2):
    console.print_error(message)
    return exit_code


def _report_thread_error(args):
    """Print the traceback of an error in a thread, except if the disk is full.

    The thread that writes summaries also passes that error to the main thread, which prints it.
    """
    if not _write_error(args.exc_value):
        threading.__excepthook__(args)


def _is_runtime_error(error):
    """Return whether running the graph failed (data, memory, disk), and not building it."""
    import tensorflow.compat.v1 as tf
    # Summary writers raise other exceptions if the disk is full.
    return isinstance(error, tf.errors.OpError) or bool(_write_error(error))


def _write_error(error):
    """Return (problem, remedy) if an error says that the disk is full, otherwise None."""
    return next((problem_and_remedy for message, problem_and_remedy in _WRITE_ERRORS.items()
                 if message in str(error)), None)


def _os_error_message(error):
    message = f'{error.filename}: {error.strerror}' if error.filename else str(error)
    write_error = _write_error(error)
    return f'{message}. {write_error[1]}' if write_error else message


def _runtime_error_message(error):
    import tensorflow.compat.v1 as tf
    message = op_error_message(error) if isinstance(error, tf.errors.OpError) else str(error)
    write_error = _write_error(error)
    if write_error:
        problem, remedy = write_error
        return f'{problem} ({message}). {remedy}'
    if isinstance(error, tf.errors.ResourceExhaustedError) and 'space' not in message:
        message = f'out of memory ({message[:500]}). Pass a smaller --batch_size'
    return f'TensorFlow: {message[:600]} (set {_TRACEBACK_VARIABLE}=1 to see the traceback)'

"""Small files that are there whole or not at all."""
import contextlib
import json
import os

from common.errors import UserError
from common.log import log


def partial_name(path):
    """What a file is called that is kept though it is not whole: a/b.mp4 -> a/b.partial.mp4."""
    stem, ending = os.path.splitext(path)
    return f'{stem}.partial{ending}'


def make_folder(path, flag):
    """Makes a folder to write to; UserError that names the flag where that cannot be. To be asked before the work."""
    try:
        os.makedirs(path, exist_ok=True)
        reason = None if os.access(path, os.W_OK | os.X_OK) else 'not writable'
    except OSError as error:
        reason = error.strerror
    if reason:
        raise UserError(f'{path} cannot be written to ({reason}); choose another --{flag}')


@contextlib.contextmanager
def named(path):
    """Errors of writing (a full disk) do not say which file they are about: within this they name `path`."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or path
        raise


def write_atomically(path, content):
    """Writes a file of text or bytes under another name first, so that no half of it is ever seen."""
    partial = f'{path}.{os.getpid()}.partial'
    kind = {'mode': 'wb'} if isinstance(content, bytes) else {'mode': 'w', 'encoding': 'utf-8'}
    try:
        with named(path), open(partial, **kind) as file:
            file.write(content)
        os.replace(partial, path)
    finally:
        if os.path.exists(partial):
            os.remove(partial)


def write_json(path, content):
    """Writes what `json` can, indented."""
    write_atomically(path, json.dumps(content, indent=2) + '\n')


@contextlib.contextmanager
def filled_json(path, what):
    """A dict to fill within `with`, which is written at its end.

    Where an error or Ctrl-C ends it, what the dict holds is kept as `partial_name`, and the log says so. what: its keys
    are, for the log.
    """
    content, partial = {}, partial_name(path)
    try:
        yield content
    except BaseException:
        if content:
            try:
                write_json(partial, content)
                log.info('what was found in the first %d %s is kept in %s', len(content), what, partial)
            except OSError as error:
                log.info('%d %s were done, but %s cannot be written (%s)', len(content), what, partial, error.strerror)
        raise
    write_json(path, content)
    if os.path.exists(partial):   # of a run before
        os.remove(partial)


def read_json(path, advice):
    """The content of a JSON file, None where there is none; UserError with the advice where it is broken."""
    if not os.path.exists(path):
        return None
    try:
        with open(path, encoding='utf-8') as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        raise UserError(f'{path} cannot be read ({error}); {advice}') from error

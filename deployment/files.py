"""Small files that are there whole or not at all."""
import contextlib
import json
import os

from deployment.errors import UserError


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


def read_json(path, advice):
    """The content of a JSON file, None where there is none; UserError with the advice where it is broken."""
    if not os.path.exists(path):
        return None
    try:
        with open(path, encoding='utf-8') as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        raise UserError(f'{path} cannot be read ({error}); {advice}') from error

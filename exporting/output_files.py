"""Atomic output of exported files and folders."""
import contextlib
import os
import shutil
import tempfile

from common.errors import UserError


def check_overwrite(paths, overwrite):
    """Raise UserError if `overwrite` is false and a path exists."""
    existing = [path for path in paths if os.path.lexists(path)]
    if existing and not overwrite:
        raise UserError(f'{", ".join(existing)} already exists. Pass --overwrite to replace it, or '
                        f'choose another --output_dir')


@contextlib.contextmanager
def atomic_output(path):
    """Yield a temporary path for a file or a folder, and rename it to `path` on success.

    An existing output is replaced on success and kept after an error. The temporary path is in a
    hidden folder in the same directory, which is removed at the end. An OSError names `path`, also
    if it had no file name, as that of `write`.
    """
    folder, name = os.path.split(path)
    temporary_folder = tempfile.mkdtemp(prefix='.unfinished-', dir=folder)
    try:
        temporary_path = os.path.join(temporary_folder, name)
        yield temporary_path
        _replace(temporary_path, path, os.path.join(temporary_folder, 'previous'))
    except OSError as error:
        if not error.filename or str(error.filename).startswith(temporary_folder):
            error.filename = path
        raise
    finally:
        shutil.rmtree(temporary_folder, ignore_errors=True)


def _replace(source, target, backup):
    """Rename `source` to `target`. If that fails, a folder `target` is restored from `backup`."""
    try:
        if os.path.isdir(target):   # `os.replace` replaces empty folders only
            os.replace(target, backup)
        os.replace(source, target)
    except BaseException:
        if os.path.exists(backup) and not os.path.exists(target):
            os.replace(backup, target)
        raise


def total_bytes(path):
    """Return the size in bytes of a file, or of all files in a folder."""
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(folder, name))
               for folder, _, names in os.walk(path) for name in names)

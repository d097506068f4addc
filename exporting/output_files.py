"""Output that is there whole or not at all: files and folders alike."""
import contextlib
import os
import shutil
import tempfile

from common.errors import UserError


def check_overwrite(paths, overwrite):
    """UserError where one of the paths is taken and shall not be overwritten."""
    taken = [path for path in paths if os.path.lexists(path)]
    if taken and not overwrite:
        raise UserError(f'{", ".join(taken)} is there already; pass --overwrite to replace it, or choose another '
                        f'--output_dir')


@contextlib.contextmanager
def atomic_output(path):
    """A path to write a file or a folder to, which takes the place of `path` when the block has ended well."""
    folder, name = os.path.split(path)
    hidden = tempfile.mkdtemp(prefix='.unfinished-', dir=folder)
    try:
        made = os.path.join(hidden, name)
        yield made
        before = os.path.join(hidden, 'before')
        try:
            if os.path.isdir(path):   # a folder gives way to none but an empty one
                os.replace(path, before)
            os.replace(made, path)
        except BaseException:
            if os.path.exists(before) and not os.path.exists(path):
                os.replace(before, path)
            raise
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def total_bytes(path):
    """Bytes of a file, or of all files in a folder."""
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in names)

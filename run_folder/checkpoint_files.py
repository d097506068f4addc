"""Names of TensorFlow checkpoints on disk. Does not import TensorFlow."""
import glob
import os
import re

from common.errors import UserError


def check_path(path):
    """Check that TensorFlow, which globs the paths of checkpoints, can read one from this path.

    Raises:
        UserError: If the path contains brackets or backslashes.
    """
    if any(letter in path for letter in '[]\\'):
        raise UserError(f"TensorFlow cannot read checkpoints from a path with brackets or "
                        f"backslashes, such as '{path}'. Choose another name, or rename the folder")


def list_checkpoints(folder):
    """Return the prefixes of all checkpoints `model.ckpt-<step>` in a folder, the latest first.

    Does not read the folder's checkpoint list. Includes checkpoints that lack one of their files,
    so that their reader can report it.
    """
    matches = [re.fullmatch(r'model\.ckpt-(\d+)\.(index|data-\d+-of-\d+)', os.path.basename(path))
               for path in glob.glob(os.path.join(glob.escape(folder), 'model.ckpt-*'))]
    steps = sorted({int(match.group(1)) for match in matches if match}, reverse=True)
    return [os.path.join(folder, f'model.ckpt-{step}') for step in steps]


def list_any_checkpoints(folder):
    """Return the prefixes of all checkpoints in a folder, whatever their names, sorted."""
    index_files = glob.glob(os.path.join(glob.escape(folder), '*.index'))
    return sorted(path.removesuffix('.index') for path in index_files)


def step_of(prefix):
    """Return the step in the name of a checkpoint `model.ckpt-<step>`, an int; 0 without one."""
    digits = prefix.rpartition('-')[2]
    return int(digits) if digits.isdecimal() else 0

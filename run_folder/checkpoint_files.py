"""Names of TensorFlow checkpoints on disk. Does not import TensorFlow."""
import glob
import os
import re

from common.errors import UserError


def check_path(path):
    """Raise UserError for a path that TensorFlow cannot read checkpoints from, because it globs the path."""
    if any(letter in path for letter in '[]\\'):
        raise UserError(f"TensorFlow reads no checkpoint from a path with brackets or backslashes such as '{path}'; "
                        f'choose another name, or rename the folder')


def list_checkpoints(folder):
    """Return the prefixes of all checkpoints `model.ckpt-<step>` in a folder, the latest first.

    The folder's list of checkpoints is not read. A checkpoint that has lost one of its files is included, so that
    its reader can report it.
    """
    matches = [re.fullmatch(r'model\.ckpt-(\d+)\.(index|data-\d+-of-\d+)', os.path.basename(path))
               for path in glob.glob(os.path.join(glob.escape(folder), 'model.ckpt-*'))]
    steps = sorted({int(match.group(1)) for match in matches if match}, reverse=True)
    return [os.path.join(folder, f'model.ckpt-{step}') for step in steps]


def list_any_checkpoints(folder):
    """Return the prefixes of all checkpoints in a folder, whatever their names, sorted."""
    return sorted(path[:-len('.index')] for path in glob.glob(os.path.join(glob.escape(folder), '*.index')))


def step_of(prefix):
    """Return the step in the name of a checkpoint `model.ckpt-<step>`, an int; 0 if the name has none."""
    digits = prefix.rpartition('-')[2]
    return int(digits) if digits.isdigit() else 0

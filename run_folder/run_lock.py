"""The lock of a run folder: one training per `train_dir`."""
import contextlib
import fcntl
import os
import time

from common.errors import UserError

_LOCK_FILE = '.lock'
_RETRY_SECS = (.05, .1, .2)   # longer in sum than `is_locked` holds its shared lock


def acquire(folder, activity='training', advice='Wait for it, or choose another --train_dir'):
    """Create the folder and lock it for this process.

    Args:
        folder: the folder to lock.
        activity: the activity of this process, for the error that the next process gets.
        advice: the remedy that the error names.

    Returns:
        The open lock file. The lock ends when it is closed, also when the process is killed.

    Raises:
        UserError: If another process holds the lock.
    """
    os.makedirs(folder, exist_ok=True)
    file = open(os.path.join(folder, _LOCK_FILE), 'a+')   # noqa: SIM115 - stays open for the whole run
    if not _try_lock(file):
        file.seek(0)
        process = file.read().strip() or 'unknown'
        raise UserError(f'{folder} is in use by another {activity} (process {process}). {advice}')
    file.truncate(0)
    file.write(f'{os.getpid()}\n')
    file.flush()
    return file


def _try_lock(file):
    """Lock an open file; return False if another process still holds the lock after all retries."""
    for wait in (*_RETRY_SECS, None):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if wait:
            time.sleep(wait)
    return False


def is_locked(folder):
    """Return whether a running process holds the lock of the folder."""
    try:
        with open(os.path.join(folder, _LOCK_FILE)) as file:
            # Released at once; `acquire` retries in the meantime.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False

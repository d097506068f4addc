"""The lock of a run folder: one training per `train_dir`.

Both the file `.lock` and the folder are locked: the file may be deleted, and some file systems
cannot lock folders.
"""
import contextlib
import errno
import fcntl
import io
import os
import time

from common.errors import UserError
from common.files import open_output
from common.log import log

_LOCK_FILE = '.lock'
# Errors of file systems without locks, such as some network file systems.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
_RETRY_SECS = (.05, .1, .2)   # longer in sum than `is_locked` holds its shared lock


def acquire(folder, activity='training', advice='Wait for it, or choose another --train_dir'):
    """Create the folder and lock it for this process.

    Args:
        folder: the folder to lock.
        activity: the activity of this process, for the error that the next process gets.
        advice: the remedy that the error names.

    Returns:
        The open lock file. The lock ends when it is closed, also when the process is killed. On a
        file system without locks, the folder is not locked, and the log says so.

    Raises:
        UserError: If another process holds the lock.
    """
    os.makedirs(folder, exist_ok=True)
    file = _LockFile(open_output(os.path.join(folder, _LOCK_FILE), 'ab+'))
    file.folder = os.open(folder, os.O_RDONLY)
    if not (_try_lock_file(file) and _try_lock_folder(file.folder)):
        file.seek(0)
        process = file.read().strip() or 'unknown'
        raise UserError(f'{folder} is in use by another {activity} (process {process}). {advice}')
    file.truncate(0)
    file.write(f'{os.getpid()}\n')
    file.flush()
    return file


class _LockFile(io.TextIOWrapper):
    """The open lock file, and the descriptor of its folder: closing the file closes both."""
    folder = None

    def close(self):
        super().close()
        if self.folder is not None:
            os.close(self.folder)
            self.folder = None


def _try_lock(file):
    """Lock an open file; return False if another process still holds the lock after all retries."""
    for wait in (*_RETRY_SECS, None):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if wait:
            time.sleep(wait)
    return False


def _try_lock_file(file):
    """Lock the open lock file; log a warning and return True if the file system has no locks."""
    try:
        return _try_lock(file)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        log.warning('%s cannot be locked (%s), so a second run in the folder would not be '
                    'rejected', file.name, error.strerror)
        return True


def _try_lock_folder(descriptor):
    """Lock an open folder, so that deleting the lock file does not let a second run in.

    Returns:
        False if another process holds the lock. True also on file systems that lock files only,
        such as NFS.
    """
    try:
        return _try_lock(descriptor)
    except OSError:
        return True


def is_locked(folder):
    """Return whether a running process holds the lock of the folder.

    On a file system without locks: whether the process that last used the folder runs on this
    machine.
    """
    for path in (os.path.join(folder, _LOCK_FILE), folder):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except FileNotFoundError:
            continue
        try:
            # Released at once; `acquire` retries in the meantime.
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError as error:
            if error.errno in _NO_LOCKS and path != folder:
                return _is_running(folder)
            if path != folder:
                raise
        finally:
            os.close(descriptor)
    return False


def _is_running(folder):
    """Return whether the process whose id is in the lock file runs on this machine."""
    with open(os.path.join(folder, _LOCK_FILE)) as file:
        process = file.read().strip()
    try:
        os.kill(int(process), 0)   # sends nothing
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:   # a process of another user
        return True
    return True

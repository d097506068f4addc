import errno
import fcntl
import os
import threading

import pytest

from common.errors import UserError
from run_folder import run_lock


def test_a_locked_folder_cannot_be_locked_again(tmp_path):
    run = str(tmp_path / 'run')
    message = 'in use by another training .process'
    with run_lock.acquire(run), pytest.raises(UserError, match=message):
        run_lock.acquire(run)
    run_lock.acquire(run).close()   # closing the file releases the lock


def test_is_locked(tmp_path):
    run = str(tmp_path / 'run')
    assert not run_lock.is_locked(run)   # the folder does not exist
    with run_lock.acquire(run):
        assert run_lock.is_locked(run) and run_lock.is_locked(run)
    assert not run_lock.is_locked(run)


@pytest.mark.parametrize('number', [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_file_system_without_locks(tmp_path, monkeypatch, caplog, number):
    def flock(*_):
        raise OSError(number, os.strerror(number))
    monkeypatch.setattr('fcntl.flock', flock)
    with caplog.at_level('WARNING', 'ssd'), run_lock.acquire(str(tmp_path)):
        assert run_lock.is_locked(str(tmp_path))   # by this process
    assert f'cannot be locked ({os.strerror(number)}), so a second run' in caplog.text
    (tmp_path / '.lock').write_text('4194304\n')   # above the largest process id of Linux
    assert not run_lock.is_locked(str(tmp_path))


def test_other_errors_of_locking_are_raised(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.EIO, 'Input/output error')
    monkeypatch.setattr('fcntl.flock', flock)
    with pytest.raises(OSError, match='Input/output error'):
        run_lock.acquire(str(tmp_path))


def test_checking_the_lock_does_not_block_acquiring_it(tmp_path):
    with open(tmp_path / '.lock', 'w') as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        threading.Timer(.1, file.close).start()
        run_lock.acquire(str(tmp_path)).close()


def test_the_error_names_the_activity_and_the_advice(tmp_path):
    message = 'by another watch .*. Try again later'
    with run_lock.acquire(str(tmp_path), 'watch'), pytest.raises(UserError, match=message):
        run_lock.acquire(str(tmp_path), 'watch', 'Try again later')


def test_deleting_the_lock_file_does_not_release_the_lock(tmp_path):
    with run_lock.acquire(str(tmp_path)):
        (tmp_path / '.lock').unlink()
        assert run_lock.is_locked(str(tmp_path))
        with pytest.raises(UserError, match='in use by another training .process unknown'):
            run_lock.acquire(str(tmp_path))
    assert not run_lock.is_locked(str(tmp_path))
    run_lock.acquire(str(tmp_path)).close()


def test_a_file_system_that_locks_files_only(tmp_path, monkeypatch):
    def flock_files(file, operation, flock=fcntl.flock):
        if isinstance(file, int):
            raise OSError(errno.EBADF, 'Bad file descriptor')
        flock(file, operation)
    monkeypatch.setattr(run_lock.fcntl, 'flock', flock_files)
    with run_lock.acquire(str(tmp_path)), pytest.raises(UserError, match='in use'):
        run_lock.acquire(str(tmp_path))


def test_a_link_in_place_of_the_lock_file_is_not_followed(tmp_path):
    (tmp_path / 'other').write_text('content')
    (tmp_path / '.lock').symlink_to(tmp_path / 'other')
    with pytest.raises(OSError, match='is a symbolic link, which is not followed'):
        run_lock.acquire(str(tmp_path))
    assert (tmp_path / 'other').read_text() == 'content'

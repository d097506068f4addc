import fcntl
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


def test_checking_the_lock_does_not_block_acquiring_it(tmp_path):
    with open(tmp_path / '.lock', 'w') as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        threading.Timer(.1, file.close).start()
        run_lock.acquire(str(tmp_path)).close()


def test_the_error_names_the_activity_and_the_advice(tmp_path):
    message = 'by another watch .*. Try again later'
    with run_lock.acquire(str(tmp_path), 'watch'), pytest.raises(UserError, match=message):
        run_lock.acquire(str(tmp_path), 'watch', 'Try again later')

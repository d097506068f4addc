import errno
import os
import pathlib

import pytest
import tensorflow.compat.v1 as tf

from cli import app


def test_user_without_a_home_gets_a_temporary_one(monkeypatch):
    def getpwuid(_):
        raise KeyError('uid not found')
    monkeypatch.setattr('pwd.getpwuid', getpwuid)
    monkeypatch.setenv('HOME', '')   # restores the variable after the test
    monkeypatch.delenv('HOME')
    with pytest.raises(RuntimeError):
        pathlib.Path.home()
    app._ensure_home()
    home = pathlib.Path.home()
    assert home.is_dir() and not list(home.iterdir())
    app._ensure_home()
    assert pathlib.Path.home() == home   # a home is kept


@pytest.mark.parametrize('number, problem, remedy', [
    (errno.ENOSPC, 'the disk is full', 'Free some space'),
    (errno.EDQUOT, 'the disk is full', 'Free some space'),
    (errno.EFBIG, 'a file would exceed the largest size', 'Raise the limit (ulimit -f)')])
def test_errors_of_writing_name_the_remedy(number, problem, remedy):
    text = os.strerror(number)
    assert app._os_error_message(OSError(number, text, 'a.bin')).startswith(
        f'a.bin: {text}. {remedy}')
    error = tf.errors.ResourceExhaustedError(None, None, f'a.bin; {text}')
    assert app._runtime_error_message(error).startswith(f'{problem} (a.bin; {text}). {remedy}')

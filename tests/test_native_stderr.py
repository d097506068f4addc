import os

import pytest

from common.native_stderr import suppress_native_stderr


def test_native_stderr_is_suppressed_only_inside_the_context(capfd):
    os.write(2, b'before\n')
    with pytest.raises(RuntimeError), suppress_native_stderr():
        os.write(2, b'inside\n')
        raise RuntimeError
    os.write(2, b'after\n')
    assert capfd.readouterr().err == 'before\nafter\n'

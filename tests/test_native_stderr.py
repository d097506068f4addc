import os
import subprocess
import sys

import pytest
from conftest import ROOT

from common.native_stderr import suppress_native_stderr


def test_native_stderr_is_suppressed_only_inside_the_context(capfd):
    os.write(2, b'before\n')
    with pytest.raises(RuntimeError), suppress_native_stderr():
        os.write(2, b'inside\n')
        raise RuntimeError
    os.write(2, b'after\n')
    assert capfd.readouterr().err == 'before\nafter\n'


@pytest.mark.parametrize('end, code', [('os.abort()', -6), ('os._exit(3)', 3)])
def test_messages_are_shown_if_the_process_ends_inside_the_context(end, code):
    program = (f'import os\nfrom common.native_stderr import suppress_native_stderr\n'
               f'with suppress_native_stderr():\n'
               f'    os.write(2, b"no AVX instructions\\n")\n    {end}\n')
    done = subprocess.run([sys.executable, '-c', program], cwd=ROOT, capture_output=True, text=True,
                          timeout=60, check=False)
    assert (done.returncode, done.stderr) == (code, 'no AVX instructions\n')


def test_abort_of_the_tensorflow_import_is_shown(tmp_path):
    """A fake TensorFlow writes a message and aborts, as the real one does on old processors."""
    package = tmp_path / 'tensorflow'
    package.mkdir()
    (package / '__init__.py').write_text(
        'import os\nos.write(2, b"no AVX instructions\\n")\nos.abort()\n')
    program = ('import sys\nfrom cli import app\nsys.argv = ["train"]\n'
               'app.run(lambda: None, lambda: None)\n')
    done = subprocess.run(
        [sys.executable, '-c', program], cwd=ROOT, capture_output=True, text=True, timeout=60,
        check=False, env={**os.environ, 'PYTHONPATH': f'{tmp_path}:{ROOT}'})
    assert done.returncode == -6
    assert done.stderr.startswith('no AVX instructions\nFatal Python error: Aborted\n')
    assert 'tensorflow/__init__.py", line 3' in done.stderr

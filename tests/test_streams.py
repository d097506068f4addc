import subprocess
import sys

import pytest
from conftest import ROOT

PROGRAM = """
import os, sys
from cli import console
console.set_up()
for number in range(20000):
    console.log.info('step %d', number)
    print('progress', number, file=sys.stderr)
with open(sys.argv[1], 'w') as file:
    file.write(f'done, descriptor {os.open(os.devnull, os.O_RDONLY)}')
"""


def start(tmp_path, redirection='', **options):
    """Start a program that writes to both streams, then 'done, descriptor N' to `tmp_path/done`."""
    command = f'exec "$@" {redirection}'
    return subprocess.Popen(
        ['bash', '-c', command, 'bash', sys.executable, '-c', PROGRAM, tmp_path / 'done'],
        cwd=ROOT, text=True, **options)


@pytest.mark.parametrize('name', ['stdout', 'stderr'])
def test_closed_pipe_does_not_end_the_program(tmp_path, name):
    process = start(tmp_path, **{'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL,
                                 name: subprocess.PIPE})
    pipe = getattr(process, name)
    assert pipe.readline() in ('step 0\n', 'progress 0\n')
    pipe.close()
    assert process.wait(60) == 0 and (tmp_path / 'done').exists()


@pytest.mark.parametrize('redirection', ['<&- >&- 2>&-', '2>&-', '>&-'])
def test_descriptors_that_are_closed_at_the_start(tmp_path, redirection):
    """No file that is opened later gets the descriptor of a standard stream."""
    process = start(tmp_path, redirection, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert process.wait(60) == 0
    assert int((tmp_path / 'done').read_text().removeprefix('done, descriptor ')) > 2


def test_log_on_a_full_disk_does_not_end_the_program(tmp_path):
    process = start(tmp_path, '> /dev/full', stderr=subprocess.DEVNULL)
    assert process.wait(60) == 0 and (tmp_path / 'done').exists()


def test_printed_results_on_a_full_disk_are_an_error():
    program = 'from cli import streams; streams.set_up(); print("result", flush=True)'
    with open('/dev/full', 'w') as full:
        done = subprocess.run([sys.executable, '-c', program], cwd=ROOT, stdout=full,
                              stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode and 'No space left on device' in done.stderr


def test_undecodable_names_are_printed():
    program = r'from cli import streams; streams.set_up(); print("\udcff.jpg", "ä")'
    done = subprocess.run([sys.executable, '-c', program], cwd=ROOT, capture_output=True,
                          env={'PYTHONIOENCODING': 'ascii'}, check=False)
    assert (done.returncode, done.stdout) == (0, rb'\udcff.jpg \xe4' + b'\n')

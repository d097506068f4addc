"""A forked script behaves as one in a new interpreter."""
import signal
import subprocess

import pytest

import scripts

PROGRAM = '''
import atexit, os, sys, time
from absl import app, flags

flags.DEFINE_enum('mode', 'return', ['return', 'raise', 'sleep'], 'What main does.')


def main(arguments):
    atexit.register(print, 'atexit')
    if flags.FLAGS.mode == 'raise':
        raise ValueError('told to')
    if flags.FLAGS.mode == 'sleep':
        print('sleeping', flush=True)
        time.sleep(60)
    key_flags = [flag.name for flag in flags.FLAGS.get_key_flags_for_module(sys.argv[0])]
    print(sys.argv, arguments[1:], key_flags, __file__, sys.path[0], os.getcwd(),
          os.environ.get('VARIABLE'), sys.stdout.isatty(), len(os.listdir('/proc/self/task')))
    print('open files', sorted(os.listdir('/proc/self/fd')), file=sys.stderr)
    return 3


if __name__ == '__main__':
    app.run(main)
'''


@pytest.fixture
def program(tmp_path):
    (tmp_path / 'program.py').write_text(PROGRAM)
    return tmp_path / 'program.py'


@pytest.mark.parametrize('command', [['program.py'], ['-m', 'program']])
def test_forked_process_equals_new_process(program, monkeypatch, command):
    monkeypatch.setenv('VARIABLE', 'value')
    forked, fresh = (scripts.run(*command, 'argument', 7, cwd=program.parent, fresh=fresh)
                     for fresh in (False, True))
    assert (forked.returncode, forked.stdout, forked.stderr) == (
        fresh.returncode, fresh.stdout, fresh.stderr)
    assert forked.returncode == 3 and f"['argument', '7'] ['mode'] {program} " in forked.stdout
    assert ' value False 1\natexit\n' in forked.stdout


def test_exit_codes_and_errors(program):
    for arguments, code, message in (
            (['--mode=raise'], 1, 'ValueError: told to\n'), (['--mode=run'], 1, '--mode=run'),
            (['--other'], 1, "Unknown command line flag 'other'")):
        for fresh in (False, True):
            done = scripts.run(program, *arguments, fresh=fresh)
            assert done.returncode == code and message in done.stderr, done


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_signals(program, number):
    results = []
    for fresh in (False, True):
        running = scripts.start(program, '--mode=sleep', fresh=fresh)
        assert running.stdout.readline() == 'sleeping\n' and running.poll() is None
        running.send_signal(number)
        text, _ = running.communicate(timeout=20)
        results.append((text.splitlines()[-1:], running.returncode))
    assert results[0] == results[1] and results[0][1] == -number


def test_a_script_that_does_not_end_is_killed(program):
    running = scripts.start(program, '--mode=sleep')
    assert running.stdout.readline() == 'sleeping\n'
    with pytest.raises(subprocess.TimeoutExpired):
        running.wait(timeout=.1)
    assert running.communicate(timeout=20) == ('', None) and running.returncode == -signal.SIGKILL


def test_a_variable_of_the_interpreter_needs_a_new_process(program, monkeypatch):
    monkeypatch.setenv('PYTHONPATH', str(program.parent))
    done = scripts.run('-m', 'program')
    assert done.returncode == 3 and str(program) in done.stdout

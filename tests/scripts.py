"""Run the project's scripts as a user does."""
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading

from conftest import ROOT


def _environment():
    environment = {**os.environ, 'PYTHONUNBUFFERED': '1'}
    environment.pop('TF_CPP_MIN_LOG_LEVEL', None)   # scripts set their own
    return environment


_SERVER_ENVIRONMENT = _environment()
# Variables that Python and TensorFlow read when they start: a forked process cannot change them.
_READ_AT_START = ('PYTHON', 'TF_', 'OMP_')


def run(script, *arguments, fresh=False, cwd=ROOT, **options):
    """Run a script to its end.

    Args:
        script: path, or '-m' with the name of a module as the first argument.
        *arguments: converted to str.
        fresh: True to start a new interpreter, False to fork one that has imported TensorFlow.
        cwd: current directory of the script.
        **options: for `subprocess.run`; they require a new interpreter, so they imply `fresh`.

    Returns:
        subprocess.CompletedProcess with stdout and stderr as text.
    """
    command = [str(script), *map(str, arguments)]
    if fresh or options or not _can_fork():
        return subprocess.run([sys.executable, *command], cwd=cwd, text=True, capture_output=True,
                              env=_environment(), timeout=300, check=False, **options)
    with tempfile.TemporaryFile('w+') as stdout, tempfile.TemporaryFile('w+') as stderr:
        process = ForkedProcess(command, cwd, stdout.fileno(), stderr.fileno())
        process.wait(timeout=300)
        stdout.seek(0)
        stderr.seek(0)
        return subprocess.CompletedProcess(
            command, process.returncode, stdout.read(), stderr.read())


def succeed(script, *arguments, **options):
    """Run a script that must succeed; return its output. options: as for `run`."""
    done = run(script, *arguments, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rejection(script, *arguments, **options):
    """Run a script that must fail with exit code 2; return its one-line error message."""
    done = run(script, *arguments, **options)
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 2, done.stdout + done.stderr
    assert len(lines) == 1 and lines[0].startswith('error: '), done.stderr
    return lines[0]


def start(script, *arguments, fresh=False):
    """Start a script for a test that interrupts it, with standard error in standard output.

    Returns:
        subprocess.Popen, or an object with the same methods. `stdout` is a text stream.
    """
    command = [str(script), *map(str, arguments)]
    if fresh or not _can_fork():
        return subprocess.Popen([sys.executable, *command], cwd=ROOT, text=True, env=_environment(),
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output, write_end = os.pipe()
    process = ForkedProcess(command, ROOT, write_end, write_end)
    os.close(write_end)
    process.stdout = os.fdopen(output)
    return process


class ForkedProcess:
    """Script forked by tests/script_server.py, with the interface of `subprocess.Popen`."""

    def __init__(self, command, cwd, stdout, stderr):
        """Start the script. stdout, stderr: file descriptors, which stay open here."""
        self.args = command
        self.stdout = None   # for `communicate`
        self.returncode = None
        self._connection, remote_end = socket.socketpair()
        with remote_end:
            socket.send_fds(_server(), [b'r'], [stdout, stderr, remote_end.fileno()])
        self._replies = self._connection.makefile('r')
        request = {'arguments': command, 'cwd': str(cwd), 'environment': _environment_changes()}
        self._connection.sendall(json.dumps(request).encode() + b'\n')
        self.pid = self._read_number()

    def _read_number(self):
        line = self._replies.readline()
        if not line:
            raise RuntimeError('tests/script_server.py ended before its script')
        return int(line)

    def poll(self):
        """Return the exit code, -N after signal N, or None while the script runs."""
        if self.returncode is None and select.select([self._connection], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self, timeout=None):
        """Wait for the end; return the exit code. Kill after `timeout` seconds."""
        if self.returncode is None:
            if not select.select([self._connection], [], [], timeout)[0]:
                self.kill()
                raise subprocess.TimeoutExpired(self.args, timeout)
            self.returncode = self._read_number()
            self._replies.close()
            self._connection.close()
        return self.returncode

    def communicate(self, timeout):
        """Read the rest of the output; return (output, None). Kill after `timeout` seconds."""
        timer = threading.Timer(timeout, self.kill)
        timer.start()
        text = self.stdout.read()
        self.wait()
        timer.cancel()
        self.stdout.close()
        return text, None

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def kill(self):
        self.send_signal(signal.SIGKILL)


def _environment_changes():
    """Return {variable: value, or None if unset} where the environment is not the server's."""
    environment = _environment()
    return {name: environment.get(name) for name in environment.keys() | _SERVER_ENVIRONMENT.keys()
            if environment.get(name) != _SERVER_ENVIRONMENT.get(name)}


def _can_fork():
    return sys.platform == 'linux' and not any(
        name.startswith(_READ_AT_START) for name in _environment_changes())


@functools.cache
def _server():
    """Start the fork server; return the socket for requests."""
    ours, theirs = socket.socketpair()
    with theirs:
        subprocess.Popen(
            [sys.executable, ROOT / 'tests/script_server.py', str(theirs.fileno())],
            env={**_SERVER_ENVIRONMENT, 'TF_CPP_MIN_LOG_LEVEL': '2'},   # as in `cli.app`
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
    return ours

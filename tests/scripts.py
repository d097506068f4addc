"""Runs the project's scripts as a user does."""
import os
import subprocess
import sys

from conftest import ROOT


def run(script, *arguments, **options):
    """Runs a script in the project's folder to its end; its exit code, output and errors as text."""
    environment = {**os.environ, 'PYTHONUNBUFFERED': '1'}
    environment.pop('TF_CPP_MIN_LOG_LEVEL', None)
    return subprocess.run([sys.executable, script, *map(str, arguments)], cwd=options.pop('cwd', ROOT), text=True,
                          capture_output=True, env=environment, timeout=300, check=False, **options)


def succeed(script, *arguments):
    """The output of a script that must succeed."""
    done = run(script, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def refusal(script, *arguments):
    """The one sentence with which a script must refuse."""
    done = run(script, *arguments)
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 2, done.stdout + done.stderr
    assert len(lines) == 1 and lines[0].startswith('error: '), done.stderr
    return lines[0]


def start(script, *arguments):
    """A running script, for tests that interrupt it; its output and errors come as one text."""
    return subprocess.Popen([sys.executable, script, *map(str, arguments)], cwd=ROOT, text=True,
                            env={**os.environ, 'PYTHONUNBUFFERED': '1'}, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)

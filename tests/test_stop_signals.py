import os
import signal
import subprocess
import sys

import pytest
from conftest import ROOT

from training.stop_signals import StopSignals


@pytest.mark.parametrize('number, code', [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_is_recorded_and_the_old_handler_returns(number, code):
    before = signal.getsignal(number)
    with StopSignals() as signals:
        os.kill(os.getpid(), number)
        assert signals.received == number and signals.exit_code() == code
    assert signal.getsignal(number) == before


def test_second_signal_ends_the_process_during_a_step():
    # In another process, whose main thread runs one long call, as a step of TensorFlow is one.
    program = ('import hashlib, os, signal, threading\n'
               'from cli import console\n'
               'from training.stop_signals import StopSignals\n'
               'console.set_up()\n'
               'with StopSignals():\n'
               '    for delay in (.5, 1.):\n'
               '        threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT)).start()\n'
               '    hashlib.pbkdf2_hmac("sha256", b"x", b"y", 10 ** 9)\n')
    done = subprocess.run([sys.executable, '-c', program], cwd=ROOT, capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 130, done.stderr
    assert 'SIGINT: stopping after this step' in done.stdout


def test_exit_code_is_zero_without_a_signal():
    with StopSignals() as signals:
        assert signals.exit_code() == 0

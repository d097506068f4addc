import os
import signal
import subprocess
import sys
import textwrap

import pytest
from conftest import ROOT

from training.stop_signals import StopSignals


@pytest.mark.parametrize('number, code', [
    (signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_is_recorded_and_the_old_handler_returns(number, code):
    before = signal.getsignal(number)
    with StopSignals() as signals:
        os.kill(os.getpid(), number)
        assert signals.received == number and signals.exit_code() == code
    assert signal.getsignal(number) == before


def test_ignored_sighup_stays_ignored():
    """`nohup` starts a program with SIGHUP ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals() as signals:
            os.kill(os.getpid(), signal.SIGHUP)
            assert signals.received is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_exit_code_is_zero_without_a_signal():
    with StopSignals() as signals:
        assert signals.exit_code() == 0


def run_step(*numbers, duration, **attributes):
    """Send signals to a process whose main thread runs one long call, like a step of TensorFlow.

    Args:
        *numbers: signals, sent one after the other before the call.
        duration: of the call, in seconds.
        **attributes: attributes to set in `StopSignals`, or in its module if the name begins with
            an underscore.

    Returns:
        (exit code, standard output), with 'saved' in the output if the process was not ended.
    """
    program = textwrap.dedent(f'''
        import hashlib, os, signal, sys, time
        from cli import console
        from training import stop_signals

        console.set_up()
        with stop_signals.StopSignals() as signals:
            for name, value in {attributes}.items():
                setattr(stop_signals if name.startswith('_') else signals, name, value)
            for number in {[int(number) for number in numbers]}:
                os.kill(os.getpid(), number)
                time.sleep(.1)
            end = time.monotonic() + {duration}
            while time.monotonic() < end:
                hashlib.pbkdf2_hmac('sha256', b'x', b'y', 10 ** 5)
            print('saved')
        sys.exit(signals.exit_code())
        ''')
    done = subprocess.run([sys.executable, '-c', program], cwd=ROOT, capture_output=True, text=True,
                          timeout=60, check=False)
    assert not done.stderr
    return done.returncode, done.stdout


def test_step_finishes_after_the_first_signal():
    code, output = run_step(signal.SIGTERM, duration=.2)
    assert code == 143 and output == (
        'SIGTERM: stopping after this step, in at most 25 s, and saving; another SIGINT or SIGTERM '
        'exits without saving\nsaved\n')


def test_time_for_the_step_grows_with_the_last_step():
    assert 'in at most 60 s' in run_step(signal.SIGINT, duration=0, step_secs=20.)[1]


def test_second_signal_ends_the_process_during_a_step():
    code, output = run_step(signal.SIGINT, signal.SIGTERM, duration=40)
    assert code == 143 and 'SIGINT: stopping after this step' in output and 'saved' not in output


@pytest.mark.parametrize('number, code', [(signal.SIGHUP, 129), (signal.SIGTERM, 143)])
def test_signal_ends_the_process_at_once_if_there_is_nothing_to_save(number, code):
    result = run_step(number, duration=40, nothing_to_save=True)
    assert result == (code, f'{number.name}: exiting at once: no step has ended since the last '
                            f'checkpoint\n')


def test_a_run_that_has_just_saved_because_of_the_signal_ends_by_itself():
    code, output = run_step(signal.SIGTERM, duration=.2, nothing_to_save=True, is_saving=True)
    assert code == 143 and output.endswith('saved\n')


def test_step_that_takes_too_long_ends_without_saving():
    code, output = run_step(signal.SIGTERM, duration=40, _MIN_STEP_SECS=.2)
    assert code == 143 and output.splitlines()[1:] == [
        'the run did not stop in time, so it exits without saving; the last checkpoint is kept']


def test_saving_may_take_longer_than_a_step():
    code, output = run_step(signal.SIGTERM, duration=.6, _MIN_STEP_SECS=.2, is_saving=True)
    assert code == 143 and output.endswith('saved\n')
    code, output = run_step(signal.SIGTERM, duration=40, _MIN_STEP_SECS=.2, is_saving=True,
                            _MAX_SAVING_SECS=.2)
    assert code == 143 and 'did not stop in time' in output


def test_sighup_of_a_closed_terminal_counts_once():
    """The terminal and the shell each send one, and a login manager also sends SIGTERM."""
    signals = [signal.SIGHUP, signal.SIGHUP, signal.SIGTERM, signal.SIGHUP]
    code, output = run_step(*signals, duration=.2)
    assert code == 129 and output.count('SIGHUP: stopping') == 1 and output.endswith('saved\n')
    code, output = run_step(*signals, signal.SIGTERM, duration=40)
    assert code == 143 and 'saved\n' not in output

"""What `scripts/launch_workers.sh` makes of the ends of its workers, with a short script in their place."""
import os
import shutil
import signal
import subprocess

import pytest
from conftest import ROOT

# Worker k does what WORKER_k says; `$try` counts from 1, and `started` has a line for each start.
WORKER = """#!/usr/bin/env bash
for argument in "$@"; do case "$argument" in --task_index=*) rank=${argument#*=} ;; esac; done
echo "$rank" >> started
try=$(grep -c "^$rank$" started)
trap 'echo "$rank saved"; exit 143' TERM
trap 'echo "$rank got a SIGINT"' INT
echo "hello of $rank: $2 $3, GPUs ${CUDA_VISIBLE_DEVICES-all}"
name=WORKER_$rank
eval "${!name}"
"""


@pytest.fixture
def launch(tmp_path):
    """A function (workers, their commands, flags) that starts the launcher beside a stand-in for the project."""
    for folder in ('scripts', '.venv/bin'):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / 'scripts/launch_workers.sh', tmp_path / 'scripts')
    (tmp_path / 'scripts/setup.sh').write_text('')
    (tmp_path / '.venv/bin/python').write_text(WORKER)
    (tmp_path / '.venv/bin/python').chmod(0o755)
    environment = {key: value for key, value in os.environ.items() if key != 'CUDA_VISIBLE_DEVICES'}

    def start(commands, *flags, **more):
        return subprocess.Popen(
            ['bash', 'scripts/launch_workers.sh', str(len(commands)), *flags], cwd=tmp_path, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
            env={**environment, **{f'WORKER_{rank}': command for rank, command in enumerate(commands)}, **more})
    return start


def test_all_end_well(launch):
    launched = launch(['exit 0', 'exit 0'], '--batch_size=4', '--first_port=3000')
    text, _ = launched.communicate(timeout=20)
    hello = '--batch_size=4 --worker_hosts=127.0.0.1:3000,127.0.0.1:3001, GPUs all'
    assert launched.returncode == 0
    assert sorted(text.splitlines()) == [f'[1] hello of 1: {hello}', f'hello of 0: {hello}']


def test_gpus_are_shared_out(launch):
    text, _ = launch(['exit 0', 'exit 0'], '--x', CUDA_VISIBLE_DEVICES='4,5,6,7,8').communicate(timeout=20)
    assert 'hello of 0' in text and 'GPUs 4,5\n' in text and 'GPUs 6,7\n' in text


def test_a_lost_worker_starts_all_again(launch):
    """Worker 1 is killed the first time; worker 0 notices, and ends with 75."""
    launched = launch(['[ $try = 2 ] || { sleep 1; exit 75; }', '[ $try = 2 ] || kill -KILL $$'], '--x')
    text, _ = launched.communicate(timeout=20)
    assert launched.returncode == 0 and text.count('hello of 0') == text.count('hello of 1') == 2
    assert 'a worker ended with code 137; starting all again (1 of 3)' in text and 'Killed' not in text


def test_restarts_come_to_an_end(launch):
    launched = launch(['exit 75', 'exit 75'], '--max_restarts=1')
    text, _ = launched.communicate(timeout=20)
    assert launched.returncode == 75 and text.count('hello of 1') == 2
    assert 'error: a worker ended with code 75, and --max_restarts=1 are used up' in text


def test_what_is_wrong_is_not_tried_again(launch):
    """Worker 0 has lost worker 1, which knows better why."""
    launched = launch(['exit 75', 'sleep 1; echo "error: no data"; exit 2'], '--x')
    text, _ = launched.communicate(timeout=20)
    assert launched.returncode == 2 and '[1] error: no data' in text and 'again' not in text


@pytest.mark.parametrize('number, to_all', [(signal.SIGINT, True), (signal.SIGTERM, False)])
def test_a_signal_stops_all_once(launch, number, to_all):
    """Ctrl-C goes to the whole group of a terminal's processes, a manager's SIGTERM to the launcher."""
    waits = 'for k in 1 2 3 4 5 6 7 8 9; do sleep 1; done; exit 9'
    launched = launch([waits, waits], '--x')
    lines = [launched.stdout.readline(), launched.stdout.readline()]
    (os.killpg if to_all else os.kill)(launched.pid, number)
    text, _ = launched.communicate(timeout=20)
    assert all('hello' in line for line in lines) and launched.returncode == 143
    assert sorted(text.splitlines()) == ['0 saved', '[1] 1 saved']


def test_usage(launch):
    for flags in ((), ('--x',)):
        launched = launch([], *flags)   # no worker at all
        text, _ = launched.communicate(timeout=20)
        assert launched.returncode == 2 and text.startswith('Trains with N processes of this machine')

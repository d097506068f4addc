"""`scripts/launch_workers.sh` and its module, with a shell script in place of the training."""
import os
import pty
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest
from conftest import ROOT

from deployment import launch_workers

# Worker N executes the commands in WORKER_N. `$start` is the number of its starts so far.
WORKER = """
for argument in "$@"; do case "$argument" in --task_index=*) rank=${argument#*=} ;; esac; done
echo "$rank" >> starts
start=$(grep -c "^$rank$" starts)
trap 'echo "$rank saved"; exit 143' TERM
trap 'echo "$rank got a SIGINT"' INT
echo "hello from $rank: $*, GPUs ${CUDA_VISIBLE_DEVICES-all}"
name=WORKER_$rank
eval "${!name}"
"""
TRAIN_SCRIPT = f"""
import os, sys
os.execv('/bin/bash', ['bash', '-c', {WORKER!r}, *sys.argv])
"""


@pytest.fixture
def launch(tmp_path):
    """A function (commands of each worker, flags, variables) that starts the launcher."""
    project = tmp_path / 'project'
    for file in ('scripts/launch_workers.sh', 'deployment/launch_workers.py',
                 'deployment/network_isolation.py'):
        (project / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, project / file)
    (project / 'scripts/setup.sh').write_text('')
    (project / 'train_ssd_network.py').write_text(TRAIN_SCRIPT)
    (project / '.venv').symlink_to(ROOT / '.venv')
    (tmp_path / 'nvidia-smi').write_text('#!/bin/bash\nexit 9\n')
    (tmp_path / 'nvidia-smi').chmod(0o755)
    environment = {**os.environ, 'PATH': f'{tmp_path}:{os.environ["PATH"]}'}
    del environment['CUDA_VISIBLE_DEVICES']

    def start(commands, *flags, stderr=subprocess.STDOUT, **variables):
        return subprocess.Popen(
            ['bash', 'project/scripts/launch_workers.sh', str(len(commands)), *flags],
            cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=stderr,
            start_new_session=True, env={
                **environment, **variables,
                **{f'WORKER_{rank}': command for rank, command in enumerate(commands)}})
    return start


def test_workers_get_the_flags_hosts_and_task_index(launch):
    launcher = launch(['exit 0', 'exit 0'], '--batch_size=4', '--first_port=3000')
    output, _ = launcher.communicate(timeout=20)
    flags = '--batch_size=4 --worker_hosts=127.0.0.1:3000,127.0.0.1:3001 --task_index='
    assert launcher.returncode == 0
    assert sorted(output.splitlines()) == [f'[1] hello from 1: {flags}1, GPUs all',
                                           f'hello from 0: {flags}0, GPUs all']


def test_working_directory_is_kept(launch, tmp_path):
    output, _ = launch(['pwd'], '--x').communicate(timeout=20)
    assert output.splitlines()[1] == str(tmp_path)


def test_output_streams_stay_separate(launch):
    commands = ['echo out; echo err >&2', 'echo out; printf "no newline" >&2']
    output, errors = launch(commands, '--x', stderr=subprocess.PIPE).communicate(timeout=20)
    assert {'out', '[1] out'} < set(output.splitlines())
    assert 'err\n' in errors and '[1] no newline' in errors and 'out' not in errors


def test_output_to_a_closed_pipe_does_not_end_the_training(launch, tmp_path):
    command = f'sleep .5; for k in {{1..20000}}; do echo $k; done; touch {tmp_path}/finished'
    launcher = launch([command], '--x')
    launcher.stdout.readline()
    launcher.stdout.close()
    assert launcher.wait(20) == 0 and (tmp_path / 'finished').exists()


def test_output_to_a_closed_terminal_is_discarded():
    reader, writer = pty.openpty()
    os.close(reader)
    with os.fdopen(writer, 'w') as stream:
        for _ in range(2):
            launch_workers.write(stream, b'line\n')


def test_gpus_are_divided_among_the_workers(launch):
    launcher = launch(['exit 0', 'exit 0'], '--x', CUDA_VISIBLE_DEVICES='4,5,6,7,8')
    output, _ = launcher.communicate(timeout=20)
    assert 'hello from 0' in output and 'GPUs 4,5\n' in output and 'GPUs 6,7\n' in output


def test_gpus_of_nvidia_smi_are_divided_among_the_workers(launch, tmp_path):
    (tmp_path / 'nvidia-smi').write_text('#!/bin/bash\necho 0; echo 1\n')
    output, _ = launch(['exit 0', 'exit 0'], '--x').communicate(timeout=20)
    assert 'GPUs 0\n' in output and 'GPUs 1\n' in output


def test_fewer_gpus_than_workers_are_not_divided(launch):
    launcher = launch(['exit 0', 'exit 0'], '--x', CUDA_VISIBLE_DEVICES='4')
    output, _ = launcher.communicate(timeout=20)
    assert output.count('GPUs 4\n') == 2


def test_lost_worker_restarts_all_workers(launch):
    """Worker 1 is killed at its first start. Worker 0 notices and exits with 75."""
    launcher = launch(['[ $start = 2 ] || { sleep 1; exit 75; }',
                       '[ $start = 2 ] || kill -KILL $$'], '--x')
    output, _ = launcher.communicate(timeout=20)
    assert launcher.returncode == 0
    assert output.count('hello from 0') == output.count('hello from 1') == 2
    assert 'a worker exited with code 137; restarting all workers (1 of 3)\n' in output
    assert 'Killed' not in output


@pytest.mark.parametrize('flags, is_shared', [((), False), (('--isolate_network=0',), True)])
def test_workers_have_a_network_of_their_own(launch, flags, is_shared):
    launcher = launch(['readlink /proc/self/ns/net', 'readlink /proc/self/ns/net'], '--x', *flags)
    output, _ = launcher.communicate(timeout=20)
    first, second = sorted(line[-16:] for line in output.splitlines() if 'net:' in line)
    assert launcher.returncode == 0 and first == second
    if not is_shared and os.readlink('/proc/self/ns/net').endswith(first):
        pytest.skip('this system does not permit network namespaces')
    assert os.readlink('/proc/self/ns/net').endswith(first) == is_shared


def test_number_of_restarts_is_limited(launch):
    launcher = launch(['exit 75', 'exit 75'], '--max_restarts=1')
    output, _ = launcher.communicate(timeout=20)
    assert launcher.returncode == 75 and output.count('hello from 1') == 2
    assert 'error: a worker exited with code 75, after 1 of 1 restarts\n' in output


def test_user_errors_do_not_restart_the_workers(launch):
    """Worker 0 lost worker 1, which exits with 2 later: the exit code is 2."""
    launcher = launch(['exit 75', 'sleep 1; echo "error: no data"; exit 2'], '--x')
    output, _ = launcher.communicate(timeout=20)
    assert launcher.returncode == 2 and '[1] error: no data' in output
    assert 'restarting' not in output


@pytest.mark.parametrize('number, to_process_group', [
    (signal.SIGINT, True), (signal.SIGTERM, False), (signal.SIGHUP, True)])
def test_stop_signal_reaches_each_worker_once(launch, number, to_process_group):
    """A terminal sends Ctrl-C to its process group, a cluster manager SIGTERM to the launcher."""
    sleep = 'for k in 1 2 3 4 5 6 7 8 9; do sleep 1; done; exit 9'
    launcher = launch([sleep, sleep], '--x')
    lines = [launcher.stdout.readline(), launcher.stdout.readline()]
    for _ in range(2):   # the second signal is ignored
        (os.killpg if to_process_group else os.kill)(launcher.pid, number)
    output, _ = launcher.communicate(timeout=20)
    assert all('hello' in line for line in lines) and launcher.returncode == 143
    assert sorted(output.splitlines()) == ['0 saved', '[1] 1 saved']


def test_stopped_worker_stops_the_training(launch):
    launcher = launch(['exit 143', 'exit 0'], '--x')
    output, _ = launcher.communicate(timeout=20)
    assert launcher.returncode == 143 and 'restarting' not in output


@pytest.mark.parametrize('action', [signal.SIG_DFL, signal.SIG_IGN])   # SIG_IGN: under nohup
def test_killed_launcher_stops_its_workers(launch, tmp_path, action):
    """SIGKILL leaves the launcher no time to stop them: the kernel sends them SIGHUP."""
    command = ('trap "touch terminated" TERM; trap "touch saved_$rank; exit" HUP; echo ready; '
               'for k in {1..99}; do sleep .1; done')
    before, lines = signal.signal(signal.SIGHUP, action), []
    launcher = launch([command, command], '--x')
    signal.signal(signal.SIGHUP, before)
    while sum('ready' in line for line in lines) < 2:
        lines.append(launcher.stdout.readline())
    launcher.kill()
    launcher.communicate(timeout=20)
    end = time.monotonic() + 9
    while len(list(tmp_path.glob('saved_?'))) < 2 and time.monotonic() < end:
        time.sleep(.1)
    assert len(list(tmp_path.glob('saved_?'))) == 2 and not (tmp_path / 'terminated').exists()


@pytest.mark.parametrize('arguments, message', [
    ([], "the number of processes comes first, not ''"),
    (['--x'], "the number of processes comes first, not '--x'"),
    (['0'], "the number of processes comes first, not '0'"),
    (['2', '--max_restarts=many'], '--max_restarts=many is not a number. Write --max_restarts=N'),
    (['2', '--first_port'], '--first_port is not a number'),
    (['2', '--first_port=65535'], '--first_port=65535: ports end at 65535. Pass 1 to 65534 for 2'),
    (['1', '--first_port=0'], '--first_port=0: ports end at 65535. Pass 1 to 65535 for 1'),
    (['2', '--worker_hosts=a:1,b:1'], 'the launcher sets --worker_hosts itself'),
    (['2', '-task_index', '1'], 'the launcher sets --task_index itself')])
def test_invalid_arguments(arguments, message, capsys):
    assert launch_workers.main(arguments) == 2
    error, = capsys.readouterr().err.splitlines()
    assert error.startswith(f'error: {message}')


def test_largest_port():
    assert launch_workers.parse_arguments(['2', '--first_port=65534', '--max_restarts=0', '--x']) \
        == (2, {'max_restarts': 0, 'first_port': 65534, 'isolate_network': 1}, ['--x'])


def test_help_prints_the_usage(capsys):
    assert launch_workers.main(['2', '--help']) == 2
    assert capsys.readouterr().out.startswith('Train with N processes on this machine')


def test_launcher_waits_for_the_ports_of_earlier_workers(capsys):
    with socket.socket() as listening:
        listening.bind(('', 0))
        listening.listen()
        port = listening.getsockname()[1]
        message = f'another program uses port {port}, perhaps a worker of an earlier training'
        with pytest.raises(launch_workers.UsageError, match=message):
            launch_workers.wait_for_ports([port], timeout_secs=0)
        threading.Timer(.3, listening.close).start()
        launch_workers.wait_for_ports([port])
    assert capsys.readouterr().out == f'waiting for port {port}, which another program uses\n'

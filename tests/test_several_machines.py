"""Runs of several processes on the loopback interface: equal to one process, and lost processes.

Slow: each test starts several processes.
"""
import os
import random
import re
import signal
import socket
import subprocess

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tiny_net
from conftest import ROOT
from shapes_run import checkpoint_values, write_shapes

import scripts
from benchmarks.worker_processes import find_worker_pid
from deployment import network_isolation
from run_folder import run_lock

pytestmark = pytest.mark.slow
# The launcher starts new interpreters, which do not know the net of the other tests.
NET_OF_NEW_PROCESSES = '--model_name=ssd_160_mobilenet_v1_025'


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Records of 10 training images, fewer than two epochs of the runs here."""
    return write_shapes(tmp_path_factory.mktemp('several'), train=10, test=2) / 'records'


def arguments(data, train_dir, *flags):
    return [f'--dataset_dir={data}', f'--train_dir={train_dir}', f'--model_name={tiny_net.NAME}',
            '--log_every_n_steps=1', '--clone_on_cpu', '--learning_rate=0.0005',
            '--collective_timeout_secs=60', '--precise_batch_norm_batches=2', *flags]


def free_ports(count):
    """Return consecutive free ports below those that the system assigns to connections."""
    for first in iter(lambda: random.SystemRandom().randint(20000, 32000), None):
        ports = range(first, first + count)
        if all(_is_free(port) for port in ports):
            return list(ports)
    return None


def _is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(('127.0.0.1', port))
        except OSError:
            return False
    return True


def launch(num_workers, *flags):
    """Start the launcher; its stdout and stderr are one pipe."""
    return subprocess.Popen(
        ['bash', 'scripts/launch_workers.sh', str(num_workers),
         f'--first_port={free_ports(num_workers)[0]}', *flags, NET_OF_NEW_PROCESSES],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def train_together(num_processes, *flags):
    """Run several processes that train together; return the output of each."""
    hosts = ','.join(f'127.0.0.1:{port}' for port in free_ports(num_processes))
    processes = [scripts.start('train_ssd_network.py', *flags, f'--worker_hosts={hosts}',
                               f'--task_index={rank}') for rank in range(num_processes)]
    outputs = [process.communicate(timeout=400)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * num_processes, outputs
    return outputs


@pytest.fixture(scope='module')
def one_clone(data, tmp_path_factory):
    """Train one clone for six steps of six images, from a checkpoint.

    Returns (flags, train_dir, output). Batch norm is frozen: with moments of few images, the
    gradients would change by percents with the order of a sum.
    """
    folder = tmp_path_factory.mktemp('one')
    scripts.succeed('train_ssd_network.py', *arguments(
        data, folder / 'base', '--max_number_of_steps=1', '--batch_size=4'))
    flags = ['--moving_average_decay=0.9', '--freeze_batch_norm', '--clip_gradient_norm=20',
             f'--checkpoint_path={folder}/base', '--learning_rate_per_image=0.0001']
    output = scripts.succeed('train_ssd_network.py', *arguments(
        data, folder / 'one', *flags, '--batch_size=6', '--max_number_of_steps=6'))
    return flags, folder / 'one', output


def assert_same_training(one_clone, train_dir, output):
    """Assert equal losses in steps 1 to 6 and equal final variables."""
    _, expected_dir, expected_output = one_clone
    for step in range(1, 7):
        pattern = rf'step {step}/\d: (loss .*\)), learning rate 0.0006'
        assert _numbers(pattern, output) == pytest.approx(
            _numbers(pattern, expected_output), rel=1e-3)
    expected, actual = checkpoint_values(expected_dir), checkpoint_values(train_dir)
    assert expected.keys() == actual.keys() and actual['global_step'] == 6
    for name, value in expected.items():
        np.testing.assert_allclose(actual[name], value, atol=1e-5, rtol=1e-4, err_msg=name)


def _numbers(pattern, text):
    return [float(number) for number in re.findall(r'\d+\.\d+', re.search(pattern, text)[1])]


def test_three_processes_of_two_clones_equal_one_clone(data, tmp_path, one_clone):
    outputs = train_together(3, *arguments(
        data, tmp_path, *one_clone[0], '--num_clones=2', '--batch_size=1',
        '--max_number_of_steps=6'))
    assert 'batch      1 image x 2 clones x 3 processes' in outputs[0]
    assert 'process 2 of 3 is ready' in outputs[2]
    assert_same_training(one_clone, tmp_path, outputs[0])


def test_run_continues_with_another_number_of_processes(data, tmp_path, one_clone):
    """Two processes with three micro-batches each; from step 4 on, one process of two clones."""
    output, _ = train_together(2, *arguments(
        data, tmp_path, *one_clone[0], '--batch_size=1', '--gradient_accumulation_steps=3',
        '--max_number_of_steps=4'))
    output += scripts.succeed('train_ssd_network.py', *arguments(
        data, tmp_path, *one_clone[0], '--batch_size=3', '--num_clones=2',
        '--max_number_of_steps=6'))
    assert 'training examples differ' not in output
    assert_same_training(one_clone, tmp_path, output)


def test_gradient_precision_bfloat16(data, tmp_path, one_clone):
    """The loss is close to that with float32, and the variables stay float32."""
    output, _ = train_together(2, *arguments(
        data, tmp_path, *one_clone[0], '--batch_size=3', '--max_number_of_steps=6',
        '--gradient_precision=bfloat16'))
    pattern = r'step 6/6: (loss .*\)), learning rate'
    assert _numbers(pattern, output) == pytest.approx(_numbers(pattern, one_clone[2]), rel=.02)
    expected, actual = checkpoint_values(one_clone[1]), checkpoint_values(tmp_path)
    assert {name: value.dtype for name, value in expected.items()} == {
        name: value.dtype for name, value in actual.items()}
    assert any((actual[name] != value).any() for name, value in expected.items())


def test_synchronized_batch_norm_saves_the_moments_of_all_processes(data, tmp_path):
    """Those of the same batches in one process. The weights stay, so that only moments differ."""
    flags = arguments(data, tmp_path / 'one', '--learning_rate=0', '--moving_average_decay=0.9',
                      '--max_number_of_steps=2')
    scripts.succeed('train_ssd_network.py', *flags, '--batch_size=4')
    train_together(2, *flags, f'--train_dir={tmp_path}/two', '--batch_size=2', '--sync_batch_norm')
    expected, actual = (checkpoint_values(tmp_path / run) for run in ('one', 'two'))
    assert expected.keys() == actual.keys()
    for name in expected:
        if 'moving' in name:
            np.testing.assert_allclose(actual[name], expected[name], rtol=1e-3, atol=1e-4,
                                       err_msg=name)


def test_killed_process_does_not_change_the_result(data, tmp_path):
    """All processes restart and end with the same bits as an undisturbed run.

    They estimate the moments of batch norm together, before each checkpoint.
    """
    flags = ['--max_number_of_steps=12', '--batch_size=1', '--save_interval_secs=1',
             '--sync_batch_norm']
    train_together(2, *arguments(data, tmp_path / 'undisturbed', *flags, NET_OF_NEW_PROCESSES))
    launcher = launch(2, *arguments(data, tmp_path / 'killed', *flags))
    lines, is_killed = [], False
    for line in launcher.stdout:
        lines.append(line)
        if line.startswith('step 5/') and not is_killed:
            is_killed = True
            os.kill(find_worker_pid(launcher.pid, 1), signal.SIGKILL)
    output = ''.join(lines)
    assert launcher.wait(timeout=60) == 0, output
    assert 'restarting all workers' in output, output
    assert 'resuming from' in output
    assert re.search(
        r'error: process 1 \(127.0.0.1:\d+\) is lost, so process 0 stops. Restart all', output)
    expected, actual = (checkpoint_values(tmp_path / run) for run in ('undisturbed', 'killed'))
    for name, value in expected.items():
        np.testing.assert_array_equal(actual[name], value, err_msg=name)


def test_stalled_process_is_detected(data, tmp_path):
    launcher = launch(2, *arguments(
        data, tmp_path, '--batch_size=1', '--collective_timeout_secs=10'), '--max_restarts=0')
    lines = []
    for line in launcher.stdout:
        lines.append(line)
        if line.startswith('step 2:'):
            stalled_pid = find_worker_pid(launcher.pid, 1)
            os.kill(stalled_pid, signal.SIGSTOP)
        elif line.startswith('error: another process'):
            os.kill(stalled_pid, signal.SIGKILL)   # the launcher would do it 30 s later
    output = ''.join(lines)
    # The exit code of the process that ended first.
    assert launcher.wait(timeout=60) in (75, 128 + signal.SIGKILL), output
    assert 'error: another process did not answer within 10 s, so process 0 stops' in output


def test_different_flags_are_reported(data, tmp_path):
    ports = free_ports(2)
    hosts = '--worker_hosts=' + ','.join(f'127.0.0.1:{port}' for port in ports)
    first = scripts.start('train_ssd_network.py', *arguments(
        data, tmp_path / 'a', hosts, '--task_index=0'))
    second = scripts.run('train_ssd_network.py', *arguments(
        data, tmp_path / 'b', hosts, '--task_index=1', '--seed=7'))
    output, _ = first.communicate(timeout=100)
    message = (f'error: process 1 (127.0.0.1:{ports[1]}) has --seed=7, process 0 has 0. Start all '
               f'processes with the same configuration')
    assert first.returncode == second.returncode == 2
    assert message in output and message in second.stderr
    warning = (f'warning: the ports of --worker_hosts accept connections from all networks, and '
               f'whoever connects can read and write files as you; a firewall rule for each '
               f'machine (with ip6tables, too): iptables -I INPUT -p tcp -m multiport --dports '
               f'{ports[0]}:{ports[1]} ! -i lo -j DROP\n')
    assert (warning in output) != network_isolation.is_isolated()
    assert 'warning' not in second.stdout
    assert not (tmp_path / 'a').exists() and not (tmp_path / 'b').exists()


def test_error_of_process_0_ends_all_processes(data, tmp_path):
    """The train_dir is locked. Process 1 waits inside TensorFlow until its watchdog ends it."""
    ports = free_ports(2)
    hosts = f'--worker_hosts=127.0.0.1:{ports[0]},127.0.0.1:{ports[1]}'
    with run_lock.acquire(str(tmp_path)):
        first = scripts.start('train_ssd_network.py', *arguments(
            data, tmp_path, hosts, '--task_index=0'))
        second = scripts.run('train_ssd_network.py', *arguments(
            data, tmp_path, hosts, '--task_index=1'))
        output, _ = first.communicate(timeout=100)
    assert first.returncode == 2 and 'is in use by' in output
    assert second.returncode == 75 and second.stderr.splitlines()[-1].startswith(
        f'error: process 0 (127.0.0.1:{ports[0]}) is lost, so process 1 stops')


def test_port_in_use_and_missing_process(data, tmp_path):
    with socket.socket() as listening:
        listening.bind(('127.0.0.1', 0))
        listening.listen()
        port = listening.getsockname()[1]
        hosts = f'--worker_hosts=127.0.0.1:{port},127.0.0.1:{free_ports(1)[0]}'
        assert f'process 0 cannot listen on port {port}' in scripts.rejection(
            'train_ssd_network.py', *arguments(data, tmp_path / 'a', hosts, '--task_index=0'))
    result = scripts.run('train_ssd_network.py', *arguments(
        data, tmp_path / 'a', hosts, '--task_index=0', '--collective_timeout_secs=2'))
    assert result.returncode == 75
    assert re.search(r'error: no answer from process 1 \(127.0.0.1:\d+\) after 2 s', result.stderr)


def test_sigterm_stops_all_processes_after_the_same_step(data, tmp_path):
    launcher = launch(2, *arguments(data, tmp_path, '--batch_size=1'))
    lines = []
    for line in launcher.stdout:
        lines.append(line)
        if line.startswith('step 2:'):
            os.kill(find_worker_pid(launcher.pid, 1), signal.SIGTERM)   # as a cluster manager does
    output = ''.join(lines)
    assert launcher.wait(timeout=60) == 143, output
    step = int(checkpoint_values(tmp_path)['global_step'])
    assert f'step {step}: saved' in output and 'error' not in output
    assert tf.train.latest_checkpoint(str(tmp_path)).endswith(f'-{step}')

"""Processes that train as one, on the loopback: equal to one process, and what becomes of them where one is lost.

Slow: each case is some processes.
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
from conftest import ROOT
from shapes_run import weights, write_shapes

import scripts
from benchmarks.worker_processes import find_worker_pid
from run_folder import run_lock

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Converted pictures, fewer than two epochs of the runs here."""
    return write_shapes(tmp_path_factory.mktemp('several'), train=10, test=2) / 'records'


def arguments(data, train_dir, *more):
    return [f'--dataset_dir={data}', f'--train_dir={train_dir}', '--model_name=ssd_160_mobilenet_v1_025',
            '--log_every_n_steps=1', '--clone_on_cpu', '--learning_rate=0.0005', '--collective_timeout_secs=60', *more]


def free_ports(count):
    """So many ports in a row that nobody uses now, and that no connection is given."""
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


def launch(workers, *flags):
    """The launcher, running; its output and errors come as one text."""
    return subprocess.Popen(
        ['bash', 'scripts/launch_workers.sh', str(workers), f'--first_port={free_ports(workers)[0]}', *flags],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finished(launched):
    text, _ = launched.communicate(timeout=400)
    return text


@pytest.fixture(scope='module')
def one_clone(data, tmp_path_factory):
    """Six steps of one clone of six pictures, from a checkpoint: its flags, its folder, what it said.

    With frozen batch norm: moments of few pictures make gradients that differ by percents with the order of a sum.
    """
    folder = tmp_path_factory.mktemp('one')
    scripts.succeed('train_ssd_network.py', *arguments(data, folder / 'base', '--max_number_of_steps=1',
                                                       '--batch_size=4'))
    flags = ['--moving_average_decay=0.9', '--freeze_batch_norm', f'--checkpoint_path={folder}/base',
             '--learning_rate_per_image=0.0001', '--clip_gradient_norm=20']
    text = scripts.succeed('train_ssd_network.py', *arguments(
        data, folder / 'one', *flags, '--batch_size=6', '--max_number_of_steps=6'))
    return flags, folder / 'one', text


def assert_same_training(one_clone, train_dir, text):
    """Text has lines of each step from the first; both ended at step 6."""
    _, folder, expected_text = one_clone
    for step in range(1, 7):
        pattern = rf'step {step}/\d: (loss .*\)), learning rate 0.0006'
        assert _numbers(pattern, text) == pytest.approx(_numbers(pattern, expected_text), rel=1e-3)
    expected, found = weights(folder), weights(train_dir)
    assert expected.keys() == found.keys() and found['global_step'] == 6
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-5, rtol=1e-4, err_msg=name)


def test_three_processes_of_two_clones_equal_one(data, tmp_path, one_clone):
    launched = launch(3, *arguments(data, tmp_path, *one_clone[0], '--num_clones=2', '--batch_size=1',
                                    '--max_number_of_steps=6'))
    text = finished(launched)
    assert launched.returncode == 0, text
    assert 'batch      1 x 2 x 3 processes' in text and '[2] worker 2 of 3 is ready' in text
    assert_same_training(one_clone, tmp_path, text)


def test_accumulating_processes_equal_one_and_another_number_goes_on(data, tmp_path, one_clone):
    """Two processes, three pictures each one after the other; from step 4 on one process of two clones."""
    text = finished(launch(2, *arguments(data, tmp_path, *one_clone[0], '--batch_size=1',
                                         '--gradient_accumulation_steps=3', '--max_number_of_steps=4')))
    text += scripts.succeed('train_ssd_network.py', *arguments(data, tmp_path, *one_clone[0], '--batch_size=3',
                                                               '--num_clones=2', '--max_number_of_steps=6'))
    assert 'the examples from here on' not in text
    assert_same_training(one_clone, tmp_path, text)


def test_gradients_that_travel_in_bfloat16(data, tmp_path, one_clone):
    """Rounded to three digits they train almost the same, and all of the checkpoint is float32 as ever."""
    text = finished(launch(2, *arguments(data, tmp_path, *one_clone[0], '--batch_size=3', '--max_number_of_steps=6',
                                         '--gradient_precision=bfloat16')))
    pattern = r'step 6/6: (loss .*\)), learning rate'
    assert _numbers(pattern, text) == pytest.approx(_numbers(pattern, one_clone[2]), rel=.02)
    expected, found = weights(one_clone[1]), weights(tmp_path)
    assert {name: value.dtype for name, value in expected.items()} == {
        name: value.dtype for name, value in found.items()}
    assert any((found[name] != value).any() for name, value in expected.items())


def _numbers(pattern, text):
    return [float(number) for number in re.findall(r'\d+\.\d+', re.search(pattern, text)[1])]


def test_a_killed_worker_costs_nothing_but_time(data, tmp_path):
    """Whoever is killed, all start again from the last checkpoint, and end with the bits of an undisturbed run."""
    flags = ['--max_number_of_steps=25', '--batch_size=1', '--save_interval_secs=1']
    undisturbed = launch(2, *arguments(data, tmp_path / 'through', *flags))
    assert 'step 25/25' in finished(undisturbed)
    launched = launch(2, *arguments(data, tmp_path / 'killed', *flags))
    lines, killed = [], False
    for line in launched.stdout:
        lines.append(line)
        if line.startswith('step 5/') and not killed:
            killed = True
            os.kill(find_worker_pid(launched.pid, 1), signal.SIGKILL)
    text = ''.join(lines)
    assert launched.wait(timeout=60) == 0, text
    assert 'starting all again (1 of 3)' in text and 'going on from' in text
    assert re.search(r'error: worker 1 \(127.0.0.1:\d+\) is gone, and this one, worker 0, cannot go on alone', text)
    through, found = weights(tmp_path / 'through'), weights(tmp_path / 'killed')
    for name, value in through.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_a_worker_that_stalls_is_noticed(data, tmp_path):
    launched = launch(2, *arguments(data, tmp_path, '--batch_size=1', '--collective_timeout_secs=10'),
                      '--max_restarts=0')
    lines = []
    for line in launched.stdout:
        lines.append(line)
        if line.startswith('step 2:'):
            stalled = find_worker_pid(launched.pid, 1)
            os.kill(stalled, signal.SIGSTOP)
        elif line.startswith('error: some worker'):
            os.kill(stalled, signal.SIGKILL)   # which the launcher would do half a minute later
    text = ''.join(lines)
    assert launched.wait(timeout=60) in (75, 128 + signal.SIGKILL), text   # of the worker that is gone first
    assert 'error: some worker did not answer within 10 s, and this one, worker 0, cannot go on alone' in text


def test_other_flags_are_refused_with_the_difference(data, tmp_path):
    ports = free_ports(2)
    hosts = '--worker_hosts=' + ','.join(f'127.0.0.1:{port}' for port in ports)
    first = scripts.start('train_ssd_network.py', *arguments(data, tmp_path / 'a', hosts, '--task_index=0'))
    second = scripts.run('train_ssd_network.py', *arguments(data, tmp_path / 'b', hosts, '--task_index=1', '--seed=7'))
    text, _ = first.communicate(timeout=100)
    sentence = f'error: worker 1 (127.0.0.1:{ports[1]}) has --seed=7, worker 0 has 0; start all with the same'
    assert first.returncode == second.returncode == 2
    assert sentence in text and sentence in second.stderr
    assert not (tmp_path / 'a').exists() and not (tmp_path / 'b').exists()


def test_what_worker_0_alone_knows_ends_all(data, tmp_path):
    """Another run trains in its folder; the other worker waits inside TensorFlow, and notices all the same."""
    ports = free_ports(2)
    hosts = f'--worker_hosts=127.0.0.1:{ports[0]},127.0.0.1:{ports[1]}'
    with run_lock.acquire(str(tmp_path)):
        first = scripts.start('train_ssd_network.py', *arguments(data, tmp_path, hosts, '--task_index=0'))
        second = scripts.run('train_ssd_network.py', *arguments(data, tmp_path, hosts, '--task_index=1'))
        text, _ = first.communicate(timeout=100)
    assert first.returncode == 2 and 'is in use by another training' in text
    assert second.returncode == 75 and second.stderr.splitlines()[-1].startswith(
        f'error: worker 0 (127.0.0.1:{ports[0]}) is gone, and this one, worker 1, cannot go on alone')


def test_a_port_in_use_and_a_host_that_never_comes(data, tmp_path):
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = taken.getsockname()[1]
        hosts = f'--worker_hosts=127.0.0.1:{port},127.0.0.1:{free_ports(1)[0]}'
        assert f'port {port} of this machine cannot be used for worker 0' in scripts.refusal(
            'train_ssd_network.py', *arguments(data, tmp_path / 'a', hosts, '--task_index=0'))
    done = scripts.run('train_ssd_network.py', *arguments(data, tmp_path / 'a', hosts, '--task_index=0',
                                                          '--collective_timeout_secs=2'))
    assert done.returncode == 75 and 'error: after 2 s there is no answer from worker 1 (127.0.0.1:' in done.stderr


def test_a_stop_reaches_all(data, tmp_path):
    launched = launch(2, *arguments(data, tmp_path, '--batch_size=1'))
    lines = []
    for line in launched.stdout:
        lines.append(line)
        if line.startswith('step 2:'):
            os.kill(find_worker_pid(launched.pid, 1), signal.SIGTERM)   # as a cluster manager takes one machine away
    assert launched.wait(timeout=60) == 143, ''.join(lines)
    saved = int(weights(tmp_path)['global_step'])
    assert f'step {saved}: saved' in ''.join(lines) and 'error' not in ''.join(lines)
    assert tf.train.latest_checkpoint(str(tmp_path)).endswith(f'-{saved}')

r"""Measure the speed of multi-process training against the bandwidth between the workers.

python -m benchmarks.network [--machines=2] [--mbit=0,10000,1000,100] [--delay_ms=0] [--loss=0] \
    -- flags of train_ssd_network.py

Each worker runs in a network namespace of this machine (`benchmarks.emulated_network`). The workers
share the processors, so only the speed relative to that of the first bandwidth counts. Arguments
after `--` are passed to train_ssd_network.py.
"""
import os
import re
import subprocess
import sys
import tempfile

from absl import flags

from benchmarks.emulated_network import EmulatedNetwork
from cli import app
from common.errors import UserError

FLAGS = flags.FLAGS
flags.DEFINE_integer('machines', 2, 'Number of workers, each with its own network namespace.',
                     lower_bound=2, upper_bound=200)
flags.DEFINE_list('mbit', ['0', '10000', '1000', '100'],
                  'Comma-separated bandwidths per worker in Mbit/s. 0: unlimited.')
flags.DEFINE_float('delay_ms', 0., 'One-way delay of each packet in milliseconds.', lower_bound=0)
flags.DEFINE_float('loss', 0., 'Fraction of the packets that are lost.', lower_bound=0,
                   upper_bound=.5)
flags.DEFINE_integer('steps', 8, 'Training steps per run, of which the first is not timed.',
                     lower_bound=3)
_DEFAULT_TRAINING_FLAGS = ('--model_name=ssd_300_vgg', '--batch_size=1', '--learning_rate=0.0001',
                           '--clone_on_cpu', '--log_every_n_steps=1')


def images_per_second(network, dataset_dir, train_dir, training_flags):
    """Train with one worker per host of the network, and return the last logged images/s.

    Raises:
        UserError: If a worker fails.
    """
    hosts = ','.join(f'{address}:2222' for address in network.addresses)
    num_workers = len(network.addresses)
    workers = [subprocess.Popen(
        network.command(
            rank, sys.executable, 'train_ssd_network.py', *_DEFAULT_TRAINING_FLAGS,
            f'--dataset_dir={dataset_dir}', f'--train_dir={train_dir}',
            f'--max_number_of_steps={FLAGS.steps}', f'--worker_hosts={hosts}',
            f'--task_index={rank}', *training_flags),
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for rank in range(num_workers)]
    try:
        outputs = [worker.communicate()[0] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    for rank, (worker, output) in enumerate(zip(workers, outputs, strict=True)):
        if worker.returncode:
            raise UserError(f'worker {rank} exited with code {worker.returncode}: '
                            f'{output.strip().splitlines()[-1]}')
    return float(re.findall(r'([\d.]+) images/s', outputs[0])[-1])


def check_flags(_):
    """Raise UserError for invalid bandwidths."""
    for mbit in FLAGS.mbit:
        if not mbit.isdigit():
            raise UserError(f"--mbit: '{mbit}' is not a bandwidth. Pass whole numbers of Mbit/s")


def main(training_flags):
    """Train once per bandwidth, and print a line for each.

    Args:
        training_flags: Arguments after `--`.
    """
    from benchmarks.noisy_images import make_dataset
    with tempfile.TemporaryDirectory() as folder, \
         EmulatedNetwork(FLAGS.machines, FLAGS.delay_ms, FLAGS.loss) as network:
        make_dataset(folder)
        first_speed = None
        for run, mbit in enumerate(map(int, FLAGS.mbit)):
            network.limit_bandwidth(mbit)
            speed = images_per_second(network, folder, os.path.join(folder, f'run{run}'),
                                      training_flags)
            first_speed = first_speed or speed
            bandwidth = f'{mbit} Mbit/s' if mbit else 'unlimited'
            print(f'{bandwidth:>12}  {speed:7.2f} images/s  {speed / first_speed:5.2f}', flush=True)


if __name__ == '__main__':
    app.run(main, check_flags, takes_arguments=True)

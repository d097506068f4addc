"""Images a second of a group of workers, against the bandwidth between them.

python -m benchmarks.network [--machines=2] [--mbit=0,10000,1000,100] [--delay_ms=0] [--loss=0] -- flags of the training

Network namespaces of this machine stand in for machines (`benchmarks.emulated_network`); they share its processors, so what is
lost against the first bandwidth is what counts. What stands behind `--` goes to train_ssd_network.py.
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
flags.DEFINE_integer('machines', 2, 'Workers, each on a machine of its own.', lower_bound=2, upper_bound=200)
flags.DEFINE_list('mbit', ['0', '10000', '1000', '100'], 'Bandwidths of each machine, with commas; 0: unlimited.')
flags.DEFINE_float('delay_ms', 0., 'Delay of every packet on its way.', lower_bound=0)
flags.DEFINE_float('loss', 0., 'Share of packets that are lost.', lower_bound=0, upper_bound=.5)
flags.DEFINE_integer('steps', 8, 'Steps of each run; the first does not count.', lower_bound=3)
_DEFAULTS = ('--model_name=ssd_300_vgg', '--batch_size=1', '--learning_rate=0.0001', '--clone_on_cpu',
             '--log_every_n_steps=1')


training_flags = []   # what stands behind `--`


def images_per_second(machines, records, folder):
    """What worker 0 says of its speed in the end; UserError where a worker fails."""
    hosts = ','.join(f'{address}:2222' for address in machines.addresses)
    workers = [subprocess.Popen(
        machines.command(rank, sys.executable, 'train_ssd_network.py', *_DEFAULTS, f'--dataset_dir={records}',
                         f'--train_dir={folder}', f'--max_number_of_steps={FLAGS.steps}', f'--worker_hosts={hosts}',
                         f'--task_index={rank}', *training_flags),
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for rank in range(len(machines.addresses))]
    try:
        said = [worker.communicate()[0] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    for worker, text in zip(workers, said, strict=True):
        if worker.returncode:
            raise UserError(f'a worker ended with {worker.returncode}: {text.strip().splitlines()[-1]}')
    return float(re.findall(r'([\d.]+) images/s', said[0])[-1])


def check_flags(arguments):
    """Refuses bandwidths that are none; keeps the flags of the training."""
    for mbit in FLAGS.mbit:
        if not mbit.isdigit():
            raise UserError(f"--mbit: '{mbit}' is no number of Mbit/s")
    training_flags[:] = arguments


def main():
    """A line for each bandwidth."""
    from benchmarks.noisy_images import make_dataset
    with tempfile.TemporaryDirectory() as folder, EmulatedNetwork(FLAGS.machines, FLAGS.delay_ms, FLAGS.loss) as machines:
        make_dataset(folder)
        first = None
        for number, mbit in enumerate(map(int, FLAGS.mbit)):
            machines.shape(mbit)
            speed = images_per_second(machines, folder, os.path.join(folder, f'run{number}'))
            first = first or speed
            print(f'{f"{mbit} Mbit/s" if mbit else "unlimited":>12}  {speed:7.2f} images/s  {speed / first:5.2f}',
                  flush=True)


if __name__ == '__main__':
    app.run(main, check_flags, takes_arguments=True)

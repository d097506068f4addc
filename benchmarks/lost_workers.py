"""Kills workers of a group again and again, and holds what it has learnt in the end to a run that was left alone.

python -m benchmarks.lost_workers [--workers=2] [--num_clones=1] [--kills=10] [--steps=400]

Each worker gets --kills SIGKILLs, in a random order, at random moments: while it starts, between two steps, in one;
every second one of worker 0 while it writes a checkpoint. `scripts/launch_workers.sh` starts all again each time. The
embedded data set and the smallest net serve. Exits with 1 where steps or bits differ.
"""
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

from absl import flags

from benchmarks.worker_processes import find_worker_pid
from cli import app

FLAGS = flags.FLAGS
flags.DEFINE_integer('workers', 2, 'Processes of the group.', lower_bound=2)
flags.DEFINE_integer('num_clones', 1, 'Clones of each.', lower_bound=1)
flags.DEFINE_integer('kills', 10, 'SIGKILLs that each worker gets.', lower_bound=1)
flags.DEFINE_integer('steps', 400, 'Steps of the run, enough to last until all are killed.', lower_bound=1)
flags.DEFINE_integer('seed', 0, 'Decides the order of the kills and their moments.')
flags.DEFINE_integer('first_port', 2300, 'Port of worker 0; the others follow.', lower_bound=1)
_AFTER_STARTING = 8   # seconds from the first step of a start to the latest moment of a kill


def launch(records, train_dir, *more):
    """The launcher with a run, which says all into `train_dir`.log."""
    with open(f'{train_dir}.log', 'w', encoding='utf-8') as said:
        return subprocess.Popen(
            ['bash', 'scripts/launch_workers.sh', str(FLAGS.workers), f'--first_port={FLAGS.first_port}',
             f'--dataset_dir={records}', f'--train_dir={train_dir}', '--model_name=ssd_160_mobilenet_v1_025',
             '--batch_size=1', f'--num_clones={FLAGS.num_clones}', '--clone_on_cpu', '--log_every_n_steps=1',
             '--save_interval_secs=1', f'--max_number_of_steps={FLAGS.steps}', *more],
            stdout=said, stderr=subprocess.STDOUT)


def _said(train_dir):
    with open(f'{train_dir}.log', encoding='utf-8') as said:
        return said.read()


def _wait(condition, seconds, launcher):
    """Until a condition holds, so many seconds have passed, or the launcher has ended; whether it holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end or launcher.poll() is not None:
            return False
        time.sleep(.001)
    return True


def _being_written(train_dir):
    """Names of the files in which a checkpoint is under way, or was when its writer was killed."""
    there = os.listdir(train_dir) if os.path.isdir(train_dir) else []
    return {name for name in there if name.startswith('model.ckpt') and 'temp' in name}


def kill(rank, start, while_writing, launcher, train_dir, draw):
    """Waits for the moment, and kills worker `rank` of start number `start`; what it was doing, None if all ended."""
    def is_running():
        return _said(train_dir).count('starting all again') == start and find_worker_pid(launcher.pid, rank)
    if not _wait(is_running, 60, launcher):
        return None
    began, begun_at = time.monotonic(), _said(train_dir).count('\nstep ')
    left = _being_written(train_dir)   # by the one that was killed last
    if while_writing and _wait(lambda: _being_written(train_dir) - left, 60, launcher):
        doing = 'writing a checkpoint'
    elif not while_writing and draw.random() < .25:
        time.sleep(draw.uniform(0, 10))
        doing = 'starting'
    else:
        _wait(lambda: _said(train_dir).count('\nstep ') > begun_at, 60, launcher)
        time.sleep(draw.uniform(0, _AFTER_STARTING))
        doing = 'training'
    process = find_worker_pid(launcher.pid, rank)
    if process is None:
        return None
    os.kill(process, signal.SIGKILL)
    return f'{doing}, {time.monotonic() - began:.1f} s after its start'


def disturbed_run(records, train_dir):
    """A run with all its kills, which are said; the number of those that met a worker."""
    draw = random.Random(FLAGS.seed)
    plan = [(rank, rank == 0 and number % 2 == 1) for rank in range(FLAGS.workers) for number in range(FLAGS.kills)]
    draw.shuffle(plan)
    launcher = launch(records, train_dir, f'--max_restarts={len(plan)}')
    killed = 0
    try:
        for rank, while_writing in plan:
            how = kill(rank, killed, while_writing, launcher, train_dir, draw)
            if how is None:
                print(f'the run ended after {killed} kills: give more --steps')
                break
            killed += 1
            print(f'{killed} of {len(plan)}: worker {rank}, {how}', flush=True)
        code = launcher.wait()
    finally:
        launcher.terminate()
        launcher.wait()
    if code:
        sys.exit(f'the launcher ended with {code}:\n{_said(train_dir)[-2000:]}')
    return killed


def differences(expected, found):
    """Names of the values in which two checkpoints differ, by any bit."""
    import tensorflow.compat.v1 as tf
    readers = [tf.train.NewCheckpointReader(tf.train.latest_checkpoint(folder)) for folder in (expected, found)]
    names = [set(reader.get_variable_to_shape_map()) for reader in readers]
    return sorted(names[0] ^ names[1]) + sorted(
        name for name in names[0] & names[1]
        if readers[0].get_tensor(name).tobytes() != readers[1].get_tensor(name).tobytes())


def main():
    """Two runs, one of them left alone, and the bits of both."""
    from datasets import shapes
    with tempfile.TemporaryDirectory() as folder:
        shapes.write_dataset(f'{folder}/voc', splits={'train': 40})
        subprocess.run([sys.executable, 'tf_convert_data.py', f'--dataset_dir={folder}/voc',
                        f'--output_dir={folder}/records'], check=True, capture_output=True)
        if launch(f'{folder}/records', f'{folder}/alone').wait():
            sys.exit(_said(f'{folder}/alone'))
        killed = disturbed_run(f'{folder}/records', f'{folder}/disturbed')
        different = differences(f'{folder}/alone', f'{folder}/disturbed')
    print(f'{FLAGS.workers} workers of {FLAGS.num_clones} clones, {FLAGS.steps} steps, {killed} kills: '
          + (f'{len(different)} values differ, such as {different[:3]}' if different else 'the same bits'))
    return 1 if different or killed < FLAGS.workers * FLAGS.kills else 0


if __name__ == '__main__':
    app.run(main, lambda: None)

"""Kill workers of a run repeatedly, and compare the final checkpoint with an undisturbed run.

python -m benchmarks.lost_workers [--workers=2] [--num_clones=1] [--kills=10] [--steps=400]

Each worker gets --kills SIGKILLs, in random order and at random times: during its start, between
two steps, or within one. Every second SIGKILL of worker 0 comes while it writes a checkpoint.
`scripts/launch_workers.sh` restarts the workers each time. Trains the smallest net on the embedded
dataset. Exits with 1 if not all kills took place, or if the checkpoints are not identical.
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
flags.DEFINE_integer('workers', 2, 'Number of worker processes.', lower_bound=2)
flags.DEFINE_integer('num_clones', 1, 'Number of clones per worker.', lower_bound=1)
flags.DEFINE_integer('kills', 10, 'Number of SIGKILLs per worker.', lower_bound=1)
flags.DEFINE_integer('steps', 400, 'Training steps. The run must last until the last kill.',
                     lower_bound=1)
flags.DEFINE_integer('seed', 0, 'Random seed of the order and the times of the kills.')
flags.DEFINE_integer('first_port', 2300, 'Port of worker 0. The other workers use the next ports.',
                     lower_bound=1)
_MAX_KILL_DELAY = 8           # seconds after the first step of a start
_MAX_WAIT = 60                # seconds for a worker to start, take a step or save
_RESTART_LINE = 'restarting all workers'   # logged by the launcher


class Run:
    """A training run of several workers, started by the launcher.

    Attributes:
        train_dir: Folder of its checkpoints. The output of all processes is in `train_dir`.log.
    """

    def __init__(self, dataset_dir, train_dir, *launcher_flags):
        """Start the run."""
        self.train_dir = train_dir
        with open(f'{train_dir}.log', 'w', encoding='utf-8') as log:
            self._launcher = subprocess.Popen(
                ['bash', 'scripts/launch_workers.sh', str(FLAGS.workers),
                 f'--first_port={FLAGS.first_port}', f'--dataset_dir={dataset_dir}',
                 f'--train_dir={train_dir}', '--model_name=ssd_160_mobilenet_v1_025',
                 '--batch_size=1', f'--num_clones={FLAGS.num_clones}', '--clone_on_cpu',
                 '--log_every_n_steps=1', '--save_interval_secs=1',
                 f'--max_number_of_steps={FLAGS.steps}', *launcher_flags],
                stdout=log, stderr=subprocess.STDOUT)

    def output(self):
        """Return the output so far."""
        with open(f'{self.train_dir}.log', encoding='utf-8') as log:
            return log.read()

    def num_restarts(self):
        """Return how often the launcher has restarted the workers."""
        return self.output().count(_RESTART_LINE)

    def num_steps(self):
        """Return the number of logged steps, of all starts."""
        return self.output().count('\nstep ')

    def worker_pid(self, task_index):
        """Return the process id of a worker, or None if it does not run."""
        return find_worker_pid(self._launcher.pid, task_index)

    def incomplete_checkpoint_files(self):
        """Return the names of temporary checkpoint files, also those of killed workers."""
        names = os.listdir(self.train_dir) if os.path.isdir(self.train_dir) else []
        return {name for name in names if name.startswith('model.ckpt') and 'temp' in name}

    def wait_until(self, condition):
        """Return True as soon as the condition holds, False after 60 s or if the run has ended."""
        end = time.monotonic() + _MAX_WAIT
        while not condition():
            if time.monotonic() > end or self._launcher.poll() is not None:
                return False
            time.sleep(.001)
        return True

    def wait(self):
        """Wait for the end of the run; exit with its output if it fails."""
        if exit_code := self._launcher.wait():
            sys.exit(f'the launcher exited with code {exit_code}:\n{self.output()[-2000:]}')

    def stop(self):
        """Stop the run if it is not over."""
        self._launcher.terminate()
        self._launcher.wait()


def kill_worker(run, task_index, num_restarts, while_saving, rng):
    """Kill a worker at a random time after a (re)start of the run.

    Args:
        run: `Run`.
        task_index: Index of the worker.
        num_restarts: Number of restarts to wait for first.
        while_saving: Whether to kill the worker while it writes a checkpoint.
        rng: `random.Random`.

    Returns:
        Description of the activity that was killed and its time; None if the run is over.
    """
    def is_running():
        return run.num_restarts() == num_restarts and run.worker_pid(task_index)
    if not run.wait_until(is_running):
        return None
    start_time, previous_steps = time.monotonic(), run.num_steps()
    leftover_files = run.incomplete_checkpoint_files()
    if while_saving and run.wait_until(lambda: run.incomplete_checkpoint_files() - leftover_files):
        activity = 'writing a checkpoint'
    elif not while_saving and rng.random() < .25:
        time.sleep(rng.uniform(0, 10))
        activity = 'starting'
    else:
        run.wait_until(lambda: run.num_steps() > previous_steps)
        time.sleep(rng.uniform(0, _MAX_KILL_DELAY))
        activity = 'training'
    pid = run.worker_pid(task_index)
    if pid is None:
        return None
    os.kill(pid, signal.SIGKILL)
    return f'{activity}, {time.monotonic() - start_time:.1f} s after its start'


def disturbed_run(dataset_dir, train_dir):
    """Run the training with all kills, print each of them, and return their number."""
    rng = random.Random(FLAGS.seed)
    kills = [(task_index, task_index == 0 and number % 2 == 1)
             for task_index in range(FLAGS.workers) for number in range(FLAGS.kills)]
    rng.shuffle(kills)
    run = Run(dataset_dir, train_dir, f'--max_restarts={len(kills)}')
    num_kills = 0
    try:
        for task_index, while_saving in kills:
            description = kill_worker(run, task_index, num_kills, while_saving, rng)
            if description is None:
                print(f'the run ended after {num_kills} kills. Pass more --steps')
                break
            num_kills += 1
            print(f'{num_kills} of {len(kills)}: worker {task_index}, {description}', flush=True)
        run.wait()
    finally:
        run.stop()
    return num_kills


def differing_variables(train_dir, other_train_dir):
    """Return the names of the variables that differ in any bit between the latest checkpoints."""
    import tensorflow.compat.v1 as tf
    reader, other_reader = (tf.train.NewCheckpointReader(tf.train.latest_checkpoint(folder))
                            for folder in (train_dir, other_train_dir))
    names, other_names = (set(r.get_variable_to_shape_map()) for r in (reader, other_reader))
    return sorted(names ^ other_names) + sorted(
        name for name in names & other_names
        if reader.get_tensor(name).tobytes() != other_reader.get_tensor(name).tobytes())


def main():
    """Train twice, once with kills, and compare the checkpoints."""
    from datasets import shapes
    with tempfile.TemporaryDirectory() as folder:
        dataset_dir = f'{folder}/records'
        shapes.write_dataset(f'{folder}/voc', splits={'train': 40})
        subprocess.run([sys.executable, 'tf_convert_data.py', f'--dataset_dir={folder}/voc',
                        f'--output_dir={dataset_dir}'], check=True, capture_output=True)
        Run(dataset_dir, f'{folder}/undisturbed').wait()
        num_kills = disturbed_run(dataset_dir, f'{folder}/disturbed')
        differing = differing_variables(f'{folder}/undisturbed', f'{folder}/disturbed')
    result = (f'{len(differing)} variables differ, for example {differing[:3]}' if differing
              else 'the checkpoints are identical')
    print(f'{FLAGS.workers} workers with {FLAGS.num_clones} clones, {FLAGS.steps} steps, '
          f'{num_kills} kills: {result}')
    return 1 if differing or num_kills < FLAGS.workers * FLAGS.kills else 0


if __name__ == '__main__':
    app.run(main, lambda: None)

"""Train with N processes on this machine, and restart all of them if one is lost.

  bash scripts/launch_workers.sh N [--max_restarts=3] [--first_port=2222] [--isolate_network=1]
    TRAINING_FLAGS

The workers listen on ports that every client can use to read and write files. If the system permits
it, they run in a network namespace that no other process can reach; --isolate_network=0 leaves them
in the network of the machine. TRAINING_FLAGS are those of train_ssd_network.py. The output of
worker 0 is shown as it is; lines of the other workers begin with [number]. Exit code 2 of a worker
(invalid flags or data) ends the training. Ctrl-C or SIGTERM stops all workers, which save a
checkpoint first. Each worker gets the same number of the GPUs in CUDA_VISIBLE_DEVICES, or of all
that nvidia-smi lists; a remainder is not used, and with fewer GPUs than workers every worker sees
all GPUs.
"""
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

# Import from the root of the repository, like the scripts that are there.
sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from deployment import network_isolation  # noqa: E402

_TRAIN_SCRIPT = pathlib.Path(__file__).resolve().parent.parent / 'train_ssd_network.py'
_STOPPED = 143   # 128 + SIGTERM, the exit code of a stopped training


class WorkerGroup:
    """The workers of one training. SIGINT, SIGTERM and SIGHUP to this process stop them."""

    def __init__(self, num_workers, first_port, flags):
        hosts = ','.join(f'127.0.0.1:{first_port + rank}' for rank in range(num_workers))
        self._command = [sys.executable, _TRAIN_SCRIPT, *flags, f'--worker_hosts={hosts}']
        self._num_workers, self._gpus = num_workers, visible_gpus()
        self._workers, self._exit_code, self._output_threads = [], 0, []
        self._stop_requested = self._stop_sent = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:   # nohup ignores SIGHUP
                signal.signal(number, self._request_stop)

    def _request_stop(self, *_):
        self._stop_requested = True

    def run(self):
        """Start all workers, wait until all have ended, and return their common exit code.

        It is 2 if a worker exited with 2, because the others may only report that they lost it.
        Otherwise, it is 143 after a stop signal, or the first exit code that is not 0.
        """
        self._workers, self._exit_code, self._output_threads = [], 0, []
        for rank in range(self._num_workers):
            if not self._stop_requested:
                self._start(rank)
        self._wait(until=lambda: self._exit_code or self._stop_requested)
        self._wait(timeout=self._seconds_to_exit())
        for worker in self._workers:
            worker.kill()
        self._wait(timeout=10)
        for thread in self._output_threads:
            thread.join()
        return _STOPPED if self._stop_requested and self._exit_code != 2 else self._exit_code

    def _start(self, rank):
        environment, share = dict(os.environ), len(self._gpus) // self._num_workers
        if share:
            gpus = self._gpus[rank * share:(rank + 1) * share]
            environment['CUDA_VISIBLE_DEVICES'] = ','.join(gpus)
        # In a session of its own, a worker does not get Ctrl-C from the terminal in addition to
        # the SIGTERM from here: the second signal would end it without saving.
        worker = subprocess.Popen(
            [*self._command, f'--task_index={rank}'], env=environment, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._workers.append(worker)
        for pipe, stream in ((worker.stdout, sys.stdout), (worker.stderr, sys.stderr)):
            thread = threading.Thread(target=forward_lines, args=(pipe, stream, rank), daemon=True)
            thread.start()
            self._output_threads.append(thread)

    def _wait(self, timeout=float('inf'), until=lambda: False):
        """Wait until all workers have ended, `until()` is true, or `timeout` seconds are over."""
        end = time.monotonic() + timeout
        while self._workers and time.monotonic() < end:
            if self._stop_requested and not self._stop_sent:
                self._stop_sent = True
                for worker in self._workers:
                    worker.terminate()
            if until():
                return
            time.sleep(.2)
            for code in filter(None, [worker.poll() for worker in self._workers]):
                if self._exit_code == 0 or code == 2:
                    self._exit_code = code if code > 0 else 128 - code   # -N: killed by signal N
            self._workers = [worker for worker in self._workers if worker.returncode is None]

    def _seconds_to_exit(self):
        """Return how long the other workers may take to exit before they are killed."""
        if self._stop_requested or self._exit_code in (130, _STOPPED):
            return 600   # long enough to write a checkpoint
        # After invalid data, the others may still be checking theirs. Otherwise, they notice within
        # seconds that a worker is lost.
        return 120 if self._exit_code == 2 else 30


def visible_gpus():
    """Return the ids of the GPUs in CUDA_VISIBLE_DEVICES, or of all GPUs, as a list of str."""
    gpus = os.environ.get('CUDA_VISIBLE_DEVICES')
    if gpus is None:
        try:
            gpus = subprocess.check_output(
                ['nvidia-smi', '--query-gpu=index', '--format=csv,noheader'],
                stderr=subprocess.DEVNULL, text=True)
        except (OSError, subprocess.CalledProcessError):
            gpus = ''
    return re.findall(r'[^,\s]+', gpus)


def forward_lines(pipe, stream, rank):
    """Copy the output of a worker to `stream`; lines of other workers than 0 get a prefix."""
    with pipe:
        for line in pipe:
            write(stream, line if rank == 0 else b'[%d] %b' % (rank, line))


def write(stream, data):
    """Write bytes to stdout or stderr; discard them if its reader has exited."""
    try:
        stream.buffer.write(data)
        stream.flush()
    except BrokenPipeError:
        with open(os.devnull, 'wb') as null_device:
            os.dup2(null_device.fileno(), stream.fileno())


def main(arguments):
    """Run the workers, restart them after recoverable failures, and return the exit code."""
    if len(arguments) < 2 or not re.fullmatch(r'[1-9]\d*', arguments[0]):
        print(__doc__.strip())
        return 2
    options, flags = {'max_restarts': 3, 'first_port': 2222, 'isolate_network': 1}, []
    for argument in arguments[1:]:
        if match := re.fullmatch(rf'--({"|".join(options)})=(\d+)', argument):
            options[match[1]] = int(match[2])
        else:
            flags.append(argument)
    # In a user namespace, CUDA cannot create this device file, which every process needs.
    if options['isolate_network'] and (not visible_gpus() or os.path.exists('/dev/nvidia-uvm')):
        network_isolation.isolate()
    group = WorkerGroup(int(arguments[0]), options['first_port'], flags)
    exit_code, restarts, max_restarts = group.run(), 0, options['max_restarts']
    while exit_code not in (0, 2, 130, _STOPPED):
        if restarts == max_restarts:
            write(sys.stderr, b'error: a worker exited with code %d, after %d of %d restarts\n'
                  % (exit_code, restarts, max_restarts))
            break
        restarts += 1
        write(sys.stdout, b'a worker exited with code %d; restarting all workers (%d of %d)\n'
              % (exit_code, restarts, max_restarts))
        exit_code = group.run()
    return exit_code


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))

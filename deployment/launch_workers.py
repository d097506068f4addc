"""Train with N processes on this machine, and restart all of them if one is lost.

  bash scripts/launch_workers.sh N [--max_restarts=3] [--first_port=2222] [--isolate_network=1]
    TRAINING_FLAGS

The workers listen on the ports from first_port on, which every client can use to read and write
files. If the system permits it, they run in a network namespace that no other process can reach;
--isolate_network=0 leaves them in the network of the machine. TRAINING_FLAGS are those of
train_ssd_network.py. The output of worker 0 is shown as it is; lines of the other workers begin
with [number]. Exit code 2 of a worker (invalid flags or data) ends the training. Ctrl-C, SIGTERM or
SIGHUP stops all workers, which save a checkpoint first. On Linux they also stop and save if this
process is killed. Each worker gets the same number of the GPUs in CUDA_VISIBLE_DEVICES, or of all
that nvidia-smi lists; a remainder is not used, and with fewer GPUs than workers every worker sees
all GPUs.
"""
import contextlib
import ctypes
import functools
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time

# Import from the root of the repository, like the scripts that are there.
sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from deployment import network_isolation  # noqa: E402

_TRAIN_SCRIPT = pathlib.Path(__file__).resolve().parent.parent / 'train_ssd_network.py'
_STOPPED = 143   # 128 + SIGTERM, the exit code of a stopped training
_STOP_CODES = (129, 130, _STOPPED)   # 128 + SIGHUP, SIGINT, SIGTERM
# Longer than the workers of a killed launcher need to finish a step and to save.
_PORT_WAIT_SECS = 60
_PR_SET_PDEATHSIG = 1   # of linux/prctl.h
_LIBC = ctypes.CDLL(None)


class UsageError(ValueError):
    """Invalid arguments of the launcher."""


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
        # Threads, so only after all workers have been forked.
        for rank, worker in enumerate(self._workers):
            self._forward_output(rank, worker)
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
        # the SIGTERM from here: the second signal would end it without saving. The function that is
        # called between fork and exec might block if this process had threads.
        self._workers.append(subprocess.Popen(
            [*self._command, f'--task_index={rank}'], env=environment, start_new_session=True,
            preexec_fn=functools.partial(_stop_with_launcher, os.getpid()),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE))

    def _forward_output(self, rank, worker):
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
        if self._stop_requested or self._exit_code in _STOP_CODES:
            return 700   # longer than `training.stop_signals` allows for a step and a checkpoint
        # After invalid data, the others may still be checking theirs. Otherwise, they notice within
        # seconds that a worker is lost.
        return 120 if self._exit_code == 2 else 30


def _stop_with_launcher(launcher_pid):
    """Let the kernel send SIGHUP to this new worker when the launcher ends, also by SIGKILL.

    The kernel sends one for each thread of the launcher, and a second SIGTERM would end the worker
    without saving.
    """
    signal.signal(signal.SIGHUP, signal.SIG_DFL)   # nohup ignores it in the launcher
    if sys.platform == 'linux':
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGHUP)
        if os.getppid() != launcher_pid:   # the launcher has ended before the call
            os._exit(_STOPPED)


def wait_for_ports(ports, timeout_secs=_PORT_WAIT_SECS):
    """Wait until no program listens on these ports, such as workers of a killed launcher.

    Raises:
        UsageError: If a port is still in use after the timeout.
    """
    end, is_logged = time.monotonic() + timeout_secs, False
    while used := [port for port in ports if not _is_free(port)]:
        if time.monotonic() > end:
            raise UsageError(f'another program uses port {used[0]}, perhaps a worker of an earlier '
                             f'training. Stop it (ss -ltnp lists it), or pass another --first_port')
        if not is_logged:
            is_logged = True
            write(sys.stdout, b'waiting for port %d, which another program uses\n' % used[0])
        time.sleep(.2)


def _is_free(port):
    with contextlib.closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)   # as TensorFlow does
        try:
            probe.bind(('', port))
        except OSError:
            return False
    return True


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
    """Write bytes to stdout or stderr; discard them if its reader or terminal is gone."""
    try:
        stream.buffer.write(data)
        stream.flush()
    except OSError:
        with open(os.devnull, 'wb') as null_device:
            os.dup2(null_device.fileno(), stream.fileno())


def parse_arguments(arguments):
    """Return (number of workers, option name -> number, training flags).

    Raises:
        UsageError: If an argument is invalid.
    """
    number, *rest = arguments or ['']
    if not re.fullmatch(r'[1-9]\d*', number):
        raise UsageError(f"the number of processes comes first, not '{number}'. Write for example: "
                         f'bash scripts/launch_workers.sh 2 --dataset_dir=… --train_dir=…')
    options, flags = {'max_restarts': 3, 'first_port': 2222, 'isolate_network': 1}, []
    for argument in rest:
        name, _, value = argument.lstrip('-').partition('=')
        if name in ('worker_hosts', 'task_index'):
            raise UsageError(f'the launcher sets --{name} itself. Leave it out, or start the '
                             f'processes without the launcher')
        if name not in options:
            flags.append(argument)
        elif value.isdecimal():
            options[name] = int(value)
        else:
            raise UsageError(f'{argument} is not a number. Write --{name}=N')
    max_first_port = (1 << 16) - int(number)
    if not 0 < options['first_port'] <= max_first_port:
        raise UsageError(f'--first_port={options["first_port"]}: ports end at 65535. Pass 1 to '
                         f'{max_first_port} for {number} processes')
    return int(number), options, flags


def main(arguments):
    """Run the workers, restart them after recoverable failures, and return the exit code."""
    if {'--help', '-h'} & set(arguments):
        print(__doc__.strip())
        return 2   # as the other shell scripts
    try:
        num_workers, options, flags = parse_arguments(arguments)
        first_port, max_restarts = options['first_port'], options['max_restarts']
        # In a user namespace, CUDA cannot create this device file, which every process needs.
        if options['isolate_network'] and (not visible_gpus() or os.path.exists('/dev/nvidia-uvm')):
            network_isolation.isolate()
        wait_for_ports(range(first_port, first_port + num_workers))
    except UsageError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    group = WorkerGroup(num_workers, first_port, flags)
    exit_code, restarts = group.run(), 0
    while exit_code not in (0, 2, *_STOP_CODES):
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

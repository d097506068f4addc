"""The other processes of a cluster: wait for them at the start, and stop if one is lost."""
import contextlib
import os
import socket
import threading
import time

import tensorflow.compat.v1 as tf

from cli import console
from common.errors import LostProcessError, op_error_message
from common.log import log

# Errors that TensorFlow raises if another process exited, restarted or did not answer in time.
_LOST_PROCESS_ERRORS = (
    tf.errors.UnavailableError, tf.errors.DeadlineExceededError, tf.errors.AbortedError,
    tf.errors.CancelledError, tf.errors.FailedPreconditionError, tf.errors.InternalError)
# The watchdog looks for unreachable processes every _CHECK_INTERVAL_SECS, but only if the current
# block has lasted _GRACE_SECS. After _MAX_FAILED_CHECKS in a row it ends this process.
_GRACE_SECS, _CHECK_INTERVAL_SECS, _MAX_FAILED_CHECKS = 5, 2, 3


class Peers:
    """The other processes of a `Cluster`, as this process sees them."""

    def __init__(self, cluster, timeout_secs):
        self._hosts, self._rank, self._timeout = cluster.hosts, cluster.rank, timeout_secs
        self._block_start = None   # monotonic time; None outside of `detect_lost_processes`

    def wait_for_all(self):
        """Return when all processes accept connections; LostProcessError after the timeout."""
        start, is_logged = time.monotonic(), False
        while unreachable := self._unreachable():
            waited_secs = time.monotonic() - start
            if waited_secs > self._timeout:
                raise LostProcessError(
                    f'no answer from {unreachable} after {self._timeout} s. Start the process, or '
                    f'correct --worker_hosts')
            if waited_secs > _GRACE_SECS and not is_logged:
                is_logged = True
                log.info('waiting for %s', unreachable)
            time.sleep(.2)

    def start_watchdog(self):
        """Start a thread that ends this process if it waits for a lost process.

        TensorFlow has waits without a timeout: for example, the first step of a process asks
        process 0 for its step sequence. The watchdog covers `detect_lost_processes` blocks.
        """
        threading.Thread(target=self._watch, daemon=True).start()

    @contextlib.contextmanager
    def detect_lost_processes(self):
        """Return a context that raises LostProcessError if another process is lost.

        It replaces the TensorFlow errors that a lost process causes. Errors of this process pass
        through.
        """
        self._block_start = time.monotonic()
        try:
            yield
        except _LOST_PROCESS_ERRORS as error:
            time.sleep(.5)   # until the operating system has closed the port of the lost process
            unreachable = self._unreachable()
            if isinstance(error, tf.errors.InternalError) and not unreachable:
                raise        # from a device or library of this process
            if unreachable:
                problem = f'{unreachable} is lost'
            elif isinstance(error, tf.errors.DeadlineExceededError):
                problem = f'another process did not answer within {self._timeout} s'
            else:
                problem = 'another process was lost'
            raise LostProcessError(
                f'{self._explain(problem)} ({op_error_message(error)[:200]})') from error
        finally:
            self._block_start = None

    def _unreachable(self):
        """Return the processes that accept no connection, as text for messages; '' if none."""
        return ', '.join(
            f'process {rank} ({host})' for rank, host in enumerate(self._hosts)
            if rank != self._rank and not _accepts_connections(host))

    def _explain(self, problem):
        return (f'{problem}, so process {self._rank} stops. Restart all processes: they resume '
                f'from the last checkpoint')

    def _watch(self):
        """Run the watchdog."""
        failed_checks = 0
        while True:
            time.sleep(_CHECK_INTERVAL_SECS)
            start = self._block_start
            is_waiting = start is not None and time.monotonic() - start > _GRACE_SECS
            unreachable = self._unreachable() if is_waiting else ''
            failed_checks = failed_checks + 1 if unreachable else 0
            if failed_checks == _MAX_FAILED_CHECKS and self._block_start == start:
                console.print_error(self._explain(f'{unreachable} is lost'))
                os._exit(LostProcessError.exit_code)


def _accepts_connections(host):
    """Return whether a process listens at 'host:port'."""
    name, _, port = host.rpartition(':')
    try:
        with contextlib.closing(socket.create_connection((name.strip('[]'), int(port)), 2)):
            return True
    except OSError:
        return False

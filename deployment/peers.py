"""The other processes of a training: whether they are there, and what this one says and does where one is not."""
import contextlib
import os
import socket
import threading
import time

import tensorflow.compat.v1 as tf

from cli import console
from common.errors import LostProcessError, op_error_message
from common.log import log

# What TensorFlow raises in the others where one process is gone, has started anew, or has not answered in time.
_LOST = (tf.errors.UnavailableError, tf.errors.DeadlineExceededError, tf.errors.AbortedError, tf.errors.CancelledError,
         tf.errors.FailedPreconditionError, tf.errors.InternalError)
# A run that takes longer is looked into: so many seconds, then every so many, until somebody was away so many times.
_PATIENCE, _INTERVAL, _ABSENCES = 5, 2, 3


class Peers:
    """The processes of a `Cluster`, as one of them sees them."""

    def __init__(self, cluster, timeout_secs):
        self._hosts, self._rank, self._timeout = cluster.hosts, cluster.rank, timeout_secs
        self._waiting_since = None

    def wait_for_all(self):
        """Returns when all answer; LostProcessError where one does not in time."""
        started, said = time.monotonic(), False
        while missing := self._missing():
            waited = time.monotonic() - started
            if waited > self._timeout:
                raise LostProcessError(f'after {self._timeout} s there is no answer from {missing}; start it, or correct '
                               f'--worker_hosts')
            if waited > _PATIENCE and not said:
                said = True
                log.info('waiting for %s', missing)
            time.sleep(.2)

    def look_after(self):
        """From here on, a thread ends this process where a `watched` block waits for somebody who is away."""
        threading.Thread(target=self._look_after, daemon=True).start()

    @contextlib.contextmanager
    def watched(self):
        """In its block, what TensorFlow raises where another process is lost becomes a LostProcessError that names it.

        TensorFlow waits for some without end (a worker's first step asks worker 0 for its number): then `look_after`
        ends the process with the same sentence and code.
        """
        self._waiting_since = time.monotonic()
        try:
            yield
        except _LOST as error:
            time.sleep(.5)   # until the lost one's port is closed
            missing = self._missing()
            if isinstance(error, tf.errors.InternalError) and not missing:
                raise        # of this process: a device, a library
            why = f'{missing} is gone' if missing else f'some worker did not answer within {self._timeout} s' \
                if isinstance(error, tf.errors.DeadlineExceededError) else 'another worker was lost'
            raise LostProcessError(f'{self._cannot_go_on(why)} ({op_error_message(error)[:200]})') from error
        finally:
            self._waiting_since = None

    def _missing(self):
        """The others that accept no connection, for people: '' if all do."""
        return ', '.join(f'worker {rank} ({host})' for rank, host in enumerate(self._hosts)
                         if rank != self._rank and not _answers(host))

    def _cannot_go_on(self, why):
        return (f'{why}, and this one, worker {self._rank}, cannot go on alone; start all again, and they go on from '
                f'the last checkpoint')

    def _look_after(self):
        """Runs in the thread."""
        absences = 0
        while True:
            time.sleep(_INTERVAL)
            since = self._waiting_since
            long = since is not None and time.monotonic() - since > _PATIENCE
            missing = self._missing() if long else ''
            absences = absences + 1 if missing else 0
            if absences == _ABSENCES and self._waiting_since == since:
                console.print_error(self._cannot_go_on(f'{missing} is gone'))
                os._exit(LostProcessError.exit_code)


def _answers(host):
    """Whether something accepts connections at host:port."""
    name, _, port = host.rpartition(':')
    try:
        with contextlib.closing(socket.create_connection((name.strip('[]'), int(port)), 2)):
            return True
    except OSError:
        return False

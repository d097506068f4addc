"""Several processes that train as one: each holds all variables, and gradients are summed over them at every step.

TensorFlow's collective ops do it, between the servers of the processes; there is no parameter server. Where one process
is lost the others cannot go on: all end, and start again from the last checkpoint.
"""
import contextlib
import itertools
import json
import os
import socket
import threading
import time

import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.python.ops import collective_ops  # the public API has them for eager code alone

from deployment import console
from deployment.console import log
from deployment.errors import TryAgain, UserError, reason

_PROCESSES, _AGREEMENT = 2, 3   # group keys: collectives of one key are among the same devices
_DESCRIPTION = 1 << 16          # bytes
_BUCKET = 1 << 22               # values that are summed in one go, 16 MiB: small enough to begin before all are there
# What TensorFlow raises in the others where one process is gone, has started anew, or has not answered in time.
_LOST = (tf.errors.UnavailableError, tf.errors.DeadlineExceededError, tf.errors.AbortedError, tf.errors.CancelledError,
         tf.errors.FailedPreconditionError, tf.errors.InternalError)
# A run that takes longer is looked into: so many seconds, then every so many, until somebody was away so many times.
_PATIENCE, _INTERVAL, _ABSENCES = 5, 2, 3


class ProcessGroup:
    """The processes of a `Cluster`, as one of them sees them. Alone it adds nothing to a graph, and waits for nobody.

    All build the same graph in the same order, so that the collectives of each meet those of the others.
    """

    def __init__(self, cluster, timeout_secs=0, device='', config=None):
        """device: where sums are made, that of the variables. config: the sessions' ConfigProto, which is completed."""
        self.size, self.rank, self.is_chief = cluster.size, cluster.rank, cluster.is_chief
        self.master = ''   # of its sessions
        self._hosts, self._timeout, self._device, self._config = cluster.hosts, timeout_secs, device, config
        self._keys = itertools.count(1)
        self._broadcast = self._barrier = None
        self._waiting_since = None
        if self.size > 1:
            self._start_server()
            self._wait_for_others()
            threading.Thread(target=self._look_after_others, daemon=True).start()

    def _start_server(self):
        host = self._hosts[self.rank]
        with contextlib.closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)   # as TensorFlow does
            try:
                probe.bind(('', _port(host)))
            except OSError as error:
                raise UserError(f'port {_port(host)} of this machine cannot be used for worker {self.rank} '
                                f'({error.strerror}); choose another in --worker_hosts, or end what uses it') from error
        self._config.experimental.collective_group_leader = '/job:worker/replica:0/task:0'
        self._config.device_filters.append(f'/job:worker/task:{self.rank}')
        self._server = tf.train.Server(tf.train.ClusterSpec({'worker': list(self._hosts)}), job_name='worker',
                                       task_index=self.rank, config=self._config)
        self.master = self._server.target

    def _wait_for_others(self):
        """Returns when all answer; TryAgain where one does not in time."""
        started, said = time.monotonic(), False
        while missing := self._unreachable():
            waited = time.monotonic() - started
            if waited > self._timeout:
                raise TryAgain(f'after {self._timeout} s there is no answer from {missing}; start it, or correct '
                               f'--worker_hosts')
            if waited > 5 and not said:
                said = True
                log.info('waiting for %s', missing)
            time.sleep(.2)

    def _unreachable(self):
        """The others that accept no connection, for people: '' if all do."""
        return ', '.join(f'worker {rank} ({host})' for rank, host in enumerate(self._hosts)
                         if rank != self.rank and not _answers(host))

    def agree(self, description):
        """UserError, in every process alike, where one was started with something else than worker 0.

        description: name -> value, all that must be the same everywhere.
        """
        if self.size == 1:
            return
        text = json.dumps(description, default=str).encode()
        if len(text) > _DESCRIPTION:
            raise UserError(f'the flags of this run are longer than {_DESCRIPTION} characters; shorten them')
        padded = np.zeros(_DESCRIPTION, np.int32)
        padded[:len(text)] = np.frombuffer(text, np.uint8)
        with tf.Graph().as_default(), tf.device('/device:CPU:0'), self.watched():
            gathered = collective_ops.all_gather(tf.constant(padded), self.size, _AGREEMENT, 1, timeout=self._timeout)
            with tf.Session(self.master, config=self._config) as session:
                found = session.run(gathered)
        first, *others = (json.loads(bytes(row[row > 0].astype(np.uint8))) for row in np.split(found, self.size))
        differences = [f'worker {rank} ({self._hosts[rank]}) has {name}={other.get(name)}, worker 0 has {value}'
                       for rank, other in enumerate(others, 1) for name, value in first.items()
                       if other.get(name) != value]
        if differences:
            raise UserError(f'{"; ".join(differences)}; start all with the same')

    def sum(self, tensors):
        """These float32 tensors, each summed over the processes.

        They go in buckets, the last tensors first, whose gradients are made first: so some are under way while others
        are still computed.
        """
        if self.size == 1:
            return list(tensors)
        summed = {}
        with tf.device(self._device):
            for bucket in _buckets(list(enumerate(map(tf.convert_to_tensor, tensors)))[::-1]):
                flat = tf.concat([tf.reshape(tensor, [-1]) for _, tensor in bucket], 0)
                whole = collective_ops.all_reduce(flat, self.size, _PROCESSES, next(self._keys), 'Add', 'Id',
                                                  timeout=self._timeout)
                parts = tf.split(whole, [tensor.shape.num_elements() for _, tensor in bucket])
                summed |= {index: tf.reshape(part, tensor.shape)
                           for (index, tensor), part in zip(bucket, parts, strict=True)}
        return [summed[index] for index in range(len(tensors))]

    def make_broadcast(self):
        """Makes the ops that `begin` runs; all variables must be there."""
        if self.size == 1:
            return
        made = []
        with tf.device(self._device):
            for variable in tf.global_variables():
                options = (variable.shape, variable.dtype.base_dtype, self.size, _PROCESSES, next(self._keys))
                value = collective_ops.broadcast_send(tf.identity(variable), *options, timeout=self._timeout) \
                    if self.is_chief else collective_ops.broadcast_recv(*options, timeout=self._timeout)
                made.append(tf.assign(variable, value))
        self._broadcast = tf.group(*made)
        self._barrier, = self.sum([tf.constant(0.)])

    def begin(self, session):
        """Gives every variable the value it has in worker 0, which restored it, and starts the input there."""
        if self.size == 1:
            return
        with self.watched():
            session.run(self._broadcast)
        if not self.is_chief:
            session.run(tf.get_collection(tf.GraphKeys.TABLE_INITIALIZERS))   # of the step that has just arrived

    def end(self, session):
        """Returns when all have come here: nobody ends while another still needs it."""
        if self.size > 1:
            with self.watched():
                session.run(self._barrier)

    @contextlib.contextmanager
    def watched(self):
        """In its block, what TensorFlow raises where another process is lost becomes a TryAgain that names it.

        TensorFlow waits for some without end (a worker's first step asks worker 0 for its number): then the process
        ends with the same sentence and code.
        """
        self._waiting_since = time.monotonic()
        try:
            yield
        except _LOST as error:
            if self.size == 1:
                raise
            time.sleep(.5)   # until the lost one's port is closed
            missing = self._unreachable()
            if isinstance(error, tf.errors.InternalError) and not missing:
                raise        # of this process: a device, a library
            why = f'{missing} is gone' if missing else f'some worker did not answer within {self._timeout} s' \
                if isinstance(error, tf.errors.DeadlineExceededError) else 'another worker was lost'
            raise TryAgain(f'{self._cannot_go_on(why)} ({reason(error)[:200]})') from error
        finally:
            self._waiting_since = None

    def _cannot_go_on(self, why):
        return (f'{why}, and this one, worker {self.rank}, cannot go on alone; start all again, and they go on from '
                f'the last checkpoint')

    def _look_after_others(self):
        """Runs in a thread; ends the process where a `watched` block waits for somebody who is away."""
        absences = 0
        while True:
            time.sleep(_INTERVAL)
            since = self._waiting_since
            long = since is not None and time.monotonic() - since > _PATIENCE
            missing = self._unreachable() if long else ''
            absences = absences + 1 if missing else 0
            if absences == _ABSENCES and self._waiting_since == since:
                console.error(self._cannot_go_on(f'{missing} is gone'))
                os._exit(TryAgain.exit_code)


def _buckets(numbered):
    """Lists of (index, tensor), in their order, of `_BUCKET` values at most if one tensor alone has no more."""
    buckets, values = [], _BUCKET
    for index, tensor in numbered:
        values += tensor.shape.num_elements()
        if values > _BUCKET:
            buckets.append([])
            values = tensor.shape.num_elements()
        buckets[-1].append((index, tensor))
    return buckets


def _port(host):
    return int(host.rpartition(':')[2])


def _answers(host):
    """Whether something accepts connections there."""
    try:
        with contextlib.closing(socket.create_connection((host.rpartition(':')[0].strip('[]'), _port(host)), 2)):
            return True
    except OSError:
        return False

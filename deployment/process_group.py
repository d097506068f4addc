"""Several processes that train as one: each holds all variables, and gradients are summed over them at every step.

TensorFlow's collective ops do it, between the servers of the processes; there is no parameter server. Where one process
is lost the others cannot go on: all end, and start again from the last checkpoint.
"""
import contextlib
import itertools
import json
import socket

import numpy as np
import tensorflow.compat.v1 as tf

from common.errors import UserError
from deployment import collectives
from deployment.peers import Peers

_DESCRIPTION = 1 << 16   # bytes
_BUCKET = 1 << 22        # values that are summed in one go, 16 MiB: small enough to begin before all are there


class ProcessGroup:
    """The processes of a `Cluster`, as one of them sees them. Alone it adds nothing to a graph, and waits for nobody.

    All build the same graph in the same order, so that the collectives of each meet those of the others. `master` and
    `config` are those of this process's sessions.
    """

    def __init__(self, cluster, timeout_secs=0, device='', config=None, gradient_precision='float32'):
        """device: where sums are made, that of the variables. config: ConfigProto of a session without a group.

        gradient_precision: what gradients travel in.
        """
        self.gradient_precision = tf.as_dtype(gradient_precision)
        self.size, self.rank, self.is_chief = cluster.size, cluster.rank, cluster.is_chief
        self.master, self.config = '', config
        self._hosts, self._timeout, self._device = cluster.hosts, timeout_secs, device
        self._keys = itertools.count(1)
        self._broadcast = self._barrier = None
        if self.size > 1:
            self._start_server(config)
            self._peers = Peers(cluster, timeout_secs)
            self._peers.wait_for_all()
            self._peers.look_after()

    def _start_server(self, config):
        port = int(self._hosts[self.rank].rpartition(':')[2])
        with contextlib.closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)   # as TensorFlow does
            try:
                probe.bind(('', port))
            except OSError as error:
                raise UserError(f'port {port} of this machine cannot be used for worker {self.rank} '
                                f'({error.strerror}); choose another in --worker_hosts, or end what uses it') from error
        self.config = tf.ConfigProto()
        self.config.CopyFrom(config)
        self.config.experimental.collective_group_leader = '/job:worker/replica:0/task:0'
        self.config.device_filters.append(f'/job:worker/task:{self.rank}')
        self._server = tf.train.Server(tf.train.ClusterSpec({'worker': list(self._hosts)}), job_name='worker',
                                       task_index=self.rank, config=self.config)
        self.master = self._server.target

    def watched(self):
        """A block in which the loss of another process ends this one with a sentence: `Peers.watched`."""
        return self._peers.watched() if self.size > 1 else contextlib.nullcontext()

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
            gathered = collectives.gather(tf.constant(padded), self.size, self._timeout)
            with tf.Session(self.master, config=self.config) as session:
                found = session.run(gathered)
        first, *others = (json.loads(bytes(row[row > 0].astype(np.uint8))) for row in np.split(found, self.size))
        differences = [f'worker {rank} ({self._hosts[rank]}) has {name}={other.get(name)}, worker 0 has {value}'
                       for rank, other in enumerate(others, 1) for name, value in first.items()
                       if other.get(name) != value]
        if differences:
            raise UserError(f'{"; ".join(differences)}; start all with the same')

    def sum(self, tensors, precision=tf.float32):
        """These float32 tensors, each summed over the processes, which exchange them in `precision`.

        They go in buckets, the last tensors first, whose gradients are made first: so some are under way while others
        are still computed.
        """
        if self.size == 1:
            return list(tensors)
        summed = {}
        for bucket in _buckets(list(enumerate(map(tf.convert_to_tensor, tensors)))[::-1]):
            with tf.device(self._device):
                flat = tf.concat([tf.reshape(tensor, [-1]) for _, tensor in bucket], 0)
            whole = self._sum(flat, precision)
            with tf.device(self._device):
                parts = tf.split(whole, [tensor.shape.num_elements() for _, tensor in bucket])
                summed |= {index: tf.reshape(part, tensor.shape)
                           for (index, tensor), part in zip(bucket, parts, strict=True)}
        return [summed[index] for index in range(len(tensors))]

    def _sum(self, values, precision):
        """Values [n] float32, exchanged in `precision`, summed over the processes: [n] float32."""
        if precision == tf.float32:
            with tf.device(self._device):
                return collectives.sum_over_processes(values, self.size, next(self._keys), self._timeout)
        with tf.device(self._device):
            narrow = tf.cast(values, precision)
        with tf.device('/device:CPU:0'):
            whole = collectives.sum_over_processors(narrow, self.size, next(self._keys), self._timeout)
        with tf.device(self._device):
            return tf.cast(whole, tf.float32)

    def make_meetings(self):
        """Makes the ops that `begin` and `end` run; all variables must be there."""
        if self.size == 1:
            return
        with tf.device(self._device):
            self._broadcast = tf.group(*(
                tf.assign(variable, collectives.value_of_first(variable, self.is_chief, self.size, next(self._keys),
                                                               self._timeout))
                for variable in tf.global_variables()))
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

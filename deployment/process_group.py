"""Synchronous data-parallel training in several processes.

Every process holds all variables; gradients are summed over the processes in every step, by
TensorFlow's collective ops between the servers of the processes. There are no parameter servers.
If one process is lost, all others stop, and all restart from the last checkpoint.
"""
import contextlib
import itertools
import json
import socket

import numpy as np
import tensorflow.compat.v1 as tf

from common.errors import UserError
from common.log import log
from deployment import collectives, network_isolation
from deployment.peers import Peers

_MAX_CONFIGURATION_BYTES = 1 << 16
# Values that one collective sums, 16 MiB of float32: small enough for the first to start before
# the last gradients are computed.
_BUCKET_VALUES = 1 << 22


class ProcessGroup:
    """The processes of a run, as this process sees them.

    All processes create the same collectives in the same order. For a single process, the methods
    add nothing to the graph and return at once.

    Attributes:
        deployment: `DeploymentConfig` of this process.
        gradient_precision: tf.DType in which processes exchange gradients.
        master: target of this process's sessions, '' for a single process.
        session_config: ConfigProto of this process's sessions.
    """

    def __init__(self, deployment, session_config, timeout_secs=0, gradient_precision='float32'):
        """Start the server of this process and wait for the other processes.

        Args:
            deployment: `DeploymentConfig`; the collectives of a group run on the variables' device.
            session_config: ConfigProto of a session without a group.
            timeout_secs: time to wait for other processes, at the start and in each collective.
            gradient_precision: type in which gradients are exchanged, 'float32' or 'bfloat16'.

        Raises:
            UserError: If the port of this process is in use.
            LostProcessError: If another process does not answer in time.
        """
        self.deployment = deployment
        self.gradient_precision = tf.as_dtype(gradient_precision)
        self.master, self.session_config = '', session_config
        self._timeout = timeout_secs
        self._instance_keys = itertools.count(1)
        self._broadcast = self._barrier = None
        if self.num_processes > 1:
            self._start_server()
            self._peers = Peers(deployment.cluster, timeout_secs)
            self._peers.wait_for_all()
            self._peers.start_watchdog()

    @property
    def num_processes(self):
        """Number of processes."""
        return self.deployment.num_processes

    @property
    def rank(self):
        """Index of this process."""
        return self.deployment.cluster.rank

    @property
    def is_chief(self):
        """Whether this process logs, writes summaries and saves checkpoints."""
        return self.deployment.cluster.is_chief

    def _start_server(self):
        hosts = self.deployment.cluster.hosts
        port = int(hosts[self.rank].rpartition(':')[2])
        with contextlib.closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)   # as TensorFlow does
            try:
                probe.bind(('', port))
            except OSError as error:
                raise UserError(
                    f'process {self.rank} cannot listen on port {port} ({error.strerror}). Stop '
                    f'the program that uses it, perhaps a process of an earlier run (ss -ltnp '
                    f'lists it), or choose another port in --worker_hosts') from error
        if self.is_chief and not network_isolation.is_isolated():
            log.info('warning: the ports of --worker_hosts accept connections from all networks, '
                     'and whoever connects can read and write files as you; a firewall rule for '
                     'each machine (with ip6tables, too): %s',
                     network_isolation.firewall_command(hosts))
        config = tf.ConfigProto()
        config.CopyFrom(self.session_config)
        config.experimental.collective_group_leader = '/job:worker/replica:0/task:0'
        config.device_filters.append(f'/job:worker/task:{self.rank}')
        self._server = tf.train.Server(
            tf.train.ClusterSpec({'worker': list(hosts)}), job_name='worker',
            task_index=self.rank, config=config)
        self.master, self.session_config = self._server.target, config

    def detect_lost_processes(self):
        """Return a context that raises LostProcessError if another process is lost.

        See `Peers.detect_lost_processes`.
        """
        if self.num_processes == 1:
            return contextlib.nullcontext()
        return self._peers.detect_lost_processes()

    def check_same_configuration(self, configuration):
        """Raise UserError, in every process, if a configuration differs from that of process 0.

        configuration: name -> value of everything that must be equal in all processes.
        """
        if self.num_processes == 1:
            return
        text = json.dumps(configuration, default=str).encode()
        if len(text) > _MAX_CONFIGURATION_BYTES:
            raise UserError(f'the flags of this run have more than {_MAX_CONFIGURATION_BYTES} '
                            f'characters. Shorten them')
        padded = np.zeros(_MAX_CONFIGURATION_BYTES, np.int32)
        padded[:len(text)] = np.frombuffer(text, np.uint8)
        with tf.Graph().as_default(), tf.device('/device:CPU:0'), self.detect_lost_processes():
            gathered = collectives.gather(tf.constant(padded), self.num_processes, self._timeout)
            with tf.Session(self.master, config=self.session_config) as session:
                rows = np.split(session.run(gathered), self.num_processes)
        configurations = [json.loads(bytes(row[row > 0].astype(np.uint8))) for row in rows]
        hosts = self.deployment.cluster.hosts
        differences = [
            f'process {rank} ({hosts[rank]}) has {name}={actual.get(name)}, process 0 has {value}'
            for rank, actual in enumerate(configurations)
            for name, value in configurations[0].items() if actual.get(name) != value]
        if differences:
            raise UserError(f'{"; ".join(differences)}. Start all processes with the same '
                            f'configuration')

    def sum(self, tensors, precision=tf.float32):
        """Sum float32 tensors over the processes, which exchange them in `precision`.

        The tensors are concatenated to buckets, each summed by one collective. The last tensors
        form the first bucket: their gradients are computed first, so their exchange overlaps with
        the rest of the backward pass.
        """
        if self.num_processes == 1:
            return list(tensors)
        device = self.deployment.variables_device()
        sums = {}
        numbered = list(enumerate(map(tf.convert_to_tensor, tensors)))
        for bucket in _make_buckets(numbered[::-1]):
            with tf.device(device):
                flat = tf.concat([tf.reshape(tensor, [-1]) for _, tensor in bucket], 0)
            flat_sum = self._sum_flat(flat, precision)
            with tf.device(device):
                parts = tf.split(flat_sum, [tensor.shape.num_elements() for _, tensor in bucket])
                sums |= {index: tf.reshape(part, tensor.shape)
                         for (index, tensor), part in zip(bucket, parts, strict=True)}
        return [sums[index] for index in range(len(tensors))]

    def _sum_flat(self, values, precision):
        """Sum [n] float32 over the processes, exchanged in `precision`; returns [n] float32."""
        device, key = self.deployment.variables_device(), next(self._instance_keys)
        with tf.device(device):
            if precision == tf.float32:
                return collectives.sum_over_processes(
                    values, self.num_processes, key, self._timeout)
            values = tf.cast(values, precision)
        with tf.device('/device:CPU:0'):
            values = collectives.sum_over_processes_on_cpu(
                values, self.num_processes, key, self._timeout)
        with tf.device(device):
            return tf.cast(values, tf.float32)

    def create_sync_ops(self):
        """Create the ops of `broadcast_variables` and `barrier`, once all variables exist."""
        if self.num_processes == 1:
            return
        with tf.device(self.deployment.variables_device()):
            self._broadcast = tf.group(*(
                tf.assign(variable, collectives.broadcast_from_chief(
                    variable, self.is_chief, self.num_processes, next(self._instance_keys),
                    self._timeout))
                for variable in tf.global_variables()))
        self._barrier, = self.sum([tf.constant(0.)])

    def broadcast_variables(self, session):
        """Assign the chief's value to every variable, and start the input at its global step."""
        if self.num_processes == 1:
            return
        with self.detect_lost_processes():
            session.run(self._broadcast)
        if not self.is_chief:
            # The input pipeline starts at the global step, which has just changed.
            session.run(tf.get_collection(tf.GraphKeys.TABLE_INITIALIZERS))

    def barrier(self, session):
        """Return when all processes have called it: none exits while another still needs it."""
        if self.num_processes > 1:
            with self.detect_lost_processes():
                session.run(self._barrier)


def _make_buckets(numbered):
    """Group (index, tensor) pairs, in order, into lists of at most `_BUCKET_VALUES` values.

    A tensor with more values has a bucket of its own.
    """
    buckets, num_values = [], _BUCKET_VALUES
    for index, tensor in numbered:
        num_values += tensor.shape.num_elements()
        if num_values > _BUCKET_VALUES:
            buckets.append([])
            num_values = tensor.shape.num_elements()
        buckets[-1].append((index, tensor))
    return buckets

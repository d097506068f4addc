"""Collective ops of TensorFlow between devices and between processes.

An op has a group key, which identifies the participating devices, and an instance key, which all of
them use for the same collective.
"""
import zlib
from typing import NamedTuple

import tensorflow.compat.v1 as tf
from tensorflow.python.ops import collective_ops  # public API: eager mode only

# Group keys. All collectives with the same group key run on the same devices.
_REPLICAS, _PROCESSES, _GATHER, _PROCESSES_ON_CPU = 1, 2, 3, 4


def sum_over_processes(tensor, num_processes, instance_key, timeout_secs):
    """Sum a float32 tensor over all processes, on the device of the variables."""
    return collective_ops.all_reduce(
        tensor, num_processes, _PROCESSES, instance_key, 'Add', 'Id', timeout=timeout_secs)


def sum_over_processes_on_cpu(tensor, num_processes, instance_key, timeout_secs):
    """Sum a tensor over the CPUs of all processes, which also support bfloat16, as not all GPUs do.

    Call it under the device scope of a CPU.
    """
    return collective_ops.all_reduce(
        tensor, num_processes, _PROCESSES_ON_CPU, instance_key, 'Add', 'Id', timeout=timeout_secs)


def broadcast_from_chief(variable, is_chief, num_processes, instance_key, timeout_secs):
    """Return the value that a variable has in the chief, in every process."""
    options = (variable.shape, variable.dtype.base_dtype, num_processes, _PROCESSES, instance_key)
    if is_chief:
        return collective_ops.broadcast_send(
            tf.identity(variable), *options, timeout=timeout_secs)
    return collective_ops.broadcast_recv(*options, timeout=timeout_secs)


def gather(tensor, num_processes, timeout_secs):
    """Concatenate the tensors [n, ...] of all processes, by rank, to [num_processes * n, ...].

    Call it once per graph, under the device scope of a CPU.
    """
    return collective_ops.all_gather(tensor, num_processes, _GATHER, 1, timeout=timeout_secs)


class Replicas(NamedTuple):
    """The replicas of a run, as the model function of one clone sees them.

    All replicas build the same ops, each on its own device and its own share of the batch.
    """
    num_replicas: int
    timeout_secs: int = 0   # 0: no timeout

    def mean(self, tensor):
        """Average a tensor over all replicas, with a gradient.

        The mean depends on the tensors of all replicas, so the gradient is averaged over them, too.
        The instance key is derived from the current name scope below that of the clone: call the
        method at most once per scope, and in the same scope in every clone.
        """
        if self.num_replicas == 1:
            return tensor
        scope_in_clone = tf.get_default_graph().get_name_scope().partition('/')[2]
        key = zlib.crc32(scope_in_clone.encode()) >> 2

        @tf.custom_gradient
        def average(value):
            return self._all_reduce(value, 2 * key), \
                lambda gradient: self._all_reduce(gradient, 2 * key + 1)
        return average(tensor)

    def _all_reduce(self, tensor, instance_key):
        return collective_ops.all_reduce(tensor, self.num_replicas, _REPLICAS, instance_key, 'Add',
                                         'Div', timeout=self.timeout_secs)

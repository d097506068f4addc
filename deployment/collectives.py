"""Values that devices exchange in a step, by TensorFlow's own collective ops. Each device asks under the same keys."""
import zlib
from typing import NamedTuple

import tensorflow.compat.v1 as tf
from tensorflow.python.ops import collective_ops  # the public API has them for eager code alone

# Group keys: all collectives of one are among the same devices.
_REPLICAS, _PROCESSES, _AGREEMENT, _PROCESSORS = 1, 2, 3, 4


def sum_over_processes(tensor, size, key, timeout_secs):
    """The sum of a float32 tensor over the variables' devices of so many processes."""
    return collective_ops.all_reduce(tensor, size, _PROCESSES, key, 'Add', 'Id', timeout=timeout_secs)


def sum_over_processors(tensor, size, key, timeout_secs):
    """Likewise over their CPUs, which can add what not every GPU can: bfloat16. To be made on CPUs."""
    return collective_ops.all_reduce(tensor, size, _PROCESSORS, key, 'Add', 'Id', timeout=timeout_secs)


def value_of_first(variable, is_first, size, key, timeout_secs):
    """What a variable is in the first of so many processes, in every one of them."""
    options = (variable.shape, variable.dtype.base_dtype, size, _PROCESSES, key)
    if is_first:
        return collective_ops.broadcast_send(tf.identity(variable), *options, timeout=timeout_secs)
    return collective_ops.broadcast_recv(*options, timeout=timeout_secs)


def gather(tensor, size, timeout_secs):
    """The tensors [n, ...] of so many processes behind each other, [size * n, ...]; to be made on CPUs."""
    return collective_ops.all_gather(tensor, size, _AGREEMENT, 1, timeout=timeout_secs)


class Replicas(NamedTuple):
    """All clones of a step, those of other processes too, as one of them sees them.

    Each computes the same, on a device and a share of its own.
    """
    size: int
    timeout_secs: int = 0   # 0: waits without end

    def mean(self, tensor):
        """The mean of a tensor over the clones, which all must ask for it under the same name scope below their own.

        The gradient of one clone's mean is spread over all, and so is itself such a mean.
        """
        if self.size == 1:
            return tensor
        key = zlib.crc32(tf.get_default_graph().get_name_scope().partition('/')[2].encode()) >> 2

        @tf.custom_gradient
        def averaged(value):
            return self._mean(value, 2 * key), lambda gradient: self._mean(gradient, 2 * key + 1)
        return averaged(tensor)

    def _mean(self, tensor, key):
        return collective_ops.all_reduce(tensor, self.size, _REPLICAS, key, 'Add', 'Div', timeout=self.timeout_secs)

"""Sums over devices, by TensorFlow's own collective ops: each device gives its part and gets the whole."""
import zlib
from typing import NamedTuple

import tensorflow.compat.v1 as tf
from tensorflow.python.ops import collective_ops  # the public API has them for eager code alone

# Collectives of one group key are among the same devices.
_CLONES = 1


class Clones(NamedTuple):
    """The clones of a step, those of other processes too, as one of them sees them.

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
        return collective_ops.all_reduce(tensor, self.size, _CLONES, key, 'Add', 'Div',
                                         timeout=self.timeout_secs)

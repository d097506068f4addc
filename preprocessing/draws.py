"""Random numbers of one example: a pure function of its seed."""
import tensorflow.compat.v1 as tf


class RandomDraws:
    """Numbers uniform in [0, 1) from a seed [2]; each name has its own stream, whatever else is drawn."""

    def __init__(self, seed, names):
        """names: name -> how many numbers. All are drawn by one op."""
        values = tf.random.stateless_uniform([sum(names.values())], seed)
        self._values = dict(zip(names, tf.split(values, list(names.values())), strict=True))

    def __getitem__(self, name):
        """[n] float32."""
        return self._values[name]


def rescale(uniform, low, high):
    """Numbers uniform in [0, 1) stretched to [low, high)."""
    return low + uniform * (high - low)

"""Random numbers of one example: a pure function of its seed."""
import tensorflow.compat.v1 as tf


class RandomDraws:
    """Named uniform random numbers in [0, 1), drawn from a seed [2] by a single op."""

    def __init__(self, seed, counts):
        """Draw the numbers.

        Args:
            seed: [2] integer.
            counts: dict, name -> number of values. The values depend on all counts and their order.
        """
        values = tf.random.stateless_uniform([sum(counts.values())], seed)
        self._values = dict(zip(counts, tf.split(values, list(counts.values())), strict=True))

    def __getitem__(self, name):
        """Return the numbers of a name: [n] float32."""
        return self._values[name]


def rescale(uniform, low, high):
    """Map uniform numbers in [0, 1) to [low, high)."""
    return low + uniform * (high - low)

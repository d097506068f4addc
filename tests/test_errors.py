import tensorflow.compat.v1 as tf

from common.errors import reason


def test_the_reason_without_its_surroundings():
    message = ("Graph execution error:\n\nDetected at node 'a' defined at (most recent call last):\n  File x, line 1\n"
               "Node: 'a'\nIt is\n  broken.\n\t [[{{node a}}]]\n\nOriginal stack trace for 'a':\n  File x")
    assert reason(tf.errors.InternalError(None, None, message)) == 'It is broken.'
    assert reason(tf.errors.InternalError(None, None, 'plain')) == 'plain'

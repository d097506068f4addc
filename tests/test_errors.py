import tensorflow.compat.v1 as tf

from common.errors import op_error_message


def test_op_error_message_drops_stack_traces_and_node_names():
    message = ("Graph execution error:\n\n"
               "Detected at node 'a' defined at (most recent call last):\n  File x, line 1\n"
               "Node: 'a'\nIt is\n  broken.\n\t [[{{node a}}]]\n\n"
               "Original stack trace for 'a':\n  File x")
    assert op_error_message(tf.errors.InternalError(None, None, message)) == 'It is broken.'
    assert op_error_message(tf.errors.InternalError(None, None, 'plain')) == 'plain'

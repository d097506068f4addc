"""Gradient accumulation: a clone takes its share of a batch in parts, one after the other, in the memory of one."""
import tensorflow.compat.v1 as tf


def one_after_the_other(model_fn, parts, trained, first):
    """(outputs, gradients) of a model function over several arguments.

    model_fn: returns a named tuple of tensors and puts its losses into `tf.GraphKeys.LOSSES`; its outputs are summed
    over the parts. gradients: [(gradient, variable), ...] of the sum of all losses, for the variables that
    `trained()` returns. The forward pass of a part waits for the gradients of the one before it, whose activations
    are gone by then. first: whether this is the clone whose update ops run; theirs follow each other too.
    """
    outputs, sums, gate = [], None, []
    for number, arguments in enumerate(parts):
        with tf.name_scope(f'part_{number}') as scope, tf.control_dependencies(gate), \
             tf.variable_scope(tf.get_variable_scope(), reuse=True if number else None):
            outputs.append(model_fn(*arguments))
            variables = trained()
            gradients = tf.gradients(tf.add_n(tf.get_collection(tf.GraphKeys.LOSSES, scope)), variables)
            sums = gradients if sums is None else [
                None if total is None else total + gradient for total, gradient in zip(sums, gradients, strict=True)]
            gate = [total for total in sums if total is not None]
            if first:
                gate += tf.get_collection(tf.GraphKeys.UPDATE_OPS, scope)
    summed = type(outputs[0])(*(tf.add_n(values) for values in zip(*outputs, strict=True)))
    return summed, list(zip(sums, variables, strict=True))

"""Gradient accumulation: a clone runs its batch in micro-batches that reuse the same memory."""
import tensorflow.compat.v1 as tf


def accumulate_gradients(model_fn, micro_batches, variables_fn, is_first_clone):
    """Run a model function on one micro-batch after the other and sum outputs and gradients.

    The forward pass of a micro-batch waits for the gradients of the previous one, whose activations
    have been freed by then.

    Args:
        model_fn: function that returns a named tuple of tensors and adds its losses to
            `tf.GraphKeys.LOSSES`.
        micro_batches: list of argument tuples of `model_fn`.
        variables_fn: function without arguments that returns the variables to differentiate; called
            after the model function, which creates them.
        is_first_clone: whether this is the first clone, whose update ops run: the update ops of a
            micro-batch then wait for those of the previous one, too.

    Returns:
        (outputs, gradients): the named tuple, summed over the micro-batches, and [(gradient,
        variable), ...] of the sum of all losses. A gradient is None if no loss depends on its
        variable.
    """
    outputs, total_gradients, dependencies = [], None, []
    for index, arguments in enumerate(micro_batches):
        with tf.name_scope(f'micro_batch_{index}') as scope, \
             tf.control_dependencies(dependencies), \
             tf.variable_scope(tf.get_variable_scope(), reuse=True if index else None):
            outputs.append(model_fn(*arguments))
            variables = variables_fn()
            loss = tf.add_n(tf.get_collection(tf.GraphKeys.LOSSES, scope))
            gradients = tf.gradients(loss, variables)
            total_gradients = gradients if total_gradients is None else [
                None if total is None else total + gradient
                for total, gradient in zip(total_gradients, gradients, strict=True)]
            dependencies = [total for total in total_gradients if total is not None]
            if is_first_clone:
                dependencies += tf.get_collection(tf.GraphKeys.UPDATE_OPS, scope)
    summed_outputs = type(outputs[0])(
        *(tf.add_n(values) for values in zip(*outputs, strict=True)))
    return summed_outputs, list(zip(total_gradients, variables, strict=True))

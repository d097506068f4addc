from typing import NamedTuple

import pytest
import tensorflow.compat.v1 as tf

from deployment import accumulation


class Outputs(NamedTuple):
    loss: tf.Tensor


def accumulate(values, is_first_clone=True):
    """Accumulate the losses v * w^2 of all values v, with w = 3.

    Returns (outputs, gradients, the loss op of each micro-batch). The update ops are u = 2 * u + v.
    """
    loss_ops = []

    def model_fn(value):
        with tf.variable_scope('net', reuse=tf.AUTO_REUSE):
            weight = tf.get_variable('weight', initializer=3.)
            tf.get_variable('unused', initializer=1.)
            moment = tf.get_variable('moment', initializer=0., trainable=False)
        loss = value * weight ** 2
        loss_ops.append(loss.op)
        tf.losses.add_loss(loss)
        tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, tf.assign(moment, 2 * moment + value))
        return Outputs(loss)
    outputs, gradients = accumulation.accumulate_gradients(
        model_fn, [(value,) for value in values], tf.trainable_variables, is_first_clone)
    return outputs, gradients, loss_ops


def test_outputs_and_gradients_are_summed(evaluate):
    outputs, gradients, _ = accumulate([1., 2., 4.])
    (gradient, weight), (unused_gradient, unused) = gradients
    assert weight.op.name == 'net/weight' and unused.op.name == 'net/unused'
    assert unused_gradient is None
    assert evaluate([outputs.loss, gradient]) == [7 * 9, 7 * 6]


def ancestors(op):
    """Return all ops that run before an op."""
    visited, pending = set(), [op]
    while pending:
        current = pending.pop()
        for parent in [tensor.op for tensor in current.inputs] + current.control_inputs:
            if parent not in visited:
                visited.add(parent)
                pending.append(parent)
    return visited


def test_forward_pass_waits_for_the_gradients_of_the_previous_micro_batch():
    _, _, loss_ops = accumulate([1., 2., 4.])
    for index, (previous, current) in enumerate(zip(loss_ops, loss_ops[1:], strict=False)):
        gradients = {op for op in tf.get_default_graph().get_operations()
                     if op.name.startswith(f'micro_batch_{index}/gradients/')}
        assert gradients & ancestors(current) and not gradients & ancestors(previous)


@pytest.mark.parametrize('is_first_clone, expected_moment', [
    (True, 2 * (2 * 1 + 2) + 4), (False, None)])
def test_update_ops_run_in_order_in_the_first_clone(is_first_clone, expected_moment):
    accumulate([1., 2., 4.], is_first_clone)
    updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
    runs_before = ancestors(updates[2].op)
    assert [update.op in runs_before for update in updates[:2]] == [is_first_clone] * 2
    moment = next(v for v in tf.global_variables() if v.op.name == 'net/moment')
    if expected_moment:
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            session.run(updates)
            assert session.run(moment) == expected_moment

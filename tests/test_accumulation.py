from typing import NamedTuple

import pytest
import tensorflow.compat.v1 as tf

from deployment import accumulation


class Outputs(NamedTuple):
    loss: tf.Tensor


def run_parts(values, first=True):
    """The parts v * w^2 for each v, w = 3: (outputs, gradients, and per part the op of its loss)."""
    ops = []

    def model_fn(value):
        with tf.variable_scope('net', reuse=tf.AUTO_REUSE):
            weight = tf.get_variable('weight', initializer=3.)
            tf.get_variable('other', initializer=1.)
            seen = tf.get_variable('seen', initializer=0., trainable=False)
        loss = value * weight ** 2
        ops.append(loss.op)
        tf.losses.add_loss(loss)
        tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, tf.assign(seen, 2 * seen + value))
        return Outputs(loss)
    outputs, gradients = accumulation.one_after_the_other(
        model_fn, [(value,) for value in values], tf.trainable_variables, first)
    return outputs, gradients, ops


def test_sums_by_hand(evaluate):
    outputs, gradients, _ = run_parts([1., 2., 4.])
    (gradient, weight), (nothing, other) = gradients
    assert weight.op.name == 'net/weight' and other.op.name == 'net/other' and nothing is None
    assert evaluate([outputs.loss, gradient]) == [7 * 9, 7 * 6]


def ancestors(op):
    """All ops that an op waits for."""
    found, open_ops = set(), [op]
    while open_ops:
        for before in [tensor.op for tensor in open_ops[-1].inputs] + open_ops.pop().control_inputs:
            if before not in found:
                found.add(before)
                open_ops.append(before)
    return found


def test_a_part_waits_for_the_gradients_of_the_one_before():
    _, _, (one, two, three) = run_parts([1., 2., 4.])
    for number, (before, after) in enumerate(((one, two), (two, three))):
        gradients = {op for op in tf.get_default_graph().get_operations()
                     if op.name.startswith(f'part_{number}/gradients/')}
        assert gradients & ancestors(after) and not gradients & ancestors(before)


@pytest.mark.parametrize('first, expected', [(True, 2 * (2 * 1 + 2) + 4), (False, None)])
def test_updates_follow_each_other_in_the_first_clone(first, expected):
    run_parts([1., 2., 4.], first)
    updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
    assert [update.op in ancestors(updates[2].op) for update in updates[:2]] == [first, first]
    seen = next(variable for variable in tf.global_variables() if variable.op.name == 'net/seen')
    if expected:
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            session.run(updates)
            assert session.run(seen) == expected

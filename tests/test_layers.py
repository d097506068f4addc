import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from deployment import collectives
from nets import layers


def test_l2_normalization_scales_each_cell(evaluate):
    outputs = layers.l2_normalization(tf.constant([[[[3., 4.], [0., 0.]]]]), 20.)
    np.testing.assert_allclose(evaluate(outputs), [[[[12, 16], [0, 0]]]], rtol=1e-6)
    assert [v.op.name for v in tf.trainable_variables()] == ['L2Normalization/gamma']


def test_batch_norm_in_training_uses_and_averages_the_moments_of_the_batch():
    inputs = tf.constant(np.float32([1, 3]).reshape(2, 1, 1, 1))   # mean 2, variance 1, unbiased 2
    outputs = layers.batch_norm(inputs, True, decay=.9, epsilon=0.)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        values = session.run([outputs] + tf.get_collection(tf.GraphKeys.UPDATE_OPS))[0]
        np.testing.assert_allclose(values.ravel(), [-1, 1], rtol=1e-5)
        variables = {v.op.name: session.run(v)[0] for v in tf.global_variables()}
    np.testing.assert_allclose(variables['BatchNorm/moving_mean'], .2, rtol=1e-5)
    np.testing.assert_allclose(variables['BatchNorm/moving_variance'], .9 + .2, rtol=1e-5)
    assert variables['BatchNorm/gamma'] == 1 and variables['BatchNorm/beta'] == 0


def test_decay_of_moving_moments_starts_at_zero(evaluate):
    decays = evaluate([layers.warmed_up_decay(n) for n in (0, 1, 9, 891, 892, 10 ** 6)])
    np.testing.assert_allclose(decays, [0, .1, .5, .99, .99, .99], rtol=1e-6)


def test_first_batch_replaces_the_initial_moments():
    inputs = tf.constant(np.float32([1, 3]).reshape(2, 1, 1, 1))   # mean 2, unbiased variance 2
    layers.batch_norm(inputs, True, decay=layers.warmed_up_decay(0))
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(tf.get_collection(tf.GraphKeys.UPDATE_OPS))
        moments = {v.op.name: session.run(v)[0] for v in tf.global_variables()}
    assert moments['BatchNorm/moving_mean'] == 2
    assert moments['BatchNorm/moving_variance'] == pytest.approx(2)


@pytest.mark.parametrize('replicas', [None, collectives.Replicas(1)])
def test_batch_moments_are_biased(evaluate, replicas):
    inputs = tf.constant(np.float32([1, 3]).reshape(2, 1, 1, 1))
    layers.batch_norm(inputs, True, replicas=replicas)
    moments, = tf.get_collection(layers.BATCH_MOMENTS)
    assert evaluate([moments.mean[0], moments.variance[0]]) == [2, pytest.approx(1)]


def test_batch_norm_in_inference_uses_the_moving_moments(evaluate):
    outputs = layers.batch_norm(tf.fill([1, 1, 1, 2], 5.), False, epsilon=0.)
    np.testing.assert_allclose(evaluate(outputs), np.full([1, 1, 1, 2], 5.))   # mean 0, variance 1
    assert not tf.get_collection(tf.GraphKeys.UPDATE_OPS)


def test_pad_is_symmetric_and_optional(evaluate):
    inputs = tf.ones([1, 1, 1, 1])
    padded = evaluate(layers.pad(inputs, 1))
    np.testing.assert_array_equal(padded[0, :, :, 0], [[0, 0, 0], [0, 1, 0], [0, 0, 0]])
    assert layers.pad(inputs, 0) is inputs


def initial_values(seed, *names):
    """Return the initial values of variables created in a new graph, by name."""
    with tf.Graph().as_default(), \
         tf.variable_scope('', custom_getter=layers.seeded_getter(seed)), tf.Session() as session:
        variables = {name: tf.get_variable(name, [4], initializer=tf.glorot_uniform_initializer())
                     for name in names}
        session.run(tf.global_variables_initializer())
        return session.run(variables)


def test_initial_values_depend_only_on_seed_and_name():
    both, only_b, other_seed = (initial_values(0, 'a', 'b'), initial_values(0, 'b'),
                                initial_values(1, 'a'))
    np.testing.assert_array_equal(both['b'], only_b['b'])
    assert (both['a'] != both['b']).all() and (both['a'] != other_seed['a']).all()


@pytest.mark.parametrize('depth, rounded', [(32, 32), (4, 8), (12, 16), (11.9, 16), (18, 24),
                                            (17.7, 16), (22.4, 24), (33.6, 32), (8.4, 8)])
def test_channels_are_multiples_of_8_and_at_least_90_percent(depth, rounded):
    assert layers.divisible_depth(depth) == rounded

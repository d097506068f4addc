import numpy as np
import tensorflow.compat.v1 as tf

from nets import layers


def test_l2_normalization_by_hand(evaluate):
    found = evaluate(layers.l2_normalization(tf.constant([[[[3., 4.], [0., 0.]]]]), 20.))
    np.testing.assert_allclose(found, [[[[12, 16], [0, 0]]]], rtol=1e-6)
    assert [v.op.name for v in tf.trainable_variables()] == ['L2Normalization/gamma']


def test_batch_norm_normalises_with_the_batch_and_moves_towards_it():
    inputs = tf.constant(np.float32([1, 3]).reshape(2, 1, 1, 1))        # mean 2, variance 1 (unbiased 2)
    outputs = layers.batch_norm(inputs, True, decay=.9, epsilon=0.)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        found = session.run([outputs] + tf.get_collection(tf.GraphKeys.UPDATE_OPS))[0]
        np.testing.assert_allclose(found.ravel(), [-1, 1], rtol=1e-5)
        moving = {v.op.name: session.run(v)[0] for v in tf.global_variables()}
    np.testing.assert_allclose(moving['BatchNorm/moving_mean'], .2, rtol=1e-5)
    np.testing.assert_allclose(moving['BatchNorm/moving_variance'], .9 + .2, rtol=1e-5)
    assert moving['BatchNorm/gamma'] == 1 and moving['BatchNorm/beta'] == 0


def test_batch_norm_of_a_trained_net_uses_the_moving_moments(evaluate):
    outputs = layers.batch_norm(tf.fill([1, 1, 1, 2], 5.), False, epsilon=0.)
    np.testing.assert_allclose(evaluate(outputs), np.full([1, 1, 1, 2], 5.))     # mean 0, variance 1
    assert not tf.get_collection(tf.GraphKeys.UPDATE_OPS)


def test_pad_is_symmetric_and_nothing_is_nothing(evaluate):
    padded = evaluate(layers.pad(tf.ones([1, 1, 1, 1]), 1))
    np.testing.assert_array_equal(padded[0, :, :, 0], [[0, 0, 0], [0, 1, 0], [0, 0, 0]])
    same = tf.ones([1, 1, 1, 1])
    assert layers.pad(same, 0) is same


def draw(seed, *names):
    with tf.Graph().as_default(), tf.variable_scope('', custom_getter=layers.seeded_getter(seed)):
        made = [tf.get_variable(name, [4], initializer=tf.glorot_uniform_initializer()) for name in names]
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            return dict(zip(names, session.run(made), strict=True))


def test_initial_values_depend_on_seed_and_name_alone():
    first, second, other = draw(0, 'a', 'b'), draw(0, 'b'), draw(1, 'a')
    np.testing.assert_array_equal(first['b'], second['b'])
    assert (first['a'] != first['b']).all() and (first['a'] != other['a']).all()

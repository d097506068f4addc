import numpy as np
import tensorflow.compat.v1 as tf

from deployment import collectives, model_deploy


def run_clones(num_clones, model_fn):
    """What a model function (replicas, value) makes of the values 1, 2, ... , a clone each."""
    config = model_deploy.deploy(num_clones, True, 0)
    made = model_deploy.create_clones(config, lambda value: model_fn(collectives.Replicas(num_clones), value),
                                      [(tf.constant([k + 1., 10.]),) for k in range(num_clones)])
    with tf.Session(config=model_deploy.session_config(config)) as session:
        return session.run([clone.outputs for clone in made])


def test_every_clone_gets_the_mean():
    np.testing.assert_allclose(run_clones(3, lambda replicas, value: replicas.mean(value)), [[2, 10]] * 3)


def test_alone_nothing_is_added_to_the_graph():
    value = tf.constant([1.])
    assert collectives.Replicas(1).mean(value) is value


def test_two_means_of_a_clone_do_not_mix():
    def twice(replicas, value):
        with tf.name_scope('first'):
            mean = replicas.mean(value)
        with tf.name_scope('second'):
            return replicas.mean(mean * value)
    np.testing.assert_allclose(run_clones(2, twice), [[1.5 * 1.5, 100]] * 2)   # mean of 1.5 * 1 and 1.5 * 2


def test_the_gradient_reaches_every_clone():
    """The losses are the mean times 1 and times 3: each clone's value counts (1 + 3) / 2 in their sum."""
    def gradient(replicas, value):
        factor = tf.stop_gradient(2 * value[0] - 1)
        return tf.gradients(factor * tf.reduce_sum(replicas.mean(value)), value)[0]
    np.testing.assert_allclose(run_clones(2, gradient), [[2, 2], [2, 2]])

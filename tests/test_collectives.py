import numpy as np
import tensorflow.compat.v1 as tf

from deployment import collectives, model_deploy


def run_clones(num_clones, model_fn):
    """Run model_fn(replicas, [k + 1, 10]) in clones k = 0, 1, ...; return their outputs."""
    deployment = model_deploy.make_deployment_config(num_clones, True, 0)
    clones = model_deploy.create_clones(
        deployment, lambda value: model_fn(collectives.Replicas(num_clones), value),
        [(tf.constant([k + 1., 10.]),) for k in range(num_clones)])
    with tf.Session(config=model_deploy.session_config(deployment)) as session:
        return session.run([clone.outputs for clone in clones])


def test_mean_over_clones():
    means = run_clones(3, lambda replicas, value: replicas.mean(value))
    np.testing.assert_allclose(means, [[2, 10]] * 3)


def test_mean_of_a_single_replica_adds_no_ops():
    value = tf.constant([1.])
    assert collectives.Replicas(1).mean(value) is value


def test_means_in_different_scopes_are_independent():
    def model_fn(replicas, value):
        with tf.name_scope('first'):
            mean = replicas.mean(value)
        with tf.name_scope('second'):
            return replicas.mean(mean * value)
    # The first mean is [1.5, 10]; the second is that of 1.5 * 1 and 1.5 * 2.
    np.testing.assert_allclose(run_clones(2, model_fn), [[1.5 * 1.5, 100]] * 2)


def test_gradient_of_the_mean_is_averaged_over_clones():
    """The losses are 1 and 3 times the mean, so the gradient of each value is (1 + 3) / 2."""
    def model_fn(replicas, value):
        factor = tf.stop_gradient(2 * value[0] - 1)
        return tf.gradients(factor * tf.reduce_sum(replicas.mean(value)), value)[0]
    np.testing.assert_allclose(run_clones(2, model_fn), [[2, 2], [2, 2]])

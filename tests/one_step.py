"""One training step of a net, for the tests of the nets."""
import numpy as np
import tensorflow.compat.v1 as tf

from nets import layers, ssd

_BATCH = 2


def check(params, num_classes=3, learning_rate=1e-4):
    """Check that a step of gradient descent trains all variables of a net and reduces its loss.

    Args:
        params: `SSDParams`.
        num_classes: C, background included.
        learning_rate: so small that the step follows the slope of the loss.

    Returns:
        The `Predictions` of the net.
    """
    random = np.random.default_rng(0)
    images = random.standard_normal([_BATCH, params.image_size, params.image_size, 3])
    predictions = ssd.build(tf.constant(images, tf.float32), params, num_classes, is_training=True)
    labels = tf.constant(random.integers(0, num_classes, predictions.logits.shape[:2]))
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=labels, logits=predictions.logits))
    loss += tf.reduce_mean(tf.square(predictions.offsets - 1.))
    variables = tf.trainable_variables()
    gradients = tf.gradients(loss, variables)
    assert None not in gradients
    norms = [tf.norm(gradient) for gradient in gradients]
    with tf.control_dependencies([loss, *norms]):
        update = tf.train.GradientDescentOptimizer(learning_rate).apply_gradients(
            zip(gradients, variables, strict=True))
    config = tf.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = True   # a quicker start
    with tf.Session(config=config) as session:
        session.run(tf.global_variables_initializer())
        before, values, _ = session.run([loss, norms, update])
        assert np.isfinite(values).all() and (np.array(values) > 0).all()
        assert session.run(loss) < before
    num_batch_norms = sum(v.op.name.endswith('/gamma') for v in variables)
    assert len(tf.get_collection(layers.BATCH_MOMENTS)) == num_batch_norms
    return predictions

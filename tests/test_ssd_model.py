import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from nets import anchors, losses, nets_factory, ssd, ssd_model

NET = nets_factory.get_params('ssd_160_mobilenet_v1_025')
SSDLITE = nets_factory.get_params('ssdlite_300_mobilenet_v2_035')._replace(image_size=64)


def build_losses(net=NET, freeze=False, precision=tf.float32):
    """Build the losses of a clone on two noisy images whose anchors are all matched."""
    num_anchors = len(anchors.net_anchors(net))
    images = np.random.default_rng(0).integers(0, 255, (2, *[net.image_size] * 2, 3), np.uint8)
    batch = {'image': tf.constant(images), 'target_labels': tf.ones([2, num_anchors], tf.int32),
             'target_offsets': tf.zeros([2, num_anchors, 4])}
    model_fn = ssd_model.clone_fn(
        net, 3, losses.LossOptions(), ssd.BuildOptions(precision=precision), freeze)
    return model_fn(batch, tf.constant(2. * num_anchors))


@pytest.mark.parametrize('freeze', [False, True])
def test_frozen_batch_norm_keeps_its_moments_and_trains_gamma(freeze):
    parts = build_losses(freeze=freeze)
    assert len(tf.get_collection(tf.GraphKeys.UPDATE_OPS)) == (0 if freeze else 2 * (27 + 6))
    gamma = next(v for v in tf.trainable_variables()
                 if v.op.name == 'MobilenetV1/Conv2d_0/BatchNorm/gamma')
    gradient, = tf.gradients(parts.localization, [gamma])
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        assert np.abs(session.run(gradient)).max() > 0


@pytest.mark.parametrize('net, precision', [(NET, tf.float32), (NET, tf.bfloat16),
                                            (SSDLITE, tf.float32)])
def test_training_lowers_the_loss_and_keeps_float32_variables(net, precision):
    parts = build_losses(net, precision=precision)
    total = parts.confidence + parts.localization
    train = tf.train.AdamOptimizer(.001, epsilon=1e-8).minimize(total)
    dtypes = {op.get_attr('T') for op in tf.get_default_graph().get_operations()
              if op.type == 'Conv2D'}
    assert dtypes == {precision} and total.dtype == tf.float32
    assert {variable.dtype.base_dtype for variable in tf.global_variables()} == {tf.float32}
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        initial_loss = session.run(total)
        for _ in range(12):
            session.run(train)
        assert session.run(total) < .8 * initial_loss

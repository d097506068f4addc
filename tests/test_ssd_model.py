import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from nets import nets_factory, ssd_model

NET = nets_factory.get_params('ssd_160_mobilenet_v1_025')


@pytest.mark.parametrize('freeze', [False, True])
def test_frozen_batch_norm_keeps_its_moments_but_learns_its_scale(freeze):
    batch = {'image': tf.constant(np.random.default_rng(0).integers(0, 255, (2, 160, 160, 3), np.uint8)),
             'target_labels': tf.ones([2, 834], tf.int32), 'target_offsets': tf.zeros([2, 834, 4])}
    losses = ssd_model.clone_fn(NET, 3, 0., 0, ssd_model.LossOptions(), freeze)(batch, tf.constant(1.))
    assert len(tf.get_collection(tf.GraphKeys.UPDATE_OPS)) == (0 if freeze else 2 * (27 + 6))
    gamma = next(v for v in tf.trainable_variables() if v.op.name == 'MobilenetV1/Conv2d_0/BatchNorm/gamma')
    gradient, = tf.gradients(losses.localization, [gamma])
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        assert np.abs(session.run(gradient)).max() > 0

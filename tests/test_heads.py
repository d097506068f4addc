import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import layers, mobilenet_v2
from nets.heads import HEADS


@pytest.mark.parametrize('activation, above_6', [('relu6', False), ('relu', True)])
def test_separable_head_with_an_identity_kernel_equals_a_1x1_convolution(activation, above_6):
    features = tf.constant(np.random.default_rng(0).uniform(0, 6, (1, 4, 4, 5)), tf.float32)
    features = features + 3 if above_6 else features
    with slim.arg_scope([layers.batch_norm], is_training=False):
        heads = [HEADS[name](features, 7, name, activation, mobilenet_v2.arg_scope)
                 for name in ('separable', 'conv1x1')]
    variables = {v.op.name: v for v in tf.model_variables()}
    shapes = {name: v.shape.as_list() for name, v in variables.items()}
    assert {name: shape for name, shape in shapes.items() if 'BatchNorm' not in name} == {
        'separable_depthwise/depthwise_weights': [3, 3, 5, 1],
        'separable/weights': [1, 1, 5, 7], 'separable/biases': [7],
        'conv1x1/weights': [1, 1, 5, 7], 'conv1x1/biases': [7]}
    identity = np.zeros([3, 3, 5, 1], np.float32)
    identity[1, 1] = 1
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        variables['conv1x1/weights'].load(session.run(variables['separable/weights']), session)
        variables['separable_depthwise/depthwise_weights'].load(identity, session)
        variables['separable_depthwise/BatchNorm/moving_variance'].load(
            np.full(5, 1 - .001, np.float32), session)   # 1 with the epsilon
        np.testing.assert_allclose(*session.run(heads), rtol=1e-5, atol=1e-5)

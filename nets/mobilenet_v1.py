"""MobileNet v1 (Howard et al., arXiv 1704.04861, table 1) without classifier, tf-slim's names."""
import contextlib

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import layers

# (stride, depth) of the depthwise separable convolutions 1 to 13.
BLOCKS = ((1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512),
          (1, 512), (1, 512), (1, 512), (1, 512), (1, 512), (2, 1024), (1, 1024))


@contextlib.contextmanager
def arg_scope():
    """Set the defaults of the layers of MobileNets: batch norm, and tf-slim's initializer.

    The depthwise kernels, 9 weights per channel, have no weight decay. With glorot_uniform they
    would start far too small.
    """
    with slim.arg_scope([slim.conv2d, slim.separable_conv2d],
                        weights_initializer=tf.truncated_normal_initializer(stddev=.09),
                        normalizer_fn=layers.batch_norm), \
         slim.arg_scope([slim.separable_conv2d], weights_regularizer=None):
        yield


def build(images, params):
    """Build the backbone on images [B, H, W, 3].

    Returns:
        Dict of end points 'Conv2d_0', 'Conv2d_1_depthwise', 'Conv2d_1_pointwise', ...
    """
    end_points = {}
    activation = layers.ACTIVATIONS[params.activation or 'relu6']
    with tf.variable_scope('MobilenetV1'), \
         slim.arg_scope([slim.conv2d, slim.separable_conv2d], activation_fn=activation):
        net, padding = layers.pad_for(images, 3, 2, params.padding)
        net = end_points['Conv2d_0'] = slim.conv2d(
            net, layers.scaled_depth(32, params.depth_multiplier), [3, 3], stride=2,
            padding=padding, scope='Conv2d_0')
        for index, (stride, depth) in enumerate(BLOCKS, 1):
            name = f'Conv2d_{index}_depthwise'
            net, padding = layers.pad_for(net, 3, stride, params.padding)
            net = end_points[name] = slim.separable_conv2d(
                net, None, [3, 3], depth_multiplier=1, stride=stride, padding=padding, scope=name)
            name = f'Conv2d_{index}_pointwise'
            net = end_points[name] = slim.conv2d(
                net, layers.scaled_depth(depth, params.depth_multiplier), [1, 1], scope=name)
    return end_points

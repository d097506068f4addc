"""MobileNet v1 (Howard et al., arXiv 1704.04861, table 1) without classifier, tf-slim's names."""
import tensorflow.compat.v1 as tf
import tf_slim as slim

# (stride, depth) of the depthwise separable convolutions 1 to 13.
BLOCKS = ((1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512),
          (1, 512), (1, 512), (1, 512), (1, 512), (1, 512), (2, 1024), (1, 1024))
MIN_DEPTH = 8


def scaled_depth(depth, multiplier):
    """Return the number of channels under a depth multiplier, at least 8 (as in tf-slim)."""
    return max(int(depth * multiplier), MIN_DEPTH)


def mobilenet_v1(inputs, depth_multiplier):
    """Build the backbone on inputs [B, H, W, 3].

    The caller sets normalizer, initializer and regularizer by `slim.arg_scope`.

    Returns:
        Dict of end points 'Conv2d_0', 'Conv2d_1_depthwise', 'Conv2d_1_pointwise', ...
    """
    end_points = {}
    with tf.variable_scope('MobilenetV1'), \
         slim.arg_scope([slim.conv2d, slim.separable_conv2d], activation_fn=tf.nn.relu6):
        net = end_points['Conv2d_0'] = slim.conv2d(
            inputs, scaled_depth(32, depth_multiplier), [3, 3], stride=2, scope='Conv2d_0')
        for index, (stride, depth) in enumerate(BLOCKS, 1):
            name = f'Conv2d_{index}_depthwise'
            net = end_points[name] = slim.separable_conv2d(
                net, None, [3, 3], depth_multiplier=1, stride=stride, scope=name)
            name = f'Conv2d_{index}_pointwise'
            net = end_points[name] = slim.conv2d(
                net, scaled_depth(depth, depth_multiplier), [1, 1], scope=name)
    return end_points

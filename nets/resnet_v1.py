"""ResNet-50 (He et al., arXiv 1512.03385, table 1) up to conv4_x, tf-slim's names."""
import contextlib

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import layers

# (units, depth of their bottleneck) of block1 to block3, which are conv2_x to conv4_x of the paper.
_BLOCKS = ((3, 64), (4, 128), (6, 256))
# (block, unit) with the only stride 2 of the blocks, by `SSDParams.stride_unit`. The classifier's
# stride between block2 and block3 is left out, as the next block, conv5_x.
_STRIDED = {'last': (1, 3), 'first': (2, 1)}
_EXPANSION = 4   # channels of a block per channel of its bottlenecks


@contextlib.contextmanager
def arg_scope():
    """Set the defaults of the layers: batch norm, and tf-slim's epsilon and initializer."""
    with slim.arg_scope([slim.conv2d], normalizer_fn=layers.batch_norm,
                        weights_initializer=tf.variance_scaling_initializer(2.)), \
         slim.arg_scope([layers.batch_norm], epsilon=1e-5):
        yield


def build(images, params):
    """Build the backbone on images [B, H, W, 3].

    Weights decide where block2 gets its stride of 2. `params.stride_unit` is one of:

    - 'last': the last unit of block1. This equals a stride in the first 1x1 convolutions of block2,
      where the paper has it. Weights of tf-slim, Caffe and Keras mean this net.
    - 'first': the 3x3 convolution of the first unit of block2. Weights of torchvision, and of
      NVIDIA's and MLPerf's detectors, mean this net.

    Returns:
        Dict of end points 'conv1', 'block1', 'block2', 'block3'. Cells of block3 are 8 pixels wide.
    """
    end_points = {}
    with tf.variable_scope('resnet_v1_50'):
        net = layers.pad(images, 3)   # tf-slim's, too
        net = end_points['conv1'] = slim.conv2d(net, 64, [7, 7], stride=2, padding='VALID',
                                                scope='conv1')
        # No activation is below the zeros of the padding.
        net, padding = layers.pad_for(net, 3, 2, params.padding)
        net = slim.max_pool2d(net, [3, 3], stride=2, padding=padding, scope='pool1')
        for block, (num_units, depth) in enumerate(_BLOCKS, 1):
            for unit in range(1, num_units + 1):
                stride = 2 if (block, unit) == _STRIDED[params.stride_unit] else 1
                with tf.variable_scope(f'block{block}/unit_{unit}/bottleneck_v1'):
                    net = _bottleneck(net, depth, stride)
            end_points[f'block{block}'] = net
    return end_points


def _bottleneck(inputs, depth, stride):
    """Build a residual unit on inputs [B, H, W, C]; return [B, H / stride, W / stride, 4 * depth].

    The shortcut is a convolution only if the number of channels changes.
    """
    if inputs.shape[-1] != _EXPANSION * depth:
        shortcut = slim.conv2d(inputs, _EXPANSION * depth, [1, 1], stride=stride,
                               activation_fn=None, scope='shortcut')
    else:
        shortcut = inputs if stride == 1 else slim.max_pool2d(inputs, [1, 1], stride=stride)
    net = slim.conv2d(inputs, depth, [1, 1], scope='conv1')
    net, padding = layers.pad_for(net, 3, stride, 'symmetric')
    net = slim.conv2d(net, depth, [3, 3], stride=stride, padding=padding, scope='conv2')
    net = slim.conv2d(net, _EXPANSION * depth, [1, 1], activation_fn=None, scope='conv3')
    return tf.nn.relu(shortcut + net)

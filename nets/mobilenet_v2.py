"""MobileNet v2 (Sandler et al., arXiv 1801.04381, table 2) without classifier, tf-slim's names."""
import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import layers, mobilenet_v1

arg_scope = mobilenet_v1.arg_scope

# (stride, depth) of the bottlenecks 0 to 16.
BLOCKS = ((1, 16), (2, 24), (1, 24), (2, 32), (1, 32), (1, 32), (2, 64), (1, 64), (1, 64), (1, 64),
          (1, 96), (1, 96), (1, 96), (2, 160), (1, 160), (1, 160), (1, 320))
_EXPANSION = 6      # but 1 for bottleneck 0
_LAST_DEPTH = 1280


def build(images, params):
    """Build the backbone on images [B, H, W, 3].

    A width below 1 keeps the 1280 channels of the last layer, as the public classifiers do.

    Returns:
        Dict of end points 'Conv', 'expanded_conv' (the output of bottleneck 0),
        'expanded_conv_1_expand' (the first layer of bottleneck 1), 'expanded_conv_1', ...,
        'expanded_conv_16', 'Conv_1'.
    """
    end_points = {}
    width = params.depth_multiplier
    activation = layers.ACTIVATIONS[params.activation or 'relu6']
    with tf.variable_scope('MobilenetV2'), \
         slim.arg_scope([slim.conv2d, slim.separable_conv2d], activation_fn=activation):
        net, padding = layers.pad_for(images, 3, 2, params.padding)
        net = end_points['Conv'] = slim.conv2d(
            net, layers.divisible_depth(32 * width), [3, 3], stride=2, padding=padding,
            scope='Conv')
        for index, (stride, depth) in enumerate(BLOCKS):
            name = f'expanded_conv_{index}' if index else 'expanded_conv'
            with tf.variable_scope(name):
                inputs = net
                if index:
                    net = end_points[f'{name}_expand'] = slim.conv2d(
                        net, net.shape[-1] * _EXPANSION, [1, 1], scope='expand')
                net = end_points[name] = _bottleneck(
                    inputs, net, layers.divisible_depth(depth * width), stride, params.padding)
        end_points['Conv_1'] = slim.conv2d(
            net, layers.divisible_depth(_LAST_DEPTH * max(width, 1)), [1, 1], scope='Conv_1')
    return end_points


def _bottleneck(inputs, net, depth, stride, padding):
    """Add the depthwise convolution, the linear projection and the residual of a bottleneck.

    Args:
        inputs: input of the bottleneck [B, H, W, C].
        net: its expansion [B, H, W, E].
        depth: channels of the projection.
        stride: stride of the depthwise convolution.
        padding: 'SAME' or 'symmetric'.

    Returns:
        The output [B, H / stride, W / stride, depth].
    """
    net, padding = layers.pad_for(net, 3, stride, padding)
    net = slim.separable_conv2d(net, None, [3, 3], depth_multiplier=1, stride=stride,
                                padding=padding, scope='depthwise')
    net = slim.conv2d(net, depth, [1, 1], activation_fn=None, scope='project')
    return inputs + net if stride == 1 and inputs.shape[-1] == depth else net

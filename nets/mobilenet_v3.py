"""MobileNet v3 (Howard et al., arXiv 1905.02244) without classifier, tf-slim's names."""
from typing import NamedTuple

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import layers, mobilenet_v1

arg_scope = mobilenet_v1.arg_scope

_SQUEEZE = 4      # channels of a block per channel inside its squeeze-and-excitation
_LAST_EXPANSION = 6


class _Block(NamedTuple):
    """An inverted residual block."""
    kernel: int            # size of the depthwise kernel
    expansion: int         # channels of the expansion and of the depthwise convolution
    depth: int             # channels of the projection
    squeeze_excite: bool
    activation: str        # of expansion and depthwise convolution
    stride: int


class _Variant(NamedTuple):
    """A table of the paper, without the first and the last convolution."""
    blocks: tuple
    tail: int   # index of the block with the last stride, whose expansion is a feature layer


_SE, _NO_SE = True, False
_RE, _HS = 'relu', 'hard_swish'

_VARIANTS = {
    'mobilenet_v3_large': _Variant((   # table 1
        _Block(3, 16, 16, _NO_SE, _RE, 1),
        _Block(3, 64, 24, _NO_SE, _RE, 2), _Block(3, 72, 24, _NO_SE, _RE, 1),
        _Block(5, 72, 40, _SE, _RE, 2), *[_Block(5, 120, 40, _SE, _RE, 1)] * 2,
        _Block(3, 240, 80, _NO_SE, _HS, 2), _Block(3, 200, 80, _NO_SE, _HS, 1),
        *[_Block(3, 184, 80, _NO_SE, _HS, 1)] * 2,
        _Block(3, 480, 112, _SE, _HS, 1), _Block(3, 672, 112, _SE, _HS, 1),
        _Block(5, 672, 160, _SE, _HS, 2), *[_Block(5, 960, 160, _SE, _HS, 1)] * 2), tail=12),
    'mobilenet_v3_small': _Variant((   # table 2
        _Block(3, 16, 16, _SE, _RE, 2),
        _Block(3, 72, 24, _NO_SE, _RE, 2), _Block(3, 88, 24, _NO_SE, _RE, 1),
        _Block(5, 96, 40, _SE, _HS, 2), *[_Block(5, 240, 40, _SE, _HS, 1)] * 2,
        _Block(5, 120, 48, _SE, _HS, 1), _Block(5, 144, 48, _SE, _HS, 1),
        _Block(5, 288, 96, _SE, _HS, 2), *[_Block(5, 576, 96, _SE, _HS, 1)] * 2), tail=8),
}


def build(images, params):
    """Build the backbone on images [B, H, W, 3].

    With `params.reduced_tail`, all layers behind the last stride have half their channels, as
    section 6.3 of the paper proposes for detectors. A classifier then lacks weights for them.

    Returns:
        Dict of end points 'Conv', 'expanded_conv' (the output of block 0), 'expanded_conv_1_expand'
        (the expansion of block 1), 'expanded_conv_1', ..., 'Conv_1'.
    """
    variant = _VARIANTS[params.backbone]
    end_points = {}
    with tf.variable_scope('MobilenetV3'):
        activation = _activation(_HS, params)
        net, padding = layers.pad_for(images, 3, 2, params.padding)
        net = end_points['Conv'] = slim.conv2d(net, 16, [3, 3], stride=2, padding=padding,
                                               activation_fn=activation, scope='Conv')
        for index, block in enumerate(variant.blocks):
            name = f'expanded_conv_{index}' if index else 'expanded_conv'
            if params.reduced_tail and index >= variant.tail:
                block = block._replace(depth=block.depth // 2,
                                       expansion=block.expansion // (1 + (index > variant.tail)))
            net = _inverted_residual(net, block, params, name, end_points)
        end_points['Conv_1'] = slim.conv2d(net, _LAST_EXPANSION * net.shape[-1], [1, 1],
                                           activation_fn=activation, scope='Conv_1')
    return end_points


def _activation(name, params):
    return layers.ACTIVATIONS[params.activation or name]


def _inverted_residual(inputs, block, params, name, end_points):
    """Build a block; add its expansion and its output to the end points; return the output."""
    net = inputs
    with tf.variable_scope(name), \
         slim.arg_scope([slim.conv2d, slim.separable_conv2d],
                        activation_fn=_activation(block.activation, params)):
        if block.expansion != inputs.shape[-1]:
            net = end_points[f'{name}_expand'] = slim.conv2d(net, block.expansion, [1, 1],
                                                             scope='expand')
        net, padding = layers.pad_for(net, block.kernel, block.stride, params.padding)
        net = slim.separable_conv2d(net, None, [block.kernel] * 2, depth_multiplier=1,
                                    stride=block.stride, padding=padding, scope='depthwise')
        if block.squeeze_excite:
            net = squeeze_excite(net)
        net = slim.conv2d(net, block.depth, [1, 1], activation_fn=None, scope='project')
        if block.stride == 1 and block.depth == inputs.shape[-1]:
            net += inputs
    end_points[name] = net
    return net


def squeeze_excite(inputs):
    """Scale each channel of inputs [B, H, W, C] by a factor in [0, 1] computed from all channels.

    Section 5.3 of the paper. The mean over the cells is computed in float32: bfloat16 cannot count
    beyond 256.
    """
    squeeze = layers.divisible_depth(inputs.shape.as_list()[-1] / _SQUEEZE)
    with tf.variable_scope('squeeze_excite'), \
         slim.arg_scope([slim.conv2d], normalizer_fn=None):
        net = tf.reduce_mean(tf.cast(inputs, tf.float32), axis=[1, 2], keepdims=True)
        net = slim.conv2d(tf.cast(net, inputs.dtype), squeeze, [1, 1], activation_fn=tf.nn.relu,
                          scope='Conv')
        net = slim.conv2d(net, inputs.shape[-1], [1, 1], activation_fn=layers.hard_sigmoid,
                          scope='Conv_1')
        return inputs * net

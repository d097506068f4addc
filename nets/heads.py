"""Prediction layers: how offsets and class scores are computed from a feature layer."""
import tf_slim as slim

from nets import layers


def _conv(kernel):
    def head(net, depth, scope, _activation, _arg_scope):
        return slim.conv2d(net, depth, [kernel, kernel], activation_fn=None, scope=scope)
    return head


def _separable(net, depth, scope, activation, arg_scope):
    """SSDLite (Sandler et al., arXiv 1801.04381, section 6.2): depthwise 3x3, then 1x1."""
    with arg_scope():
        net = slim.separable_conv2d(net, None, [3, 3], depth_multiplier=1,
                                    activation_fn=layers.ACTIVATIONS[activation],
                                    scope=f'{scope}_depthwise')
    return slim.conv2d(net, depth, [1, 1], activation_fn=None, scope=scope)


# Name -> function (feature map, channels of the result, variable scope, name of the activation in
# `layers.ACTIVATIONS`, `arg_scope` of the backbone) that builds the layer.
HEADS = {'conv3x3': _conv(3), 'conv1x1': _conv(1), 'separable': _separable}

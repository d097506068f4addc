"""VGG-16 up to conv7 as modified by the SSD paper: dilated conv6, no fully connected layers."""
import contextlib

import tensorflow.compat.v1 as tf
import tf_slim as slim

# Without batch norm, initial weights have to bring the features to scale 1. Gain of a layer, its
# output divided by its input, where this is not 1: images without their mean have a root mean
# square of about 70, and conv5_3 has one of 7, with the weights of VGG-16 as with initial ones.
_GAINS = {'conv1/conv1_1': .1, 'conv6': .1}


@contextlib.contextmanager
def arg_scope():
    """Set the defaults of the layers: biases, and weights that keep the scale of their input.

    He et al., arXiv 1502.01852, eq. 10. With Glorot's weights, features fade along the net.
    """
    with slim.arg_scope([slim.conv2d], weights_initializer=_initializer(gain=1.)):
        yield


def _initializer(gain):
    return tf.variance_scaling_initializer(2. * gain ** 2)


def _conv(inputs, depth, kernel_size, scope, rate=1):
    return slim.conv2d(inputs, depth, [kernel_size] * 2, rate=rate, scope=scope,
                       weights_initializer=_initializer(_GAINS.get(scope, 1.)))


def build(images, _params):
    """Build the backbone on images [B, H, W, 3].

    Paper section 3: pool5 is 3x3 with stride 1, fc6 becomes a 3x3 convolution with dilation 6, fc7
    a 1x1 convolution, and dropout is removed.

    Returns:
        Dict of end points 'block1' to 'block7': the output of the last convolution of each block,
        before pooling. block4 is conv4_3, block7 is conv7.
    """
    end_points = {}
    net = images
    for block, (repeats, depth) in enumerate([(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)], 1):
        for index in range(1, repeats + 1):
            net = _conv(net, depth, 3, f'conv{block}/conv{block}_{index}')
        end_points[f'block{block}'] = net
        kernel, stride = (2, 2) if block < 5 else (3, 1)
        net = slim.max_pool2d(net, kernel, stride=stride, padding='SAME', scope=f'pool{block}')
    net = end_points['block6'] = _conv(net, 1024, 3, 'conv6', rate=6)
    end_points['block7'] = _conv(net, 1024, 1, 'conv7')
    return end_points

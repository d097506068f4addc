"""VGG-16 up to conv7 as modified by the SSD paper: dilated conv6, no fully connected layers."""
import contextlib

import tf_slim as slim

arg_scope = contextlib.nullcontext   # biases, and the initializer of all nets


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
        net = slim.repeat(net, repeats, slim.conv2d, depth, [3, 3], scope=f'conv{block}')
        end_points[f'block{block}'] = net
        kernel, stride = (2, 2) if block < 5 else (3, 1)
        net = slim.max_pool2d(net, kernel, stride=stride, padding='SAME', scope=f'pool{block}')
    net = end_points['block6'] = slim.conv2d(net, 1024, [3, 3], rate=6, scope='conv6')
    end_points['block7'] = slim.conv2d(net, 1024, [1, 1], scope='conv7')
    return end_points

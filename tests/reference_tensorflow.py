"""Reference programs in TensorFlow ops, independent of `nets`: detectors as published.

They are written on the weights' own names, layer by layer, from the repositories that
detector_layouts/*.txt names. Every program takes its weights and an RGB image [S, S, 3] uint8, and
returns `detector_references.Outputs`.
"""
import math

import numpy as np
import tensorflow as tf
from detector_references import Outputs

_VGG_BLOCKS = (2, 2, 3, 3, 3)   # convolutions before each pooling layer
_SSD300_CELLS, _SSD300_STEPS = (38, 19, 10, 5, 3, 1), (8, 16, 32, 64, 100, 300)


class _Net:
    """Layers on weights by their names, kernels [h, w, in, out], 'SAME' padding unless told."""

    def __init__(self, weights, kernel='weights', bias='biases'):
        self.weights, self.kernel, self.bias = weights, kernel, bias

    def conv(self, name, x, stride=1, padding='SAME', dilation=1):
        x = tf.nn.conv2d(x, self.weights[f'{name}/{self.kernel}'], stride, padding,
                         dilations=dilation)
        bias = self.weights.get(f'{name}/{self.bias}')
        return x if bias is None else x + bias

    def batch_norm(self, name, x, epsilon=1e-3):
        beta, gamma, mean, variance = (self.weights[f'{name}/BatchNorm/{leaf}'] for leaf in
                                       ('beta', 'gamma', 'moving_mean', 'moving_variance'))
        return tf.nn.batch_normalization(x, mean, variance, beta, gamma, epsilon)

    def conv_norm(self, name, x, stride=1):
        return self.batch_norm(name, self.conv(name, x, stride))

    def depthwise(self, name, x, stride=1):
        """Convolve depthwise with batch norm and ReLU6."""
        x = tf.nn.depthwise_conv2d(x, self.weights[f'{name}/depthwise_weights'],
                                   [1, stride, stride, 1], 'SAME')
        return tf.nn.relu6(self.batch_norm(name, x))


def _per_anchor(maps, depth):
    return np.concatenate([np.reshape(x, [-1, depth]) for x in maps])


def _grid_anchors(cells, steps, shapes):
    """Return anchors [A, 4] `[cy, cx, h, w]` from the (h, w) per layer, all relative."""
    anchors = []
    for count, step, layer_shapes in zip(cells, steps, shapes, strict=True):
        centers = (np.arange(count) + .5) * step
        anchors += [(y, x, h, w) for y in centers for x in centers for h, w in layer_shapes]
    return np.array(anchors)


def _to_center_x_first(anchors):
    return anchors[:, [1, 0, 3, 2]]


def _vgg_features(net, x, conv_name, fc_name, extra_names, normalize, extra_padding):
    """Return the feature maps of a VGG detector. `extra_padding`: of the 3x3 extra layers."""
    features = []
    for block, count in enumerate(_VGG_BLOCKS, 1):
        for index in range(1, count + 1):
            x = tf.nn.relu(net.conv(conv_name.format(block, index), x))
        if block == 4:
            features.append(normalize(x))
        pool, stride = (3, 1) if block == 5 else (2, 2)
        x = tf.nn.max_pool2d(x, pool, stride, 'SAME')
    x = tf.nn.relu(net.conv(fc_name.format(6), x, dilation=6))
    x = tf.nn.relu(net.conv(fc_name.format(7), x))
    features.append(x)
    for name, (stride, padding) in zip(extra_names, extra_padding, strict=True):
        x = tf.nn.relu(net.conv(f'{name}_1', x))
        x = tf.nn.relu(net.conv(f'{name}_2', x, stride, padding))
        features.append(x)
    return features


def pierluigiferrari_ssd300(weights, image):
    """Run pierluigiferrari's SSD300: BGR minus the mean, anchors that are not clipped."""
    net = _Net(weights, 'kernel', 'bias')
    x = (image.astype(np.float32) - np.float32([123, 117, 104]))[None, :, :, ::-1]
    symmetric = [[0, 0], [1, 1], [1, 1], [0, 0]]
    layers = [f'conv{index}' for index in (6, 7, 8, 9)]
    features = _vgg_features(
        net, x, 'conv{}_{}', 'fc{}', layers,
        lambda x: tf.math.l2_normalize(x, 3) * weights['conv4_3_norm/conv4_3_norm_gamma'],
        [(2, symmetric), (2, symmetric), (1, 'VALID'), (1, 'VALID')])
    names = ['conv4_3_norm', 'fc7', *(f'{layer}_2' for layer in layers)]
    offsets, logits = ([net.conv(f'{name}_mbox_{head}', x)
                        for name, x in zip(names, features, strict=True)]
                       for head in ('loc', 'conf'))
    scales = (.1, .2, .37, .54, .71, .88, 1.05)
    shapes = []
    for index, (scale, next_scale) in enumerate(zip(scales, scales[1:], strict=False)):
        roots = [math.sqrt(ratio) for ratio in ((2, .5) if index in (0, 4, 5) else
                                                (2, .5, 3, 1 / 3))]
        shapes.append([(scale, scale), (math.sqrt(scale * next_scale),) * 2,
                       *((scale / root, scale * root) for root in roots)])
    anchors = _grid_anchors(_SSD300_CELLS, np.array(_SSD300_STEPS) / 300, shapes)
    return Outputs(_per_anchor(logits, 21), _per_anchor(offsets, 4), _to_center_x_first(anchors))


def hikapok_ssd300(weights, image):
    """Run HiKapok's SSD300: BGR minus another mean, 'SAME' padding, its own anchors."""
    net = _Net({name.removeprefix('ssd300/'): array for name, array in weights.items()},
               'kernel', 'bias')
    x = (image.astype(np.float32) - np.float32([123.68, 116.78, 103.94]))[None, :, :, ::-1]

    def normalize(x):
        squares = tf.reduce_sum(tf.square(x), 3, keepdims=True)
        return net.weights['conv4_3_scale/weights'] * x * tf.math.rsqrt(
            tf.maximum(squares, 1e-10))
    features = _vgg_features(
        net, x, 'conv{0}/conv{0}_{1}', 'fc{}',
        [f'additional_layers/conv{index}/conv{index}' for index in (8, 9, 10, 11)], normalize,
        [(2, 'SAME'), (2, 'SAME'), (1, 'VALID'), (1, 'VALID')])
    offsets, logits = ([net.conv(f'multibox_head/{head}_{index}', x)
                        for index, x in enumerate(features)] for head in ('loc', 'cls'))
    shapes = []
    for index, (scale, extra) in enumerate(zip(
            (.1, .2, .375, .55, .725, .9), (.1414, .2739, .4541, .6315, .8078, .9836),
            strict=True)):
        ratios = (1., 2., .5) if index in (0, 4, 5) else (1., 2., 3., .5, .3333)
        shapes.append([(extra, extra), *((scale / math.sqrt(ratio), scale * math.sqrt(ratio))
                                         for ratio in ratios)])
    anchors = _grid_anchors(_SSD300_CELLS, np.array(_SSD300_STEPS) / 300, shapes)
    return Outputs(_per_anchor(logits, 21), _per_anchor(offsets, 4), anchors)


def _odapi_anchors(cells):
    """Return the anchors of `ssd_anchor_generator` with the ratios of the public configurations."""
    scales = (.2, .35, .5, .65, .8, .95, 1.)
    boxes = [[(.1, 1.), (.2, 2.), (.2, .5)]]   # (scale, ratio) per layer
    boxes += [[*((scale, ratio) for ratio in (1., 2., .5, 3., .3333)),
               (math.sqrt(scale * next_scale), 1.)]
              for scale, next_scale in zip(scales[1:], scales[2:], strict=False)]
    shapes = [[(scale / math.sqrt(ratio), scale * math.sqrt(ratio)) for scale, ratio in layer]
              for layer in boxes]
    return _grid_anchors(cells, [1 / count for count in cells], shapes)


def _odapi_outputs(net, features, num_classes):
    """Add the extra layers after the last feature map, and the heads.

    Layers are separable if the weights have a depthwise kernel for them.
    """
    stem = next(name for name in net.weights if '_1_Conv2d_2_1x1_256/weights' in name)
    stem = stem.partition('_1_Conv2d_2')[0]
    for index, depth in enumerate((512, 256, 256, 128), 2):
        x = tf.nn.relu6(net.conv_norm(f'{stem}_1_Conv2d_{index}_1x1_{depth // 2}', features[-1]))
        name = f'{stem}_2_Conv2d_{index}_3x3_s2_{depth}'
        if f'{name}_depthwise/depthwise_weights' in net.weights:
            x = net.conv_norm(name, net.depthwise(f'{name}_depthwise', x, 2))
        else:
            x = net.conv_norm(name, x, 2)
        features.append(tf.nn.relu6(x))

    def head(name, x):
        if f'{name}_depthwise/depthwise_weights' in net.weights:
            x = net.depthwise(f'{name}_depthwise', x)
        return net.conv(name, x)
    offsets, logits = ([head(f'BoxPredictor_{index}/{kind}Predictor', x)
                        for index, x in enumerate(features)] for kind in ('BoxEncoding', 'Class'))
    return Outputs(_per_anchor(logits, num_classes), _per_anchor(offsets, 4),
                   _odapi_anchors([x.shape[1] for x in features]))


def odapi_ssd_mobilenet_v1(weights, image, num_classes=91):
    """Run ssd_mobilenet_v1 of the TensorFlow Object Detection API."""
    net = _Net(weights)
    stem = 'FeatureExtractor/MobilenetV1/Conv2d_'
    x = image.astype(np.float32)[None] * np.float32(2 / 255) - 1
    x = tf.nn.relu6(net.conv_norm(f'{stem}0', x, 2))
    features = []
    for index in range(1, 14):
        x = net.depthwise(f'{stem}{index}_depthwise', x, 2 if index in (2, 4, 6, 12) else 1)
        x = tf.nn.relu6(net.conv_norm(f'{stem}{index}_pointwise', x))
        if index in (11, 13):
            features.append(x)
    return _odapi_outputs(net, features, num_classes)


def odapi_mobilenet_v2(weights, image, num_classes=91):
    """Run ssd_mobilenet_v2 or ssdlite_mobilenet_v2 of the TensorFlow Object Detection API."""
    net = _Net(weights)
    stem = 'FeatureExtractor/MobilenetV2/'
    x = image.astype(np.float32)[None] * np.float32(2 / 255) - 1
    x = tf.nn.relu6(net.conv_norm(f'{stem}Conv', x, 2))
    features = []
    for index in range(17):
        name = f'{stem}expanded_conv{f"_{index}" if index else ""}'
        inputs = x
        if index:
            x = tf.nn.relu6(net.conv_norm(f'{name}/expand', x))
        if index == 13:
            features.append(x)
        x = net.depthwise(f'{name}/depthwise', x, 2 if index in (1, 3, 6, 13) else 1)
        x = net.conv_norm(f'{name}/project', x)
        if x.shape == inputs.shape:
            x += inputs
    features.append(tf.nn.relu6(net.conv_norm(f'{stem}Conv_1', x)))
    return _odapi_outputs(net, features, num_classes)


PROGRAMS = {
    'pierluigiferrari_ssd300': pierluigiferrari_ssd300,
    'hikapok_ssd300': hikapok_ssd300,
    'odapi_ssd_mobilenet_v1': odapi_ssd_mobilenet_v1,
    'odapi_ssd_mobilenet_v2': odapi_mobilenet_v2,
    'odapi_ssd_mobilenet_v2_full_extras': odapi_mobilenet_v2,
    'odapi_ssdlite_mobilenet_v2': odapi_mobilenet_v2}

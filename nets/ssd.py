"""The one builder that turns a table (`SSDParams`) into a network."""
from typing import NamedTuple

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import layers, mobilenet_v1, vgg
from nets.ssd_params import anchors_per_cell, feature_sizes


class Predictions(NamedTuple):
    """What the network says of a batch."""
    logits: tf.Tensor       # [B, A, C] float32, class 0 is background
    offsets: tf.Tensor      # [B, A, 4] float32, [dx, dy, dw, dh] in units of the variances
    end_points: dict        # name -> [B, H, W, depth]


class BuildOptions(NamedTuple):
    """Options of a net that do not change its architecture."""
    weight_decay: float = 0.            # L2 regularization of weights, not of biases, gamma and beta
    seed: int = 0                       # initial weights depend only on it and their names
    precision: tf.DType = tf.float32    # of convolutions; variables and predictions stay float32
    replicas: object = None             # `collectives.Replicas` that share batch-norm moments


def normalize(images, params):
    """uint8 RGB images [B, H, W, 3] -> float32, the mean subtracted and scaled as the backbone expects."""
    return (tf.cast(images, tf.float32) - tf.constant(params.mean)) * params.scale


def build(images, params, num_classes, is_training, options=BuildOptions()):
    """Build the network of `params` in the default graph.

    L2 losses of the weights are added to `tf.GraphKeys.REGULARIZATION_LOSSES`.

    Args:
      images: [B, S, S, 3] float32, normalized.
      params: `SSDParams`.
      num_classes: C, background included.
      is_training: whether batch norm uses the moments of the batch and updates the moving ones.
      options: `BuildOptions`.

    Returns:
      `Predictions`.
    """
    regularizer = layers.l2_regularizer(options.weight_decay) if options.weight_decay else None
    scope = tf.get_variable_scope
    with tf.variable_scope(scope(), custom_getter=layers.seeded_getter(options.seed)), \
         tf.variable_scope(scope(), custom_getter=layers.precision_getter(options.precision)), \
         slim.arg_scope([slim.conv2d, slim.separable_conv2d], weights_regularizer=regularizer,
                        weights_initializer=tf.glorot_uniform_initializer()), \
         slim.arg_scope([layers.batch_norm], is_training=is_training, replicas=options.replicas):
        end_points = _BACKBONES[params.backbone](tf.cast(images, options.precision), params)
        return _heads(end_points, params, num_classes)


def _vgg(images, params):
    with tf.variable_scope(params.name):
        end_points = vgg.vgg_16(images)
        return _extra_blocks(end_points, params)


def _mobilenet(images, params):
    # Without this initialiser (tf-slim's) the depthwise kernels start far too small.
    with slim.arg_scope([slim.conv2d, slim.separable_conv2d],
                        weights_initializer=tf.truncated_normal_initializer(stddev=.09),
                        normalizer_fn=layers.batch_norm), \
         slim.arg_scope([slim.separable_conv2d], weights_regularizer=None):   # no decay on 9 weights a channel
        end_points = mobilenet_v1.mobilenet_v1(images, params.depth_multiplier)
        with tf.variable_scope(params.name):
            return _extra_blocks(end_points, params)


_BACKBONES = {'vgg_16': _vgg, 'mobilenet_v1': _mobilenet}


def _extra_blocks(end_points, params):
    """The layers that the paper adds behind the last of the backbone; `end_points` with theirs added."""
    net = next(reversed(end_points.values()))
    for block in params.extra_blocks:
        squeeze, depth = (mobilenet_v1.scaled_depth(depth, params.depth_multiplier)
                          for depth in (block.squeeze, block.depth))
        with tf.variable_scope(block.name):
            net = slim.conv2d(net, squeeze, [1, 1], scope='conv1x1')
            net = slim.conv2d(layers.pad(net, block.pad), depth, [block.kernel] * 2, stride=block.stride,
                              padding='VALID', scope=f'conv{block.kernel}x{block.kernel}')
        end_points[block.name] = net
    return end_points


def _heads(end_points, params, num_classes):
    """3x3 convolutions that predict offsets and classes of every anchor of every feature layer."""
    logits, offsets = [], []
    for layer, cells, count, scale in zip(params.feat_layers, feature_sizes(params), anchors_per_cell(params),
                                          params.normalizations, strict=True):
        net = end_points[layer]
        net.shape[1:3].assert_is_compatible_with([cells, cells])
        with tf.variable_scope(f'{params.name}/{layer}_box'), \
             slim.arg_scope([slim.conv2d], activation_fn=None):
            if scale is not None:
                net = layers.l2_normalization(net, scale)
            offsets.append(_by_anchor(slim.conv2d(net, count * 4, [3, 3], scope='conv_loc'), 4))
            logits.append(_by_anchor(slim.conv2d(net, count * num_classes, [3, 3], scope='conv_cls'),
                                     num_classes))
    return Predictions(*(tf.cast(tf.concat(parts, 1), tf.float32) for parts in (logits, offsets)), end_points)


def _by_anchor(net, depth):
    """[B, H, W, n * depth] -> [B, H * W * n, depth]."""
    _, height, width, channels = net.shape.as_list()
    return tf.reshape(net, [-1, height * width * channels // depth, depth])

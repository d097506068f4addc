"""Build the network that an `SSDParams` table defines."""
from typing import NamedTuple

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import layers, mobilenet_v1, vgg
from nets.ssd_params import anchors_per_cell, feature_sizes


class Predictions(NamedTuple):
    """Outputs of the network for a batch."""
    logits: tf.Tensor    # [B, A, C] float32, class 0 is background
    offsets: tf.Tensor   # [B, A, 4] float32 [dx, dy, dw, dh], divided by the variances
    end_points: dict     # layer name -> [B, H, W, channels]


class BuildOptions(NamedTuple):
    """Options of a net that do not change its architecture."""
    weight_decay: float = 0.           # L2 regularization of the weights
    seed: int = 0                      # initial weights depend only on it and on variable names
    precision: tf.DType = tf.float32   # of convolutions; variables and predictions are float32
    replicas: object = None            # `collectives.Replicas` that share batch norm moments
    batch_norm_decay: object = .99     # of the moving moments, a float or [] float32


def normalize(images, params):
    """Subtract the mean of the net from RGB images [B, H, W, 3] and scale them: float32."""
    return (tf.cast(images, tf.float32) - tf.constant(params.mean)) * params.scale


def build(images, params, num_classes, is_training, options=BuildOptions()):
    """Build a net in the default graph.

    Regularization losses are added to `tf.GraphKeys.REGULARIZATION_LOSSES`. There is no weight
    decay on biases, gamma, beta and the depthwise kernels of MobileNet.

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
         slim.arg_scope([layers.batch_norm], is_training=is_training,
                        decay=options.batch_norm_decay, replicas=options.replicas):
        end_points = _BACKBONES[params.backbone](tf.cast(images, options.precision), params)
        return _prediction_layers(end_points, params, num_classes)


def _vgg(images, params):
    with tf.variable_scope(params.name):
        end_points = vgg.vgg_16(images)
        return _extra_layers(end_points, params)


def _mobilenet(images, params):
    # The depthwise kernels, 9 weights per channel, have no weight decay. With glorot_uniform they
    # would start far too small, so all layers use tf-slim's initializer for MobileNet.
    with slim.arg_scope([slim.conv2d, slim.separable_conv2d],
                        weights_initializer=tf.truncated_normal_initializer(stddev=.09),
                        normalizer_fn=layers.batch_norm), \
         slim.arg_scope([slim.separable_conv2d], weights_regularizer=None):
        end_points = mobilenet_v1.mobilenet_v1(images, params.depth_multiplier)
        with tf.variable_scope(params.name):
            return _extra_layers(end_points, params)


_BACKBONES = {'vgg_16': _vgg, 'mobilenet_v1': _mobilenet}


def _extra_layers(end_points, params):
    """Add the extra feature layers after the last backbone layer; return all end points."""
    net = next(reversed(end_points.values()))
    for block in params.extra_blocks:
        squeeze, depth = (mobilenet_v1.scaled_depth(depth, params.depth_multiplier)
                          for depth in (block.squeeze, block.depth))
        with tf.variable_scope(block.name):
            net = slim.conv2d(net, squeeze, [1, 1], scope='conv1x1')
            net = slim.conv2d(layers.pad(net, block.pad), depth, [block.kernel] * 2,
                              stride=block.stride, padding='VALID',
                              scope=f'conv{block.kernel}x{block.kernel}')
        end_points[block.name] = net
    return end_points


def _prediction_layers(end_points, params, num_classes):
    """Add the 3x3 convolutions that predict offsets and classes of the anchors of each layer."""
    logits, offsets = [], []
    for layer, cells, num_anchors, initial_scale in zip(
            params.feat_layers, feature_sizes(params), anchors_per_cell(params),
            params.normalizations, strict=True):
        net = end_points[layer]
        net.shape[1:3].assert_is_compatible_with([cells, cells])
        with tf.variable_scope(f'{params.name}/{layer}_box'), \
             slim.arg_scope([slim.conv2d], activation_fn=None):
            if initial_scale is not None:
                net = layers.l2_normalization(net, initial_scale)
            offsets.append(_per_anchor(
                slim.conv2d(net, num_anchors * 4, [3, 3], scope='conv_loc'), 4))
            logits.append(_per_anchor(
                slim.conv2d(net, num_anchors * num_classes, [3, 3], scope='conv_cls'), num_classes))
    logits, offsets = (tf.cast(tf.concat(tensors, 1), tf.float32) for tensors in (logits, offsets))
    return Predictions(logits, offsets, end_points)


def _per_anchor(net, depth):
    """Reshape [B, H, W, n * depth] to [B, H * W * n, depth]."""
    _, height, width, channels = net.shape.as_list()
    return tf.reshape(net, [-1, height * width * channels // depth, depth])

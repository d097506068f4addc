"""Build the network that an `SSDParams` table defines."""
import importlib
from typing import NamedTuple

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import layers
from nets.backbones import BACKBONES
from nets.heads import HEADS
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
                        weights_initializer=_head_initializer(params)), \
         slim.arg_scope([layers.batch_norm], is_training=is_training,
                        decay=options.batch_norm_decay, replicas=options.replicas):
        end_points = _feature_layers(tf.cast(images, options.precision), params)
        return _prediction_layers(end_points, params, num_classes)


def _head_initializer(params):
    """Return the initializer of the prediction layers; backbones set that of all other layers.

    Without batch norm, the features have scale 1, and so have the logits and offsets.
    """
    if BACKBONES[params.backbone].batch_norm:
        return tf.glorot_uniform_initializer()
    return tf.variance_scaling_initializer(1.)


def _feature_layers(images, params):
    """Build the backbone and the extra layers; return all end points."""
    backbone = BACKBONES[params.backbone]
    module = importlib.import_module(backbone.module)
    with module.arg_scope():
        if backbone.has_own_scope:
            end_points = module.build(images, params)
            with tf.variable_scope(params.name):
                return _extra_layers(end_points, params)
        with tf.variable_scope(params.name):
            return _extra_layers(module.build(images, params), params)


def _extra_layers(end_points, params):
    """Add the extra feature layers after the last backbone layer; return all end points."""
    net = next(reversed(end_points.values()))
    activation = layers.ACTIVATIONS[params.extra_activation]
    for block in params.extra_blocks:
        squeeze, depth = (layers.scaled_depth(depth, params.depth_multiplier)
                          for depth in (block.squeeze, block.depth))
        with tf.variable_scope(block.name), \
             slim.arg_scope([slim.conv2d, slim.separable_conv2d], activation_fn=activation):
            net = slim.conv2d(net, squeeze, [1, 1], scope='conv1x1')
            net = _shrinking_conv(net, block, depth, params)
        end_points[block.name] = net
    return end_points


def _shrinking_conv(net, block, depth, params):
    """Build the second convolution of an extra block, or its depthwise and pointwise parts."""
    name, kernel = f'conv{block.kernel}x{block.kernel}', [block.kernel] * 2
    padding = 'SAME' if block.pad == 'SAME' else 'VALID'
    if block.pad != 'SAME':
        net = layers.pad(net, block.pad)
    last = {'activation_fn': None} if params.linear_extra else {}
    if not params.separable_extra:
        return slim.conv2d(net, depth, kernel, stride=block.stride, padding=padding, scope=name,
                           **last)
    net = slim.separable_conv2d(net, None, kernel, depth_multiplier=1, stride=block.stride,
                                padding=padding, scope=f'{name}_depthwise')
    return slim.conv2d(net, depth, [1, 1], scope=f'{name}_pointwise', **last)


def _prediction_layers(end_points, params, num_classes):
    """Add the layers that predict offsets and classes of the anchors of each feature layer."""
    logits, offsets = [], []
    module = importlib.import_module(BACKBONES[params.backbone].module)
    heads = params.heads or ('conv3x3',) * len(params.feat_layers)
    for layer, cells, num_anchors, normalization, head in zip(
            params.feat_layers, feature_sizes(params), anchors_per_cell(params),
            params.normalizations, heads, strict=True):
        net = end_points[layer]
        net.shape[1:3].assert_is_compatible_with([cells, cells])
        with tf.variable_scope(f'{params.name}/{layer}_box'):
            if normalization == 'batch_norm':
                net = layers.batch_norm(net)
            elif normalization is not None:
                net = layers.l2_normalization(net, normalization)
            for tensors, depth, scope in ((offsets, 4, 'conv_loc'),
                                          (logits, num_classes, 'conv_cls')):
                tensors.append(_per_anchor(
                    HEADS[head](net, num_anchors * depth, scope, params.extra_activation,
                                module.arg_scope), depth))
    logits, offsets = (tf.cast(tf.concat(tensors, 1), tf.float32) for tensors in (logits, offsets))
    return Predictions(logits, offsets, end_points)


def _per_anchor(net, depth):
    """Reshape [B, H, W, n * depth] to [B, H * W * n, depth]."""
    _, height, width, channels = net.shape.as_list()
    return tf.reshape(net, [-1, height * width * channels // depth, depth])

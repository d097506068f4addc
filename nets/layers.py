"""Layers that tf-slim lacks, or that its version 1.1 breaks on today's TensorFlow."""
import copy
import zlib

import tensorflow.compat.v1 as tf
import tf_slim as slim


def seeded_getter(seed):
    """A variable getter that draws every initial value from (seed, name of the variable) alone.

    So a net starts from the same weights whatever else its graph holds: clones, summaries, another order.
    """
    def seeded_getter(getter, name, *args, initializer=None, **kwargs):
        if hasattr(initializer, 'seed'):
            initializer = copy.copy(initializer)
            initializer.seed = zlib.crc32(f'{seed}/{name}'.encode())
        return getter(name, *args, initializer=initializer, **kwargs)
    return seeded_getter


def precision_getter(dtype):
    """A variable getter under which layers compute in `dtype`, while their variables stay float32.

    A layer asks for variables of its input's dtype; it gets a float32 one, cast. So gradients, updates and
    checkpoints are those of float32 training.
    """
    def casting_getter(getter, name, *args, **kwargs):
        if kwargs.get('dtype') != dtype or dtype == tf.float32:
            return getter(name, *args, **kwargs)
        return tf.cast(getter(name, *args, **{**kwargs, 'dtype': tf.float32}), dtype)
    return casting_getter


def xla_scope():
    """A block whose ops, and their gradients, XLA compiles on the device where they are.

    What belongs to variables is left out: they may be on another device, and their initial values shall stay the same.
    So are concatenations: of their gradient TensorFlow's compiler puts parts on the first CPU, wherever the rest is.
    """
    scope = tf.get_default_graph().get_name_scope()

    def is_compiled(node):
        return node.name.startswith(f'{scope}/') and 'Variable' not in node.op and node.op != 'ConcatV2'
    return tf.xla.experimental.jit_scope(compile_ops=is_compiled)


def l2_regularizer(weight_decay):
    """tf-slim's, of the float32 variable also where a layer sees it cast by `in_precision`."""
    regularizer = slim.l2_regularizer(weight_decay)
    return lambda weights: regularizer(weights.op.inputs[0] if weights.dtype != tf.float32 else weights)


@slim.add_arg_scope
def batch_norm(inputs, is_training, decay=.99, epsilon=.001, replicas=None, scope='BatchNorm'):
    """Batch normalisation of [B, H, W, C] under tf-slim's names: gamma, beta, moving_mean, moving_variance.

    In training it normalises with the batch's moments and puts the updates of the moving ones into
    `tf.GraphKeys.UPDATE_OPS`. `decay` .99 lets the moving moments follow within some hundred steps
    (tf-slim's .9997 needs ten thousand), `epsilon` is tf-slim's for MobileNet. replicas: with these
    (`deployment.collectives.Replicas`) the moments are those of all clones' inputs together.
    """
    with tf.variable_scope(scope):
        def variable(name, initial, trainable):
            return slim.model_variable(name, [inputs.shape[-1]], initializer=tf.constant_initializer(initial),
                                       trainable=trainable)
        gamma, beta = variable('gamma', 1., True), variable('beta', 0., True)
        moving_mean = variable('moving_mean', 0., False)
        moving_variance = variable('moving_variance', 1., False)
        if not is_training:
            return tf.nn.fused_batch_norm(inputs, gamma, beta, moving_mean, moving_variance,
                                          epsilon=epsilon, is_training=False)[0]
        if replicas is None or replicas.num_replicas == 1:
            outputs, mean, variance = tf.nn.fused_batch_norm(inputs, gamma, beta, epsilon=epsilon)
        else:
            outputs, mean, variance = _batch_norm_over(replicas, inputs, gamma, beta, epsilon)
        for moving, batch in ((moving_mean, mean), (moving_variance, variance)):
            tf.add_to_collection(tf.GraphKeys.UPDATE_OPS,
                                 tf.assign_sub(moving, (moving - batch) * (1 - decay)))
        return outputs


def _batch_norm_over(replicas, inputs, gamma, beta, epsilon):
    """As tf.nn.fused_batch_norm over the inputs of all clones: outputs, mean and unbiased variance.

    The variance is taken around the mean of all, which the clones exchange first: E[x^2] - E[x]^2 in one exchange would
    lose what deep layers differ by.
    """
    wide = tf.cast(inputs, tf.float32)
    with tf.name_scope('mean'):
        mean = replicas.mean(tf.reduce_mean(wide, axis=[0, 1, 2]))
    with tf.name_scope('variance'):
        variance = replicas.mean(tf.reduce_mean(tf.square(wide - mean), axis=[0, 1, 2]))
    outputs = tf.cast(tf.nn.batch_normalization(wide, mean, variance, beta, gamma, epsilon), inputs.dtype)
    count = tf.cast(tf.size(inputs[..., 0]) * replicas.num_replicas, tf.float32)
    return outputs, mean, variance * count / tf.maximum(count - 1, 1.)


def l2_normalization(inputs, initial_scale, scope='L2Normalization'):
    """Each cell of [B, H, W, C] scaled to unit length, then by a learned `gamma` [C]; in float32, whatever comes in.

    The paper, section 3.1, after ParseNet: conv4_3 has another scale than the layers above it.
    """
    with tf.variable_scope(scope):
        gamma = slim.model_variable('gamma', [inputs.shape[-1]],
                                    initializer=tf.constant_initializer(initial_scale))
        unit = tf.nn.l2_normalize(tf.cast(inputs, tf.float32), axis=-1, epsilon=1e-12)
        return tf.cast(unit * gamma, inputs.dtype)


def pad(inputs, cells):
    """Zeros around [B, H, W, C]: `cells` on every side, as Caffe pads."""
    return tf.pad(inputs, [[0, 0], [cells, cells], [cells, cells], [0, 0]]) if cells else inputs

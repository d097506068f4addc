"""Layers that tf-slim lacks, or that tf-slim 1.1 breaks on current TensorFlow."""
import copy
import zlib
from typing import NamedTuple

import tensorflow.compat.v1 as tf
import tf_slim as slim

# Graph collection of the `BatchMoments` of all batch norm layers in training mode.
BATCH_MOMENTS = 'batch_moments'


_MIN_DEPTH = 8


def hard_sigmoid(inputs):
    """Return relu6(x + 3) / 6 (Howard et al., MobileNetV3, arXiv 1905.02244, section 5.2)."""
    return tf.nn.relu6(inputs + 3) / 6


def hard_swish(inputs):
    """Return x * relu6(x + 3) / 6 (Howard et al., MobileNetV3, arXiv 1905.02244, section 5.2)."""
    return inputs * hard_sigmoid(inputs)


# Names in `SSDParams` -> functions.
ACTIVATIONS = {'relu': tf.nn.relu, 'relu6': tf.nn.relu6, 'hard_swish': hard_swish}


class BatchMoments(NamedTuple):
    """Moments of the batch in one batch norm layer, and the moving moments that follow them."""
    moving_mean: object       # variable [C]
    moving_variance: object   # variable [C]
    mean: tf.Tensor           # [C] float32
    variance: tf.Tensor       # [C] float32, biased: the mean squared distance from the mean

    @property
    def name(self):
        """The name of `mean`, by which `tf.get_collection` selects a scope."""
        return self.mean.name


def seeded_getter(seed):
    """Return a variable getter that derives each initial value from (seed, variable name) only.

    A net then starts from the same weights whatever else its graph contains: clones, summaries, or
    layers created in another order.
    """
    def getter_with_seed(getter, name, *args, initializer=None, **kwargs):
        if hasattr(initializer, 'seed'):
            initializer = copy.copy(initializer)
            initializer.seed = zlib.crc32(f'{seed}/{name}'.encode())
        return getter(name, *args, initializer=initializer, **kwargs)
    return getter_with_seed


def precision_getter(dtype):
    """Return a variable getter that lets layers compute in `dtype` with float32 variables.

    A layer requests variables of the dtype of its input and gets a float32 variable cast to it. So
    gradients, updates and checkpoints are float32.
    """
    def getter_with_cast(getter, name, *args, **kwargs):
        if kwargs.get('dtype') != dtype or dtype == tf.float32:
            return getter(name, *args, **kwargs)
        return tf.cast(getter(name, *args, **{**kwargs, 'dtype': tf.float32}), dtype)
    return getter_with_cast


def xla_scope():
    """Return a context manager whose ops, and their gradients, are compiled by XLA.

    Ops of variables are excluded: they may be on another device, and their initial values must not
    change. Concatenations are excluded because TensorFlow's compiler places parts of their
    gradients on the first CPU, even if all other ops are on a GPU.
    """
    scope = tf.get_default_graph().get_name_scope()

    def is_compiled(node):
        return (node.name.startswith(f'{scope}/') and 'Variable' not in node.op
                and node.op != 'ConcatV2')
    return tf.xla.experimental.jit_scope(compile_ops=is_compiled)


def l2_regularizer(weight_decay):
    """Return tf-slim's L2 regularizer, applied to the float32 variable behind a cast.

    Under `precision_getter`, layers pass the cast of a variable to their regularizer.
    """
    regularizer = slim.l2_regularizer(weight_decay)

    def regularize(weights):
        return regularizer(weights.op.inputs[0] if weights.dtype != tf.float32 else weights)
    return regularize


def warmed_up_decay(num_updates, decay=.99):
    """Return the decay of moving moments after a number of updates: min(decay, n / (n + 9)).

    It is 0 at the first update, so the initial moments 0 and 1 leave no trace, and grows so that
    the moments follow about the last tenth of the batches while the weights change fast.

    Args:
        num_updates: [] integer tensor, n.
        decay: upper bound, reached at update 891 if it is 0.99.
    """
    n = tf.cast(num_updates, tf.float32)
    return tf.minimum(decay, n / (n + 9))


@slim.add_arg_scope
def batch_norm(inputs, is_training, decay=.99, epsilon=.001, replicas=None, scope='BatchNorm'):
    """Apply batch normalization with tf-slim's variable names.

    The variables are gamma, beta, moving_mean and moving_variance. In training, the updates of the
    moving moments are added to `tf.GraphKeys.UPDATE_OPS`, and a `BatchMoments` to `BATCH_MOMENTS`.

    Args:
        inputs: [B, H, W, C].
        is_training: whether to normalize with the moments of the batch, not the moving moments.
        decay: of the moving moments, a float or [] float32. 0.99 follows the batches within
            some hundred steps; tf-slim's 0.9997 needs ten thousand.
        epsilon: added to the variance; the default is tf-slim's for MobileNet.
        replicas: `deployment.collectives.Replicas` to compute the moments of the batch over the
            inputs of all clones, or None to use those of this clone.
        scope: variable scope.

    Returns:
        The normalized inputs.
    """
    with tf.variable_scope(scope):
        def variable(name, initial_value, trainable):
            return slim.model_variable(
                name, [inputs.shape[-1]], initializer=tf.constant_initializer(initial_value),
                trainable=trainable)
        gamma, beta = variable('gamma', 1., True), variable('beta', 0., True)
        moving_mean = variable('moving_mean', 0., False)
        moving_variance = variable('moving_variance', 1., False)
        if not is_training:
            return tf.nn.fused_batch_norm(inputs, gamma, beta, moving_mean, moving_variance,
                                          epsilon=epsilon, is_training=False)[0]
        num_replicas = replicas.num_replicas if replicas else 1
        if num_replicas == 1:
            outputs, mean, variance = tf.nn.fused_batch_norm(inputs, gamma, beta, epsilon=epsilon)
        else:
            outputs, mean, variance = _batch_norm_over(replicas, inputs, gamma, beta, epsilon)
        for moving, batch in ((moving_mean, mean), (moving_variance, variance)):
            tf.add_to_collection(tf.GraphKeys.UPDATE_OPS,
                                 tf.assign_sub(moving, (moving - batch) * (1 - decay)))
        count = tf.cast(tf.size(inputs) // inputs.shape[-1] * num_replicas, tf.float32)
        tf.add_to_collection(BATCH_MOMENTS, BatchMoments(
            moving_mean, moving_variance, mean, variance * (count - 1) / count))
        return outputs


def _batch_norm_over(replicas, inputs, gamma, beta, epsilon):
    """Normalize over the inputs of all clones, as tf.nn.fused_batch_norm does over one clone's.

    The clones exchange their means first, then their variances around the common mean. Computing
    E[x^2] - E[x]^2 in a single exchange would lose too much precision in deep layers.

    Returns:
        The outputs, the mean and the unbiased variance.
    """
    float_inputs = tf.cast(inputs, tf.float32)
    with tf.name_scope('mean'):
        mean = replicas.mean(tf.reduce_mean(float_inputs, axis=[0, 1, 2]))
    with tf.name_scope('variance'):
        variance = replicas.mean(tf.reduce_mean(tf.square(float_inputs - mean), axis=[0, 1, 2]))
    outputs = tf.cast(
        tf.nn.batch_normalization(float_inputs, mean, variance, beta, gamma, epsilon), inputs.dtype)
    count = tf.cast(tf.size(inputs[..., 0]) * replicas.num_replicas, tf.float32)
    return outputs, mean, variance * count / tf.maximum(count - 1, 1.)


def l2_normalization(inputs, initial_scale, scope='L2Normalization'):
    """Scale each cell of inputs [B, H, W, C] to unit length, then by a learned `gamma` [C].

    Paper section 3.1, after ParseNet: conv4_3 has another feature scale than the layers above it.
    The computation is in float32; the output has the dtype of the inputs.
    """
    with tf.variable_scope(scope):
        gamma = slim.model_variable('gamma', [inputs.shape[-1]],
                                    initializer=tf.constant_initializer(initial_scale))
        unit = tf.nn.l2_normalize(tf.cast(inputs, tf.float32), axis=-1, epsilon=1e-12)
        return tf.cast(unit * gamma, inputs.dtype)


def pad(inputs, cells):
    """Pad inputs [B, H, W, C] with `cells` zeros on each side, as Caffe pads."""
    return tf.pad(inputs, [[0, 0], [cells, cells], [cells, cells], [0, 0]]) if cells else inputs


def pad_for(inputs, kernel, stride, padding):
    """Pad inputs [B, H, W, C] for a convolution, unless TensorFlow pads them as wanted.

    TensorFlow's 'SAME' pads an even size before a layer of stride 2 at the end only; Caffe and
    PyTorch pad both sides. Without a stride, both are the same.

    Args:
        inputs: [B, H, W, C].
        kernel: odd kernel size.
        stride: stride of the convolution.
        padding: 'SAME' or 'symmetric'.

    Returns:
        The inputs, and the padding to pass to the convolution.
    """
    if padding == 'SAME' or stride == 1:
        return inputs, 'SAME'
    return pad(inputs, kernel // 2), 'VALID'


def scaled_depth(depth, multiplier):
    """Return the number of channels under a depth multiplier, at least 8 (as in tf-slim)."""
    return max(int(depth * multiplier), _MIN_DEPTH)


def divisible_depth(depth):
    """Round a number of channels to a multiple of 8, but not below 90% of it (as in tf-slim)."""
    rounded = max(int(depth + 4) // 8 * 8, _MIN_DEPTH)
    return rounded if rounded >= .9 * depth else rounded + 8

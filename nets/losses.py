"""The SSD loss (paper eq. 1 to 3, and "Hard negative mining")."""
from typing import NamedTuple

import tensorflow.compat.v1 as tf


class Losses(NamedTuple):
    """Parts of the loss of one clone, [] float32."""
    confidence: tf.Tensor
    localization: tf.Tensor


class LossOptions(NamedTuple):
    """Hyperparameters of the loss."""
    negative_ratio: float = 3.     # hard negatives per matched anchor, in each image
    alpha: float = 1.              # weight of the localization loss
    label_smoothing: float = 0.    # probability mass spread evenly over all classes
    # Hard negatives of an image with few or no matched anchors. The paper has no such minimum.
    min_negatives_per_image: int = 0
    scores: str = 'softmax'        # 'sigmoid': one cross-entropy per class but the background


def smooth_l1(x):
    """Return 0.5 x^2 if |x| < 1, else |x| - 0.5, element-wise (Girshick, Fast R-CNN, eq. 3)."""
    absolute = tf.abs(x)
    return tf.where(absolute < 1, .5 * x * x, absolute - .5)


def hard_negatives(losses, negatives, count):
    """Select the negatives with the largest losses in each image.

    Args:
        losses: [B, A] float32, not negative.
        negatives: [B, A] bool, the candidates.
        count: [B] int32, how many to select; limited to the number of negatives.

    Returns:
        [B, A] bool, with exactly `count` True per image. Of equal losses, the anchors with the
        lower index are selected.
    """
    # Summed in float32 (exact up to 2^24), because TensorFlow has no GPU kernel for int32 sums.
    num_negatives = tf.cast(tf.reduce_sum(tf.cast(negatives, tf.float32), axis=1), tf.int32)
    count = tf.minimum(count, num_negatives)
    candidates = tf.where(negatives, losses, tf.fill(tf.shape(losses), -1.))   # below all losses
    max_count = tf.maximum(tf.reduce_max(count), 1)
    ranked = tf.nn.top_k(candidates, max_count).values
    smallest = tf.gather(ranked, tf.maximum(count - 1, 0), batch_dims=1)[:, None]   # selected loss
    larger, equal = candidates > smallest, tf.equal(candidates, smallest)
    num_equal = tf.cast(count, tf.float32) - tf.reduce_sum(tf.cast(larger, tf.float32), axis=1)
    first_equal = equal & (tf.cumsum(tf.cast(equal, tf.float32), axis=1) <= num_equal[:, None])
    return (larger | first_equal) & (count > 0)[:, None]


def _background_losses(logits, scores):
    """Return the confidence loss of each anchor [B, A] if it is background."""
    if scores == 'sigmoid':
        return tf.reduce_sum(tf.nn.softplus(logits[..., 1:]), -1)
    return tf.maximum(tf.reduce_logsumexp(logits, axis=-1) - logits[..., 0], 0.)


def _cross_entropy(logits, labels, options):
    """Return the confidence losses [...] of anchors with logits [S, C] and labels [S]."""
    num_classes = logits.shape[-1]
    targets = tf.one_hot(labels, num_classes)
    if options.label_smoothing:
        targets = (targets * (1 - options.label_smoothing)
                   + options.label_smoothing / float(num_classes))
    if options.scores == 'sigmoid':
        return tf.nn.sigmoid_cross_entropy_with_logits(
            labels=targets[..., 1:], logits=logits[..., 1:])
    return tf.nn.softmax_cross_entropy_with_logits_v2(labels=targets, logits=logits)


def ssd_losses(logits, offsets, labels, target_offsets, normalizer, options=LossOptions()):
    """Compute the loss of one clone: sums over its images divided by `normalizer`.

    Args:
        logits: [B, A, C] float32.
        offsets: [B, A, 4] float32, predicted.
        labels: [B, A] int32, 0 is background.
        target_offsets: [B, A, 4] float32.
        normalizer: [] float32, N of eq. 1, see `ssd_model.loss_normalizer`.
        options: `LossOptions`.

    Returns:
        `Losses`.
    """
    positives = labels > 0
    num_positives = tf.reduce_sum(tf.cast(positives, tf.float32), axis=1)

    background_losses = tf.stop_gradient(_background_losses(logits, options.scores))
    num_negatives = tf.maximum(tf.cast(options.negative_ratio * num_positives, tf.int32),
                               options.min_negatives_per_image)
    negatives = hard_negatives(background_losses, ~positives, num_negatives)
    selected = tf.where(positives | negatives)   # few anchors; only they need a full cross-entropy
    confidence = tf.reduce_sum(_cross_entropy(
        tf.gather_nd(logits, selected), tf.gather_nd(labels, selected), options))

    matched = tf.where(positives)
    distances = smooth_l1(tf.gather_nd(offsets, matched) - tf.gather_nd(target_offsets, matched))
    return Losses(confidence=confidence / normalizer,
                  localization=options.alpha * tf.reduce_sum(distances) / normalizer)

"""The SSD loss (the paper, eq. 1 to 3, and "Hard negative mining")."""
from typing import NamedTuple

import tensorflow.compat.v1 as tf


class Losses(NamedTuple):
    """Parts of the loss of one clone, scalars float32."""
    confidence: tf.Tensor
    localization: tf.Tensor


class LossOptions(NamedTuple):
    """Hyperparameters of the loss."""
    negative_ratio: float = 3.     # hard negatives per matched anchor, in each image
    alpha: float = 1.              # weight of the localization loss
    label_smoothing: float = 0.    # probability mass spread evenly over all classes


def smooth_l1(x):
    """0.5 x^2 for |x| < 1, |x| - 0.5 beyond, element by element (Girshick, Fast R-CNN, eq. 3)."""
    absolute = tf.abs(x)
    return tf.where(absolute < 1, .5 * x * x, absolute - .5)


def hard_negatives(losses, negatives, count):
    """The `count` negatives with the largest losses, per picture: -> [B, A] bool, exactly `count` are True.

    losses: [B, A]. negatives: [B, A] bool. count: [B] int32, cut to the number of negatives. Of equal losses
    the lower anchors are taken.
    """
    # Counted in float32, exact up to 2^24: a GPU sums no integers.
    count = tf.minimum(count, tf.cast(tf.reduce_sum(tf.cast(negatives, tf.float32), axis=1), tf.int32))
    candidates = tf.where(negatives, losses, tf.fill(tf.shape(losses), -1.))   # no loss is below 0
    most = tf.maximum(tf.reduce_max(count), 1)
    ranked = tf.nn.top_k(candidates, most).values
    last = tf.gather(ranked, tf.maximum(count - 1, 0), batch_dims=1)[:, None]
    above, equal = candidates > last, tf.equal(candidates, last)
    room = tf.cast(count, tf.float32) - tf.reduce_sum(tf.cast(above, tf.float32), axis=1)
    first_equal = equal & (tf.cumsum(tf.cast(equal, tf.float32), axis=1) <= room[:, None])
    return (above | first_equal) & (count > 0)[:, None]


def ssd_losses(logits, offsets, labels, target_offsets, normalizer, options=LossOptions()):
    """Return the loss of one clone: sums over its images divided by `normalizer`.

    Args:
      logits: [B, A, C] float32.
      offsets: [B, A, 4] float32, as the net predicts them.
      labels: [B, A] int32, 0 is background.
      target_offsets: [B, A, 4] float32.
      normalizer: [] float32, N of eq. 1, at least 1.
      options: `LossOptions`.

    Returns:
      `Losses`.
    """
    num_classes = logits.shape[-1]
    positives = labels > 0
    num_positives = tf.reduce_sum(tf.cast(positives, tf.float32), axis=1)

    log_sum = tf.reduce_logsumexp(logits, axis=-1)
    mined = hard_negatives(tf.stop_gradient(tf.maximum(log_sum - logits[..., 0], 0.)), ~positives,
                           tf.cast(options.negative_ratio * num_positives, tf.int32))
    chosen = tf.where(positives | mined)   # few of the many: only they need a full cross-entropy
    targets = tf.one_hot(tf.gather_nd(labels, chosen), num_classes)
    if options.label_smoothing:
        targets = (targets * (1 - options.label_smoothing)
                   + options.label_smoothing / float(num_classes))
    confidence = tf.reduce_sum(tf.nn.softmax_cross_entropy_with_logits_v2(
        labels=targets, logits=tf.gather_nd(logits, chosen)))

    matched = tf.where(positives)
    distance = smooth_l1(tf.gather_nd(offsets, matched) - tf.gather_nd(target_offsets, matched))
    return Losses(confidence=confidence / normalizer,
                  localization=options.alpha * tf.reduce_sum(distance) / normalizer)

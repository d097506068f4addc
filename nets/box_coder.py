"""Encode boxes as offsets to anchors, and decode them (paper section 2.2 and released code)."""
import math

import tensorflow.compat.v1 as tf

from nets import boxes as box_lib

# A diverging net may predict exp(100). No ground-truth box is 1,000 times as large as its anchor.
MAX_LOG_RATIO = math.log(1000.)
# Shorter sides (the image has side 1) are encoded as this length, so that no logarithm is infinite.
MIN_SIDE = 1e-6


def encode(boxes, anchors, variances):
    """Encode boxes [..., 4] as offsets to anchors.

    Args:
        boxes: [..., 4] float32 `[ymin, xmin, ymax, xmax]`.
        anchors: [..., 4] float32 `[cy, cx, h, w]`.
        variances: divisors of the offsets dx, dy, dw, dh.

    Returns:
        Offsets [..., 4] float32 `[dx, dy, dw, dh]`.
    """
    cy, cx, h, w = tf.unstack(box_lib.to_center(boxes, tf), axis=-1)
    anchor_cy, anchor_cx, anchor_h, anchor_w = tf.unstack(anchors, axis=-1)
    return tf.stack([(cx - anchor_cx) / anchor_w,
                     (cy - anchor_cy) / anchor_h,
                     tf.log(tf.maximum(w, MIN_SIDE) / anchor_w),
                     tf.log(tf.maximum(h, MIN_SIDE) / anchor_h)], axis=-1) / variances


def decode(offsets, anchors, variances):
    """Decode offsets [..., 4] to boxes [..., 4]: the inverse of `encode`.

    A decoded side is at most 1,000 times that of its anchor. Boxes are not clipped to the image.
    """
    dx, dy, dw, dh = tf.unstack(offsets * variances, axis=-1)
    cy, cx, h, w = tf.unstack(anchors, axis=-1)
    return box_lib.to_corners(tf.stack([dy * h + cy, dx * w + cx,
                                        tf.exp(tf.minimum(dh, MAX_LOG_RATIO)) * h,
                                        tf.exp(tf.minimum(dw, MAX_LOG_RATIO)) * w], axis=-1), tf)

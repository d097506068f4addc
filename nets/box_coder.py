"""Boxes to offsets against anchors and back (the paper, section 2.2, with the released code's variances)."""
import math

import tensorflow.compat.v1 as tf

from nets import boxes as box_lib

# A net in trouble may ask for exp(100); no true box is more than a thousand times its anchor.
MAX_LOG_RATIO = math.log(1000.)
# Sides below this (of an image of side 1) are taken as this, so that no logarithm is infinite.
MIN_SIDE = 1e-6


def encode(boxes, anchors, variances):
    """Offsets [..., 4] `[dx, dy, dw, dh]` of boxes [..., 4] to anchors [..., 4] `[cy, cx, h, w]`."""
    cy, cx, h, w = tf.unstack(box_lib.to_center(boxes, tf), axis=-1)
    anchor_cy, anchor_cx, anchor_h, anchor_w = tf.unstack(anchors, axis=-1)
    return tf.stack([(cx - anchor_cx) / anchor_w,
                     (cy - anchor_cy) / anchor_h,
                     tf.log(tf.maximum(w, MIN_SIDE) / anchor_w),
                     tf.log(tf.maximum(h, MIN_SIDE) / anchor_h)], axis=-1) / variances


def decode(offsets, anchors, variances):
    """Boxes [..., 4] of offsets [..., 4] `[dx, dy, dw, dh]` against anchors [..., 4] `[cy, cx, h, w]`."""
    dx, dy, dw, dh = tf.unstack(offsets * variances, axis=-1)
    cy, cx, h, w = tf.unstack(anchors, axis=-1)
    return box_lib.to_corners(tf.stack([dy * h + cy, dx * w + cx,
                                        tf.exp(tf.minimum(dh, MAX_LOG_RATIO)) * h,
                                        tf.exp(tf.minimum(dw, MAX_LOG_RATIO)) * w], axis=-1), tf)

"""Match anchors to ground truths (paper section 2.2, "Matching strategy")."""
from typing import NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from nets import box_coder
from nets import boxes as box_lib


class Targets(NamedTuple):
    """Training targets of the anchors of one image."""
    labels: tf.Tensor             # [A] int32, 0 is background
    offsets: tf.Tensor            # [A, 4] float32, zeros for unmatched anchors
    num_well_matched: tf.Tensor   # [] int32, ground truths whose best overlap exceeds the threshold


def bipartite_match(overlaps):
    """Assign a different anchor to each ground truth, largest overlap first.

    The pair with the largest overlap is matched first, then the largest among the remaining ground
    truths and anchors, and so on. Ties go to the ground truth, then to the anchor, with the lower
    index. The algorithm runs in rounds (Gale and Shapley): each ground truth proposes to the best
    anchor that has not rejected it, and each anchor accepts its best proposal. It gives the same
    pairs, and needs only one round unless two ground truths share their best anchor.

    Args:
        overlaps: [M, A] float32 in [0, 1], M <= A.

    Returns:
        The anchor of each ground truth: [M] int32.
    """
    num_boxes, num_anchors = tf.shape(overlaps)[0], tf.shape(overlaps)[1]
    indices = tf.range(num_boxes)

    def propose(available):
        """Return the proposals [M] int32 and whether each is accepted [M] bool.

        available: `overlaps`, with -1 where the anchor has rejected the ground truth.
        """
        proposals = tf.argmax(available, axis=1, output_type=tf.int32)
        strengths = tf.gather(available, proposals, axis=1, batch_dims=1)
        same_anchor = tf.equal(proposals[:, None], proposals[None, :])
        stronger = strengths[None, :] > strengths[:, None]
        earlier = (tf.equal(strengths[None, :], strengths[:, None])
                   & (indices[None, :] < indices[:, None]))
        accepted = ~tf.reduce_any(same_anchor & (stronger | earlier), axis=1)
        return proposals, accepted

    def any_rejected(_, __, accepted):
        return ~tf.reduce_all(accepted)

    def next_round(available, proposals, accepted):
        rejected = (tf.one_hot(proposals, num_anchors, on_value=True, off_value=False)
                    & ~accepted[:, None])
        available = tf.where(rejected, -tf.ones_like(available), available)
        return (available, *propose(available))

    proposals, accepted = propose(overlaps)
    # Each round makes the best open pair final or rejects a pair for good, so M * M rounds suffice.
    return tf.cond(tf.reduce_all(accepted), lambda: proposals,
                   lambda: tf.while_loop(any_rejected, next_round, (overlaps, proposals, accepted),
                                         maximum_iterations=num_boxes * num_boxes)[1])


def match(boxes, labels, anchors, variances, threshold=.5):
    """Compute the training targets of one image.

    Each ground truth is matched to its bipartite anchor. Each other anchor whose best overlap
    exceeds the threshold is matched to that ground truth (the lower index if overlaps are equal).

    Args:
        boxes: [M, 4] float32, ground-truth boxes; M may be 0.
        labels: [M] integer, above 0.
        anchors: [A, 4] float32 array `[cy, cx, h, w]`.
        variances: divisors of the offsets.
        threshold: overlap above which an anchor is matched.

    Returns:
        `Targets`.
    """
    corners = box_lib.to_corners(anchors, np)
    overlaps = box_lib.iou(boxes, corners, tf)
    num_boxes, num_anchors = tf.shape(boxes)[0], len(anchors)
    above_threshold = tf.where(tf.reduce_max(overlaps, axis=0) > threshold)[:, 0]
    # The padded row keeps argmax valid if the image has no boxes.
    best_box = tf.argmax(tf.pad(tf.gather(overlaps, above_threshold, axis=1), [[0, 1], [0, 0]]),
                         axis=0, output_type=tf.int32)
    matched_box = tf.tensor_scatter_nd_update(
        tf.fill([num_anchors], -1), above_threshold[:, None], best_box)
    bipartite_anchors = tf.cond(num_boxes > 0, lambda: bipartite_match(overlaps),
                                lambda: tf.zeros([0], tf.int32))
    matched_box = tf.tensor_scatter_nd_update(
        matched_box, bipartite_anchors[:, None], tf.range(num_boxes))

    # Few anchors are matched, so encode only those.
    matched_anchors = tf.where(matched_box >= 0)
    matched_box = tf.gather_nd(matched_box, matched_anchors)
    offsets = box_coder.encode(
        tf.gather(boxes, matched_box), tf.gather_nd(anchors, matched_anchors), variances)
    return Targets(
        labels=tf.scatter_nd(matched_anchors, tf.gather(tf.cast(labels, tf.int32), matched_box),
                             [num_anchors]),
        offsets=tf.scatter_nd(matched_anchors, offsets, [num_anchors, 4]),
        num_well_matched=tf.math.count_nonzero(
            tf.reduce_max(overlaps, axis=1) > threshold, dtype=tf.int32))

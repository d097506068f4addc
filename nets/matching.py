"""Match anchors to ground truths (paper section 2.2, "Matching strategy")."""
from typing import NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from nets import box_coder
from nets import boxes as box_lib

_FEW_BOXES = 64           # up to here, it is faster to look for the best anchors of each box first
_PAIRS_AT_ONCE = 1 << 12  # smaller chunks need more rounds, larger ones more time for a round


class Targets(NamedTuple):
    """Training targets of the anchors of one image."""
    labels: tf.Tensor             # [A] int32, 0 is background
    offsets: tf.Tensor            # [A, 4] float32, zeros for unmatched anchors
    num_well_matched: tf.Tensor   # [] int32, ground truths whose best overlap exceeds the threshold
    num_unmatched: tf.Tensor      # [] int32, ground truths that get no anchor: there are too many


def bipartite_match(overlaps):
    """Assign a different anchor to each ground truth, largest overlap first.

    The pair with the largest overlap is matched first, then the largest among the remaining ground
    truths and anchors, and so on. Ties go to the ground truth, then to the anchor, with the lower
    index. If there are more ground truths than anchors, all anchors are assigned, and the remaining
    ground truths get none.

    Args:
        overlaps: [M, A] float32 in [0, 1].

    Returns:
        The anchor of each ground truth, or -1: [M] int32.
    """
    best = tf.argmax(overlaps, axis=1, output_type=tf.int32)
    are_different = tf.equal(tf.size(tf.unique(best).y), tf.size(best))
    return tf.cond(are_different, lambda: best, lambda: _match_in_order(overlaps))


def _match_in_order(overlaps):
    """Match as `bipartite_match`, also if two ground truths share their best anchor."""
    num_boxes, num_anchors = tf.shape(overlaps)[0], tf.shape(overlaps)[1]
    boxes, anchors = tf.cond(num_boxes <= _FEW_BOXES, lambda: _best_pairs(overlaps, num_boxes),
                             lambda: _all_pairs(overlaps))

    def is_open(start, anchor_of_box, is_taken):
        return ((start < tf.size(boxes)) & tf.reduce_any(anchor_of_box < 0)
                & ~tf.reduce_all(is_taken))

    def next_chunk(start, *state):
        end = start + _PAIRS_AT_ONCE
        return (end, *_match_pairs(boxes[start:end], anchors[start:end], *state))

    _, anchor_of_box, is_taken = tf.while_loop(
        is_open, next_chunk, (0, tf.fill([num_boxes], -1), tf.fill([num_anchors], False)))
    # The remaining pairs do not overlap: their order is that of their indices.
    free_boxes = tf.where(anchor_of_box < 0)
    free_anchors = tf.cast(tf.where(~is_taken)[:, 0], tf.int32)
    count = tf.minimum(tf.shape(free_boxes)[0], tf.size(free_anchors))
    return tf.tensor_scatter_nd_update(anchor_of_box, free_boxes[:count], free_anchors[:count])


def _best_pairs(overlaps, count):
    """Return the pairs of each ground truth with its `count` best anchors, see `_all_pairs`.

    Of M ground truths, each gets one of its M best anchors, because the others take M - 1.
    """
    values, anchors = tf.nn.top_k(overlaps, tf.minimum(count, tf.shape(overlaps)[1]))
    pairs = tf.where(values > 0)
    values, anchors = tf.gather_nd(values, pairs), tf.gather_nd(anchors, pairs)
    order = tf.argsort(values, direction='DESCENDING', stable=True)
    return tf.cast(tf.gather(pairs[:, 0], order), tf.int32), tf.gather(anchors, order)


def _all_pairs(overlaps):
    """Return the overlapping pairs, largest overlap first.

    Returns:
        The index of the ground truth and of the anchor of each pair, both [P] int32. Equal overlaps
        are in the order of the ground truths, then of the anchors.
    """
    pairs = tf.where(overlaps > 0)
    order = tf.argsort(tf.gather_nd(overlaps, pairs), direction='DESCENDING', stable=True)
    pairs = tf.cast(tf.gather(pairs, order), tf.int32)
    return pairs[:, 0], pairs[:, 1]


def _match_pairs(boxes, anchors, anchor_of_box, is_taken):
    """Match the pairs of some ground truths and anchors in order, each if both are still open.

    In each round, all pairs are matched that come first for both their ground truth and their
    anchor; the order of the others does not change. The result is that of a loop over the pairs.

    Args:
        boxes, anchors: [P] int32, indices.
        anchor_of_box: [M] int32, -1 for open ground truths.
        is_taken: [A] bool.

    Returns:
        The new `anchor_of_box` and `is_taken`.
    """
    def open_pairs(boxes, anchors, anchor_of_box, is_taken):
        are_open = tf.where((tf.gather(anchor_of_box, boxes) < 0)
                            & ~tf.gather(is_taken, anchors))[:, 0]
        return (tf.gather(boxes, are_open), tf.gather(anchors, are_open), anchor_of_box, is_taken)

    def any_pair(boxes, *_):
        return tf.size(boxes) > 0

    def next_round(boxes, anchors, anchor_of_box, is_taken):
        positions = tf.range(tf.size(boxes))
        first_of_box, first_of_anchor = (
            tf.gather(tf.math.unsorted_segment_min(positions, indices, tf.size(groups)), indices)
            for indices, groups in ((boxes, anchor_of_box), (anchors, is_taken)))
        is_first = tf.equal(positions, first_of_box) & tf.equal(positions, first_of_anchor)
        first = tf.where(is_first)[:, 0]
        matched_boxes, matched_anchors = tf.gather(boxes, first), tf.gather(anchors, first)
        anchor_of_box = tf.tensor_scatter_nd_update(
            anchor_of_box, matched_boxes[:, None], matched_anchors)
        is_taken = tf.tensor_scatter_nd_update(
            is_taken, matched_anchors[:, None], tf.ones_like(matched_anchors, tf.bool))
        return open_pairs(boxes, anchors, anchor_of_box, is_taken)

    return tf.while_loop(any_pair, next_round,
                         open_pairs(boxes, anchors, anchor_of_box, is_taken))[2:]


def match(boxes, labels, anchors, variances, threshold=.5):
    """Compute the training targets of one image.

    Each ground truth is matched to its bipartite anchor, if there are enough anchors. Each other
    anchor whose best overlap exceeds the threshold is matched to that ground truth (the lower index
    if overlaps are equal).

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
    num_anchors = len(anchors)
    above_threshold = tf.where(tf.reduce_max(overlaps, axis=0) > threshold)[:, 0]
    # The padded row keeps argmax valid if the image has no boxes.
    best_box = tf.argmax(tf.pad(tf.gather(overlaps, above_threshold, axis=1), [[0, 1], [0, 0]]),
                         axis=0, output_type=tf.int32)
    matched_box = tf.tensor_scatter_nd_update(
        tf.fill([num_anchors], -1), above_threshold[:, None], best_box)
    bipartite_anchors = bipartite_match(overlaps)
    has_anchor = tf.where(bipartite_anchors >= 0)
    matched_box = tf.tensor_scatter_nd_update(
        matched_box, tf.gather_nd(bipartite_anchors, has_anchor)[:, None],
        tf.cast(has_anchor[:, 0], tf.int32))

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
            tf.reduce_max(overlaps, axis=1) > threshold, dtype=tf.int32),
        num_unmatched=tf.size(bipartite_anchors) - tf.shape(has_anchor)[0])

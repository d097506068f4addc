"""Which anchor answers for which ground truth (the paper, section 2.2, "Matching strategy")."""
from typing import NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from nets import box_coder
from nets import boxes as box_lib


class Targets(NamedTuple):
    """What the anchors of one picture should say."""
    labels: tf.Tensor    # [A] int32, 0 is background
    offsets: tf.Tensor   # [A, 4] float32, zeros where the label is 0
    num_well_matched: tf.Tensor   # [] int32, ground truths that some anchor overlaps by more than the threshold


def bipartite_match(overlaps):
    """The anchor of each ground truth: overlaps [M, A] -> [M] int32, no anchor twice (M <= A).

    The pair with the largest overlap is matched first, then the largest of what is left, and so on; ties go
    to the lower ground truth, then to the lower anchor. Found by proposals in rounds (Gale and Shapley: every
    free ground truth proposes to the best anchor that has not refused it, every anchor keeps its best
    proposal), which ends in the same pairs after one round unless two ground truths want the same anchor.
    """
    num_truths, num_anchors = tf.shape(overlaps)[0], tf.shape(overlaps)[1]
    truths = tf.range(num_truths)

    def propose(refusing):
        """refusing: overlaps, -1 where the anchor has refused. Proposals [M] and whether each is kept [M]."""
        wanted = tf.argmax(refusing, axis=1, output_type=tf.int32)
        strength = tf.gather(refusing, wanted, axis=1, batch_dims=1)
        same = tf.equal(wanted[:, None], wanted[None, :])
        stronger = strength[None, :] > strength[:, None]
        earlier = tf.equal(strength[None, :], strength[:, None]) & (truths[None, :] < truths[:, None])
        kept = ~tf.reduce_any(same & (stronger | earlier), axis=1)
        return wanted, kept

    def unsettled(_, __, kept):
        return ~tf.reduce_all(kept)

    def next_round(refusing, wanted, kept):
        refused = tf.one_hot(wanted, num_anchors, on_value=True, off_value=False) & ~kept[:, None]
        refusing = tf.where(refused, -tf.ones_like(refusing), refusing)
        return (refusing, *propose(refusing))

    wanted, kept = propose(overlaps)
    # In every round the best pair not yet final becomes final, or a proposal is refused for good.
    return tf.cond(tf.reduce_all(kept), lambda: wanted,
                   lambda: tf.while_loop(unsettled, next_round, (overlaps, wanted, kept),
                                         maximum_iterations=num_truths * num_truths)[1])


def match(boxes, labels, anchors, variances, threshold=.5):
    """Targets of one picture.

    boxes: [M, 4], M >= 0. labels: [M] int32 > 0. anchors: [A, 4] `[cy, cx, h, w]`, an array. Every ground truth gets
    its bipartite anchor; every other anchor whose best overlap is above the threshold gets that ground truth
    (the lower one of equals).
    """
    corners = box_lib.to_corners(anchors, np)
    overlaps = box_lib.iou(boxes, corners, tf)
    num_truths, num_anchors = tf.shape(boxes)[0], len(anchors)
    near = tf.where(tf.reduce_max(overlaps, axis=0) > threshold)[:, 0]
    # A row of zeros more lets the argmax be taken where there is no ground truth at all.
    nearest = tf.argmax(tf.pad(tf.gather(overlaps, near, axis=1), [[0, 1], [0, 0]]), axis=0, output_type=tf.int32)
    truth = tf.tensor_scatter_nd_update(tf.fill([num_anchors], -1), near[:, None], nearest)
    forced = tf.cond(num_truths > 0, lambda: bipartite_match(overlaps), lambda: tf.zeros([0], tf.int32))
    truth = tf.tensor_scatter_nd_update(truth, forced[:, None], tf.range(num_truths))

    # Few anchors are matched, so only those are encoded.
    matched = tf.where(truth >= 0)
    truth = tf.gather_nd(truth, matched)
    offsets = box_coder.encode(tf.gather(boxes, truth), tf.gather_nd(anchors, matched), variances)
    return Targets(
        labels=tf.scatter_nd(matched, tf.gather(tf.cast(labels, tf.int32), truth), [num_anchors]),
        offsets=tf.scatter_nd(matched, offsets, [num_anchors, 4]),
        num_well_matched=tf.math.count_nonzero(tf.reduce_max(overlaps, axis=1) > threshold, dtype=tf.int32))

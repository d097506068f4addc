"""From predictions to detections (the paper, section 3.1 "Inference": 0.01, top 400, NMS 0.45, top 200)."""
from typing import NamedTuple

import tensorflow.compat.v1 as tf

from nets import box_coder


class PostProcessingOptions(NamedTuple):
    """Thresholds and limits of post-processing; the defaults are the paper's."""
    select_threshold: float = .01    # scores up to this are dropped
    select_top_k: int = 400          # boxes per class that enter non-maximum suppression
    nms_threshold: float = .45       # IoU above which the box with the lower score is suppressed
    keep_top_k: int = 200            # detections per image


class Detections(NamedTuple):
    """Of a batch, best first, padded with zeros to the same length K."""
    boxes: tf.Tensor    # [B, K, 4] float32, inside [0, 1]
    scores: tf.Tensor   # [B, K] float32
    labels: tf.Tensor   # [B, K] int32, 1 to C - 1
    count: tf.Tensor    # [B] int32, how many of K are real


def select_classes(logits, labels):
    """Logits [B, A, C] -> [B, A, 1 + n] of background and the n classes `labels`.

    All other classes become background, so that the softmax of those that stay is what it was.
    """
    others = [label for label in range(logits.shape[-1]) if label not in labels]
    background = tf.reduce_logsumexp(tf.gather(logits, others, axis=-1), -1, keepdims=True)
    return tf.concat([background, tf.gather(logits, labels, axis=-1)], -1)


def detect(logits, offsets, anchors, variances, options=PostProcessingOptions()):
    """`Detections` from logits [B, A, C] and offsets [B, A, 4].

    Of each class the `select_top_k` best scores above `select_threshold` go into non-maximum suppression, where an
    overlap above `nms_threshold` suppresses; the `keep_top_k` best of all classes stay. Of equal scores the lower
    label comes first, then the earlier anchor.
    """
    select = min(options.select_top_k, len(anchors))
    scores = tf.transpose(tf.nn.softmax(logits)[..., 1:], [0, 2, 1])            # [B, C - 1, A]
    # Zeros cost `top_k` next to nothing, and of a trained net nearly all scores are below the threshold.
    scores = tf.where_v2(scores > options.select_threshold, scores, 0.)
    scores, best = tf.nn.top_k(scores, select)                                  # [B, C - 1, select]
    boxes = tf.gather(box_coder.decode(offsets, anchors, variances), best, batch_dims=1)

    boxes, scores = _suppress(boxes, scores, options.nms_threshold, min(select, options.keep_top_k))
    num_objects, most = boxes.shape.as_list()[1:3]
    scores, best = tf.nn.top_k(tf.reshape(scores, [-1, num_objects * most]),
                                min(options.keep_top_k, num_objects * most))
    boxes = tf.gather(tf.reshape(boxes, [-1, num_objects * most, 4]), best, batch_dims=1)
    real = scores > 0
    return Detections(boxes, scores, tf.where_v2(real, best // most + 1, 0), tf.count_nonzero(real, 1, dtype=tf.int32))


def _suppress(boxes, scores, threshold, most):
    """Non-maximum suppression of each class apart.

    boxes [B, C - 1, S, 4], scores [B, C - 1, S], best first, 0 for none -> the `most` best that stay: boxes
    [B, C - 1, most, 4], cut to the image, and scores [B, C - 1, most], padded with zeros. More than `keep_top_k` of one
    class are never kept in the end, so suppression may stop there.
    """
    _, num_objects, select, _ = boxes.shape.as_list()
    # The kernel breaks ties as it likes, so it gets what no two have in common: places, S for the best, 0 for none.
    places = tf.where_v2(scores > 0, tf.range(select, 0., -1.), 0.)
    # Every class is an image to the kernel. Its own classes would want boxes and scores transposed, and be sorted once
    # more, and ONNX cannot say them where each has its boxes.
    kept = tf.image.combined_non_max_suppression(
        tf.reshape(boxes, [-1, select, 1, 4]), tf.reshape(places, [-1, select, 1]), max_output_size_per_class=most,
        max_total_size=most, iou_threshold=threshold, score_threshold=0., clip_boxes=True)
    places = tf.reshape(tf.cast(kept.nmsed_scores, tf.int32), [-1, num_objects, most])
    ended = tf.pad(scores, [[0, 0], [0, 0], [0, 1]])   # the place 0 of padding finds this 0
    return (tf.reshape(kept.nmsed_boxes, [-1, num_objects, most, 4]),
            tf.gather(ended, select - places, batch_dims=2))

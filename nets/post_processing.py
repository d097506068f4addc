"""From predictions to detections (the paper, section 3.1 "Inference": 0.01, top 400, NMS 0.45, top 200)."""
from typing import NamedTuple

import tensorflow.compat.v1 as tf

from nets import box_coder


class Detections(NamedTuple):
    """Of a batch, best first, padded with zeros to the same length K."""
    boxes: tf.Tensor    # [B, K, 4] float32, inside [0, 1]
    scores: tf.Tensor   # [B, K] float32
    labels: tf.Tensor   # [B, K] int32, 1 to C - 1
    count: tf.Tensor    # [B] int32, how many of K are real


def detect(logits, offsets, anchors, variances, select_threshold=.01, select_top_k=400,
           nms_threshold=.45, keep_top_k=200):
    """`Detections` from logits [B, A, C] and offsets [B, A, 4].

    Of each class the `select_top_k` best scores above `select_threshold` go into non-maximum suppression with
    overlap `nms_threshold`; the `keep_top_k` best of all classes stay.
    """
    num_classes = logits.shape.as_list()[-1]
    scores = tf.transpose(tf.nn.softmax(logits)[..., 1:], [0, 2, 1])            # [B, C - 1, A]
    boxes = box_coder.decode(offsets, anchors, variances)                       # [B, A, 4]
    select = min(select_top_k, anchors.shape[0])
    scores, best = tf.nn.top_k(scores, select)                                  # [B, C - 1, select]
    boxes = tf.gather(boxes, best, batch_dims=1)                                # [B, C - 1, select, 4]
    kept = tf.image.combined_non_max_suppression(
        tf.transpose(boxes, [0, 2, 1, 3]), tf.transpose(scores, [0, 2, 1]),
        max_output_size_per_class=select, max_total_size=min(keep_top_k, select * (num_classes - 1)),
        iou_threshold=nms_threshold, score_threshold=select_threshold, clip_boxes=True)
    real = tf.sequence_mask(kept.valid_detections, tf.shape(kept.nmsed_scores)[1])
    labels = tf.where(real, tf.cast(kept.nmsed_classes, tf.int32) + 1,
                      tf.zeros_like(kept.nmsed_classes, tf.int32))
    return Detections(kept.nmsed_boxes, kept.nmsed_scores, labels, kept.valid_detections)

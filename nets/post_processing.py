"""Turn predictions into detections (paper section 3.1 "Inference")."""
from typing import NamedTuple

import tensorflow.compat.v1 as tf

from nets import box_coder


class PostProcessingOptions(NamedTuple):
    """Thresholds and limits of post-processing; the defaults are those of the paper's code."""
    select_threshold: float = .01    # keep only scores above it
    select_top_k: int = 400          # boxes per class that enter non-maximum suppression
    nms_threshold: float = .45       # IoU above which the box with the lower score is suppressed
    keep_top_k: int = 200            # detections per image


class Detections(NamedTuple):
    """Detections of a batch, highest score first, padded with zeros to K per image."""
    boxes: tf.Tensor    # [B, K, 4] float32, inside [0, 1]
    scores: tf.Tensor   # [B, K] float32
    labels: tf.Tensor   # [B, K] int32, 1 to C - 1; 0 for padding
    count: tf.Tensor    # [B] int32, number of detections without padding


def class_scores(logits, function):
    """Return the scores [B, A, C - 1] of the classes after the background.

    Args:
        logits: [B, A, C] float32.
        function: 'softmax', or 'sigmoid', which ignores the background.
    """
    if function == 'sigmoid':
        return tf.sigmoid(logits[..., 1:])
    return tf.nn.softmax(logits)[..., 1:]


def select_classes(logits, labels, function='softmax'):
    """Merge all classes but the given ones into the background.

    The scores of the selected classes do not change.

    Args:
        logits: [B, A, C] float32.
        labels: n labels, above 0.
        function: 'softmax' or 'sigmoid', see `class_scores`.

    Returns:
        Logits [B, A, 1 + n]: the background, then the classes in the order of `labels`.
    """
    if function == 'sigmoid':
        return tf.gather(logits, [0, *labels], axis=-1)
    merged = [label for label in range(logits.shape[-1]) if label not in labels]
    background = tf.reduce_logsumexp(tf.gather(logits, merged, axis=-1), -1, keepdims=True)
    return tf.concat([background, tf.gather(logits, labels, axis=-1)], -1)


def detect(logits, offsets, anchors, variances, options=PostProcessingOptions(),
           function='softmax'):
    """Decode, select and suppress the predictions of a batch.

    Per class: keep the `select_top_k` highest scores above `select_threshold`, then apply
    non-maximum suppression at IoU `nms_threshold`. Per image: keep the `keep_top_k` highest scores
    of all classes. Of equal scores, the lower label comes first, then the earlier anchor.

    Args:
        logits: [B, A, C] float32.
        offsets: [B, A, 4] float32.
        anchors: [A, 4] float32 `[cy, cx, h, w]`.
        variances: divisors of the offsets.
        options: `PostProcessingOptions`.
        function: 'softmax' or 'sigmoid', see `class_scores`.

    Returns:
        `Detections` with K = min(keep_top_k, (C - 1) * min(select_top_k, keep_top_k, A)).
    """
    num_selected = min(options.select_top_k, len(anchors))
    scores = tf.transpose(class_scores(logits, function), [0, 2, 1])   # [B, C - 1, A]
    # top_k is fast on zeros, and a trained net scores almost all boxes below the threshold.
    scores = tf.where_v2(scores > options.select_threshold, scores, 0.)
    scores, indices = tf.nn.top_k(scores, num_selected)                # [B, C - 1, S]
    boxes = tf.gather(box_coder.decode(offsets, anchors, variances), indices, batch_dims=1)

    boxes, scores = _suppress(boxes, scores, options.nms_threshold,
                              min(num_selected, options.keep_top_k))
    num_objects, per_class = boxes.shape.as_list()[1:3]
    total = num_objects * per_class
    scores, indices = tf.nn.top_k(tf.reshape(scores, [-1, total]), min(options.keep_top_k, total))
    boxes = tf.gather(tf.reshape(boxes, [-1, total, 4]), indices, batch_dims=1)
    is_detection = scores > 0
    return Detections(boxes, scores, labels=tf.where_v2(is_detection, indices // per_class + 1, 0),
                      count=tf.count_nonzero(is_detection, 1, dtype=tf.int32))


def _suppress(boxes, scores, threshold, max_boxes):
    """Apply non-maximum suppression to each class separately.

    Args:
        boxes: [B, C - 1, S, 4], highest score first.
        scores: [B, C - 1, S], 0 for boxes to ignore.
        threshold: IoU above which a box suppresses those after it.
        max_boxes: boxes to keep per class. `keep_top_k` suffices, because an image never keeps
            more of one class.

    Returns:
        Boxes [B, C - 1, max_boxes, 4] clipped to the image, and scores [B, C - 1, max_boxes], both
        padded with zeros.
    """
    _, num_objects, num_selected, _ = boxes.shape.as_list()
    # The kernel orders equal scores arbitrarily, so give it unique ranks: S for the best box, 0 for
    # boxes to ignore.
    ranks = tf.where_v2(scores > 0, tf.range(num_selected, 0., -1.), 0.)
    # Each class is an image to the kernel. Its own classes would need transposed boxes and scores
    # and one more sort, and ONNX cannot express classes with boxes of their own.
    nms = tf.image.combined_non_max_suppression(
        tf.reshape(boxes, [-1, num_selected, 1, 4]), tf.reshape(ranks, [-1, num_selected, 1]),
        max_output_size_per_class=max_boxes, max_total_size=max_boxes, iou_threshold=threshold,
        score_threshold=0., clip_boxes=True)
    ranks = tf.reshape(tf.cast(nms.nmsed_scores, tf.int32), [-1, num_objects, max_boxes])
    padded_scores = tf.pad(scores, [[0, 0], [0, 0], [0, 1]])   # rank 0 of padding gets score 0
    return (tf.reshape(nms.nmsed_boxes, [-1, num_objects, max_boxes, 4]),
            tf.gather(padded_scores, num_selected - ranks, batch_dims=2))

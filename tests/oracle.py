"""Reference implementation of matching, loss and post-processing in plain NumPy loops.

It follows the paper literally. Tests compare the graph code with it.
"""
import numpy as np


def iou(a, b):
    """Return the Jaccard overlap of two boxes [4], in float32 as the graph computes it."""
    a, b = np.float32(a), np.float32(b)
    zero = np.float32(0)
    shared = (max(min(a[2], b[2]) - max(a[0], b[0]), zero)
              * max(min(a[3], b[3]) - max(a[1], b[1]), zero))
    union = ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])) - shared
    return shared / union if union > 0 else zero


def pairwise_iou(boxes, anchors):
    """Return the overlaps [M, A] of boxes [M, 4] and anchors [A, 4] `[cy, cx, h, w]`."""
    corners = [(cy - h / 2, cx - w / 2, cy + h / 2, cx + w / 2)
               for cy, cx, h, w in np.float32(anchors)]
    return np.array([[iou(box, corner) for corner in corners] for box in boxes],
                    np.float32).reshape(len(boxes), len(anchors))


def bipartite_match(overlaps):
    """Return the anchor [M] of each ground truth from overlaps [M, A], largest overlap first.

    Ties go to the first ground truth, then to the first anchor. -1: all anchors are taken.
    """
    overlaps = overlaps.copy()
    matched_anchor = np.full(len(overlaps), -1)
    for _ in range(min(overlaps.shape)):
        box, anchor = np.unravel_index(np.argmax(overlaps), overlaps.shape)
        matched_anchor[box] = anchor
        overlaps[box, :] = -2
        overlaps[:, anchor] = -2
    return matched_anchor


def match(boxes, labels, anchors, threshold):
    """Return the label [A] and the index of the matched box [A] (-1: unmatched) of each anchor."""
    overlaps = pairwise_iou(boxes, anchors)
    matched_box = np.full(len(anchors), -1)
    for anchor in range(len(anchors)):
        for box in range(len(boxes)):
            best = matched_box[anchor]
            if overlaps[box, anchor] > threshold and (
                    best < 0 or overlaps[box, anchor] > overlaps[best, anchor]):
                matched_box[anchor] = box
    for box, anchor in enumerate(bipartite_match(overlaps)):
        if anchor >= 0:
            matched_box[anchor] = box
    return np.array([labels[box] if box >= 0 else 0 for box in matched_box], np.int64), matched_box


def encode(box, anchor, variances):
    """Return the offsets [dx, dy, dw, dh] of one box to one anchor."""
    cy, cx = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return np.array([(cx - anchor[1]) / anchor[3], (cy - anchor[0]) / anchor[2],
                     np.log((box[3] - box[1]) / anchor[3]),
                     np.log((box[2] - box[0]) / anchor[2])]) / variances


def ssd_loss(logits, offsets, labels, target_offsets, normalizer, options):
    """Return the confidence and localization loss, computed in float64 anchor by anchor.

    options: `losses.LossOptions`; label smoothing is not supported.
    """
    confidence = localization = 0.
    for b in range(len(logits)):
        log_softmax = logits[b] - np.log(np.exp(logits[b]).sum(-1, keepdims=True))
        positives = [a for a in range(len(labels[b])) if labels[b][a] > 0]
        negatives = [a for a in range(len(labels[b])) if labels[b][a] == 0]
        count = max(int(options.negative_ratio * len(positives)), options.min_negatives_per_image)
        count = min(count, len(negatives))
        negatives.sort(key=lambda a: log_softmax[a, 0])   # largest loss first; the sort is stable
        for a in positives + negatives[:count]:
            confidence -= log_softmax[a, labels[b][a]]
        for a in positives:
            for d in np.abs(offsets[b][a] - target_offsets[b][a]):
                localization += .5 * d * d if d < 1 else d - .5
    return confidence / normalizer, options.alpha * localization / normalizer


def decode(offsets, anchor, variances):
    """Return the box of offsets [dx, dy, dw, dh] to one anchor."""
    dx, dy, dw, dh = np.float32(offsets) * np.float32(variances)
    cy, cx, h, w = np.float32(anchor)
    cy, cx, half_h, half_w = dy * h + cy, dx * w + cx, np.exp(dh) * h / 2, np.exp(dw) * w / 2
    return np.array([cy - half_h, cx - half_w, cy + half_h, cx + half_w], np.float32)


def detect(scores, offsets, anchors, variances, options):
    """Return the detections of one image, highest score first: a list of (box, score, label).

    Args:
        scores: [A, C].
        offsets: [A, 4].
        anchors: [A, 4].
        variances: divisors of the offsets.
        options: `post_processing.PostProcessingOptions`.
    """
    detections = []
    for label in range(1, scores.shape[1]):
        candidates = [a for a in range(len(anchors)) if scores[a, label] > options.select_threshold]
        candidates.sort(key=lambda a, label=label: -scores[a, label])   # stable: first anchor first
        of_class = []
        for a in candidates[:options.select_top_k]:
            box = decode(offsets[a], anchors[a], variances)
            if not any(iou(box, other) > options.nms_threshold for other, _, _ in of_class):
                of_class.append((box, scores[a, label], label))
        detections += of_class
    detections.sort(key=lambda detection: -detection[1])
    return [(np.clip(box, 0, 1), score, label)
            for box, score, label in detections[:options.keep_top_k]]

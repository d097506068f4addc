"""Plain NumPy, loop by loop, as the paper says it: what the graph code is compared with."""
import numpy as np


def overlap(a, b):
    """Jaccard overlap of two boxes [ymin, xmin, ymax, xmax], in float32 as the graph computes it."""
    a, b = np.float32(a), np.float32(b)
    zero = np.float32(0)
    shared = (max(min(a[2], b[2]) - max(a[0], b[0]), zero)
              * max(min(a[3], b[3]) - max(a[1], b[1]), zero))
    union = ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])) - shared
    return shared / union if union > 0 else zero


def overlaps(boxes, anchors):
    """[M, A] overlaps of boxes [M, 4] and anchors [A, 4] `[cy, cx, h, w]`."""
    corners = [(cy - h / 2, cx - w / 2, cy + h / 2, cx + w / 2) for cy, cx, h, w in np.float32(anchors)]
    return np.array([[overlap(box, corner) for corner in corners] for box in boxes],
                    np.float32).reshape(len(boxes), len(anchors))


def greedy(table):
    """Bipartite matching: the largest overlap first; of equals the first truth, then the first anchor."""
    table = table.copy()
    answer = np.full(len(table), -1)
    for _ in range(len(table)):
        truth, anchor = np.unravel_index(np.argmax(table), table.shape)
        answer[truth] = anchor
        table[truth, :] = -2
        table[:, anchor] = -2
    return answer


def match(boxes, labels, anchors, threshold):
    """Labels [A] and index of the matched ground truth [A] (-1: none)."""
    table = overlaps(boxes, anchors)
    truth_of = np.full(len(anchors), -1)
    for anchor in range(len(anchors)):
        for truth in range(len(boxes)):
            if table[truth, anchor] > threshold and (
                    truth_of[anchor] < 0 or table[truth, anchor] > table[truth_of[anchor], anchor]):
                truth_of[anchor] = truth
    for truth, anchor in enumerate(greedy(table)):
        truth_of[anchor] = truth
    return np.array([labels[t] if t >= 0 else 0 for t in truth_of], np.int64), truth_of


def encode(box, anchor, variances):
    """[dx, dy, dw, dh] of one box to one anchor."""
    cy, cx = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return np.array([(cx - anchor[1]) / anchor[3], (cy - anchor[0]) / anchor[2],
                     np.log((box[3] - box[1]) / anchor[3]), np.log((box[2] - box[0]) / anchor[2])]) / variances


def ssd_loss(logits, offsets, labels, target_offsets, normalizer, negative_ratio, alpha):
    """Confidence and localisation loss, float64, anchor by anchor."""
    confidence = localization = 0.
    for b in range(len(logits)):
        log_softmax = logits[b] - np.log(np.exp(logits[b]).sum(-1, keepdims=True))
        positives = [a for a in range(len(labels[b])) if labels[b][a] > 0]
        negatives = [a for a in range(len(labels[b])) if labels[b][a] == 0]
        count = min(int(negative_ratio * len(positives)), len(negatives))
        negatives.sort(key=lambda a: log_softmax[a, 0])   # largest loss first, stable
        for a in positives + negatives[:count]:
            confidence -= log_softmax[a, labels[b][a]]
        for a in positives:
            for d in np.abs(offsets[b][a] - target_offsets[b][a]):
                localization += .5 * d * d if d < 1 else d - .5
    return confidence / normalizer, alpha * localization / normalizer

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


def decode(offset, anchor, variances):
    """Box of offsets [dx, dy, dw, dh] against one anchor."""
    dx, dy, dw, dh = np.float32(offset) * np.float32(variances)
    cy, cx, h, w = np.float32(anchor)
    cy, cx, half_h, half_w = dy * h + cy, dx * w + cx, np.exp(dh) * h / 2, np.exp(dw) * w / 2
    return np.array([cy - half_h, cx - half_w, cy + half_h, cx + half_w], np.float32)


def detect(scores, offsets, anchors, variances, select_threshold, select_top_k, nms_threshold, keep_top_k):
    """[(box, score, label)] of one picture, best first, from scores [A, C] and offsets [A, 4]."""
    found = []
    for label in range(1, scores.shape[1]):
        candidates = [a for a in range(len(anchors)) if scores[a, label] > select_threshold]
        candidates.sort(key=lambda a, label=label: -scores[a, label])   # stable: of equals the first
        kept = []
        for a in candidates[:select_top_k]:
            box = decode(offsets[a], anchors[a], variances)
            if not any(overlap(box, other) > nms_threshold for other, _, _ in kept):
                kept.append((box, scores[a, label], label))
        found += kept
    found.sort(key=lambda detection: -detection[1])
    return [(np.clip(box, 0, 1), score, label) for box, score, label in found[:keep_top_k]]

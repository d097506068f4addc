"""Which ground truths the anchors of a net reach, and which anchors would reach the rest. NumPy only."""
import numpy as np

from nets import anchors
from nets import boxes as box_lib
from nets.ssd_params import feature_sizes

RATIOS = (1., 2., 1 / 2, 3., 1 / 3)
_CHUNK = 64            # boxes at a time against all anchors
_SMALLEST, _STEP = 4., 1.2   # candidate sizes: 4 pixels, and each a fifth larger than the one before


def best_overlaps(boxes, table):
    """The largest overlap of each box [M, 4] with any anchor of a table [A, 4] `[cy, cx, h, w]`: [M] float32."""
    corners = box_lib.to_corners(table, np)
    parts = [box_lib.iou(boxes[start:start + _CHUNK], corners, np).max(1) for start in range(0, len(boxes), _CHUNK)]
    return np.concatenate(parts) if parts else np.zeros([0], np.float32)


def _candidates(params):
    """(layer, step, height, width in pixels) of anchors that a net could have, each where its like already are."""
    largest = [sizes[0] for sizes in params.anchor_sizes]
    for size in _SMALLEST * _STEP ** np.arange(np.log(params.image_size / _SMALLEST) / np.log(_STEP)):
        layer = int(np.argmin(np.abs(np.log(np.array(largest) / size))))
        step = params.anchor_steps[layer] or params.image_size / feature_sizes(params)[layer]
        for ratio in RATIOS:
            yield params.feat_layers[layer], step, size / np.sqrt(ratio), size * np.sqrt(ratio)


def _reached_by(boxes, params, step, height, width, threshold):
    """Which boxes [M, 4] the anchor of this height and width at the nearest cell reaches: [M] bool."""
    pixels = box_lib.to_center(boxes, np) * params.image_size
    cells = np.clip(np.floor(pixels[:, :2] / step), 0, np.ceil(params.image_size / step) - 1)
    nearest = np.concatenate([(cells + .5) * step, np.broadcast_to([height, width], cells.shape)], 1)
    a, b = box_lib.to_corners(nearest, np), boxes * params.image_size
    sides = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    shared = np.prod(np.maximum(sides, 0), axis=1)
    return shared > threshold * (box_lib.area(a) + box_lib.area(b) - shared)


def suggest_anchors(boxes, params, threshold=.5, most=3):
    """Anchors that would reach the most of these boxes [M, 4], which none does yet: a list of tuples.

    Each is (layer, height, width in pixels, how many more it reaches than those before it), at most `most` of
    them, the best first.
    """
    found, left = [], np.ones(len(boxes), bool)
    reached = [(layer, height, width, _reached_by(boxes, params, step, height, width, threshold))
               for layer, step, height, width in _candidates(params)]
    while len(found) < most:
        layer, height, width, those = max(reached, key=lambda candidate: (candidate[3] & left).sum())
        count = int((those & left).sum())
        if not count:
            break
        found.append((layer, float(height), float(width), count))
        left &= ~those
    return found


def report_lines(boxes, params):
    """Lines: which share of the boxes [M, 4] no anchor of a net reaches, and which anchors would."""
    missed = boxes[best_overlaps(boxes, anchors.net_anchors(params)) <= .5]
    return [f'{len(missed)} of {len(boxes)} boxes ({len(missed) / max(len(boxes), 1):.1%}) overlap no anchor of '
            f'{params.name} ({params.anchor_preset}) by more than 0.5'] + [
                f'  an anchor of {width:.0f}x{height:.0f} pixels (of {params.image_size}) on {layer} would reach '
                f'{count} of them' for layer, height, width, count in suggest_anchors(missed, params)]

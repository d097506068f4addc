"""Overlap of ground-truth boxes with anchors, and anchors that a net lacks. NumPy only.

Overlap is the Jaccard overlap. Training matches a box well if its overlap with some anchor exceeds
0.5 (paper section 2.2).
"""
from typing import NamedTuple

import numpy as np

from nets import anchors as anchors_lib
from nets import boxes as box_lib
from nets.ssd_params import step_sizes

_RATIOS = (2., 1 / 2, 3., 1 / 3)     # aspect ratios of suggested anchors, besides 1
_MIN_SIZE, _SIZE_FACTOR = 4., 1.2    # their sizes in pixels: 4, 4.8, 5.76, ...
_CHUNK = 64                          # boxes compared with all anchors at a time


class GridBoxes(NamedTuple):
    """Boxes relative to the grid of anchor centers of a layer, in pixels, vertical axis first."""
    sizes: np.ndarray       # [M, 2] heights and widths
    distances: np.ndarray   # [M, 2] distances of each center to the nearest anchor center


class Suggestion(NamedTuple):
    """An anchor that would match boxes that no anchor of the net matches well."""
    layer: str
    height: float   # in pixels of the net's input
    width: float
    num_boxes: int  # boxes that it would match, without those of earlier suggestions


def best_overlaps(boxes, anchors):
    """Return the best overlap of each box [M, 4] with any anchor [A, 4] `[cy, cx, h, w]`: [M]."""
    corners = box_lib.to_corners(anchors, np)
    chunks = [box_lib.iou(boxes[start:start + _CHUNK], corners, np).max(1)
              for start in range(0, len(boxes), _CHUNK)]
    return np.concatenate(chunks) if chunks else np.zeros([0], np.float32)


def place_on_grid(boxes, step, image_size):
    """Return relative boxes [M, 4] as `GridBoxes` of a layer with the given step in pixels."""
    boxes = box_lib.to_center(boxes, np) * image_size
    centers, sizes = boxes[:, :2], boxes[:, 2:]
    cells = np.clip(np.floor(centers / step), 0, np.ceil(image_size / step) - 1)
    return GridBoxes(sizes, np.abs((cells + .5) * step - centers))


def best_grid_overlaps(shapes, grid_boxes):
    """Return the best overlap of each of M boxes with the anchors at the nearest cell: [M] float64.

    Args:
        shapes: [n, 2] heights and widths of the anchors at each cell, in pixels.
        grid_boxes: `GridBoxes` of the same layer.
    """
    sizes, distances = grid_boxes
    best = np.zeros(len(sizes))
    for shape in shapes:
        sides = np.minimum(np.minimum(sizes, shape), (sizes + shape) / 2 - distances)
        shared = np.prod(np.maximum(sides, 0), axis=1)
        best = np.maximum(best, shared / (np.prod(sizes, axis=1) + np.prod(shape) - shared))
    return best


def suggest_anchors(boxes, params, threshold=.5, max_suggestions=3):
    """Suggest anchors for boxes that no anchor of a net matches well.

    Candidates have sizes from 4 pixels to the image and the paper's aspect ratios, on the layer
    whose anchors have the most similar size. Each suggestion is the candidate with the most boxes
    that the earlier ones do not match.

    Args:
        boxes: [M, 4] float32, the unmatched boxes.
        params: `SSDParams`.
        threshold: overlap above which a candidate matches a box.
        max_suggestions: largest number of suggestions.

    Returns:
        A list of `Suggestion`, most boxes first.
    """
    candidates = list(_candidates(boxes, params, threshold))
    unmatched, suggestions = np.ones(len(boxes), bool), []
    while len(suggestions) < max_suggestions:
        layer, (height, width), matches = max(
            candidates, key=lambda candidate: (candidate[2] & unmatched).sum())
        num_boxes = int((matches & unmatched).sum())
        if not num_boxes:
            break
        suggestions.append(Suggestion(layer, float(height), float(width), num_boxes))
        unmatched &= ~matches
    return suggestions


def _candidates(boxes, params, threshold):
    """Yield (layer, shape [2], matches [M] bool) of each candidate anchor."""
    layer_sizes = np.sqrt([np.prod(shapes[0]) for shapes in params.anchor_shapes])
    grids = [place_on_grid(boxes, step, params.image_size) for step in step_sizes(params)]
    num_sizes = np.log(params.image_size / _MIN_SIZE) / np.log(_SIZE_FACTOR)
    for size in _MIN_SIZE * _SIZE_FACTOR ** np.arange(num_sizes):
        layer = int(np.argmin(np.abs(np.log(layer_sizes / size))))
        for shape in anchors_lib.anchor_shapes(size, None, _RATIOS):
            yield (params.feat_layers[layer], shape,
                   best_grid_overlaps([shape], grids[layer]) > threshold)


def unmatched_boxes(boxes, params):
    """Return those of the boxes [M, 4] that no anchor of a net matches well: [U, 4]."""
    return boxes[best_overlaps(boxes, anchors_lib.net_anchors(params)) <= .5]


def report_lines(unmatched, num_boxes, params):
    """Return lines: the share of boxes that no anchor matches well, and suggestions.

    Args:
        unmatched: [U, 4] float32, as `unmatched_boxes` returns them.
        num_boxes: Number of all boxes.
        params: `SSDParams`.
    """
    share = len(unmatched) / max(num_boxes, 1)
    lines = [f'{len(unmatched)} of {num_boxes} boxes ({share:.1%}) overlap no anchor of '
             f'{params.name} ({params.anchor_preset}) by more than 0.5']
    for suggestion in suggest_anchors(unmatched, params):
        lines.append(f'  an anchor of {suggestion.width:.0f}x{suggestion.height:.0f} pixels '
                     f'(of {params.image_size}) on {suggestion.layer} would match '
                     f'{suggestion.num_boxes} of them')
    return lines

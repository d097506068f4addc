"""Anchors of other programs as text for `nets.anchor_presets`: all heights and widths in pixels."""
import math

import numpy as np

from common.errors import UserError
from nets.ssd_params import feature_sizes


def box(size, ratio=1.):
    """Return (height, width) of an anchor of this size and aspect ratio width / height."""
    return size / math.sqrt(ratio), size * math.sqrt(ratio)


def layer(size, next_size, ratios):
    """Return the anchors of a cell: s, sqrt(s s'), then the aspect ratios."""
    return [box(size), box(math.sqrt(size * next_size)), *(box(size, ratio) for ratio in ratios)]


def text(layers, largest_side=math.inf):
    """Return the text of all layers, each a list of (height, width) in pixels.

    Args:
        layers: the anchors of a cell of each layer.
        largest_side: longer sides are limited to it, in pixels.
    """
    return ' '.join(','.join(f'{min(height, largest_side):.9g}x{min(width, largest_side):.9g}'
                             for height, width in shapes) for shapes in layers)


def text_of_boxes(boxes, anchors_per_cell, params):
    """Return the text of anchors that a file lists.

    Args:
        boxes: [A, 4] `[ymin, xmin, ymax, xmax]`, relative, row-major over the cells of each layer.
        anchors_per_cell: number of anchors of a cell, per layer.
        params: `SSDParams`, for the cells of its layers; the steps are image_size / cells.

    Raises:
        UserError: If the anchors do not lie on the cells of this net.
    """
    boxes = np.float64(boxes)
    sides = boxes[:, 2:] - boxes[:, :2]
    centers = (boxes[:, 2:] + boxes[:, :2]) / 2
    words, start = [], 0
    for cells, count in zip(feature_sizes(params), anchors_per_cell, strict=True):
        stop = start + cells * cells * count
        on_grid = (np.arange(cells) + .5) / cells
        grid = np.stack(np.meshgrid(on_grid, on_grid, indexing='ij'), -1)[:, :, np.newaxis]
        shape = (cells, cells, count, 2)
        if stop > len(boxes) or not np.allclose(
                centers[start:stop].reshape(shape), grid, atol=1e-5) or np.ptp(
                    sides[start:stop].reshape(shape), axis=(0, 1)).max() > 1e-5:
            break
        words.append(sides[start:stop].reshape(shape).mean((0, 1)) * params.image_size)
        start = stop
    if start != len(boxes):
        raise UserError(f'the file lists {len(boxes)} anchors that do not lie on the cells of '
                        f'{params.name} at {params.image_size} pixels. Pass a detector of this net')
    return text(words)

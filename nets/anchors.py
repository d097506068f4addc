"""Anchors: the default boxes of the paper, section 2.2. NumPy only, so tools start quickly."""
import numpy as np

from nets.ssd_params import anchors_per_cell, feature_sizes, step_sizes


def anchor_shapes(size, next_size, ratios):
    """Return the heights and widths [n, 2] of the anchors at each cell of a layer, in pixels.

    Args:
        size: s_k of the paper.
        next_size: s_k+1, or None to leave out the anchor of size sqrt(s_k * s_k+1).
        ratios: aspect ratios width / height of the other anchors of size s_k.

    Returns:
        A float64 array in the order s_k, sqrt(s_k * s_k+1), ratios.
    """
    shapes = [(size, size)]
    if next_size is not None:
        shapes.append((np.sqrt(size * next_size),) * 2)
    shapes += [(size / np.sqrt(ratio), size * np.sqrt(ratio)) for ratio in ratios]
    return np.array(shapes)


def layer_anchors(image_size, cells, step, shapes):
    """Return the anchors of one layer.

    Args:
        image_size: side of the net's input in pixels.
        cells: cells per side of the feature map.
        step: distance of anchor centers in pixels; the first is at half a step.
        shapes: [n, 2] heights and widths in pixels.

    Returns:
        [cells * cells * n, 4] float64 `[cy, cx, h, w]`, relative, row-major over cells.
    """
    centers = (np.arange(cells) + .5) * step
    cy, cx = np.meshgrid(centers, centers, indexing='ij')
    centers = np.repeat(np.stack([cy, cx], -1).reshape(-1, 1, 2), len(shapes), axis=1)
    shapes = np.broadcast_to(np.array(shapes), centers.shape)
    return np.concatenate([centers, shapes], -1).reshape(-1, 4) / image_size


def anchors_by_layer(params):
    """Return `layer_anchors` of each feature layer: a list of [n, 4] arrays."""
    return [layer_anchors(params.image_size, cells, step, shapes)
            for cells, step, shapes in zip(
                feature_sizes(params), step_sizes(params), params.anchor_shapes, strict=True)]


def net_anchors(params):
    """Return all anchors, layers in the order of `feat_layers`: [A, 4] float32 `[cy, cx, h, w]`."""
    anchors = np.concatenate(anchors_by_layer(params))
    if params.clip_anchors:
        anchors = np.clip(anchors, 0, 1)
    return anchors.astype(np.float32)


def describe(params):
    """Return a text table of the anchors of each feature layer, to print."""
    lines = [f'{params.name}, anchors {params.anchor_preset}, '
             f'input {params.image_size}x{params.image_size}',
             f'{"layer":24}{"cells":>8}{"per cell":>10}{"anchors":>9}  height x width in pixels']
    total = 0
    for layer, cells, count, shapes in zip(
            params.feat_layers, feature_sizes(params), anchors_per_cell(params),
            params.anchor_shapes, strict=True):
        sizes = ' '.join(f'{h:.0f}x{w:.0f}' for h, w in shapes)
        in_layer = cells * cells * count
        lines.append(f'{layer:24}{f"{cells}x{cells}":>8}{count:>10}{in_layer:>9}  {sizes}')
        total += in_layer
    return '\n'.join(lines + [f'{"total":24}{"":>8}{"":>10}{total:>9}'])

"""Fit anchor sizes and aspect ratios to the boxes of a dataset. NumPy only.

Clusters of box shapes alone can be worse than the presets: on a layer with distant cells, an anchor
of the right size may still be far from the box. So the clusters and the preset are only starting
points. From each, hill climbing changes one value at a time as long as more boxes overlap an anchor
of the net's own grid by more than the threshold, and the best result wins. The number of anchors of
the net does not change.

The values of a layer are one array: the size s_k, the side sqrt(s_k * s_k+1) of the second square
if the layer has one, then the aspect ratios.
"""
import itertools

import numpy as np

from nets import boxes as box_lib
from nets import coverage
from nets.anchors import anchor_shapes
from nets.ssd_params import step_sizes

_MAX_BOXES = 4000                                       # a sample of this size is enough
_FACTORS = (1 / 1.7, 1 / 1.3, 1 / 1.1, 1.1, 1.3, 1.7)   # one change of hill climbing
_MIN_SIZES_IN_STEPS = (1.5, 2., 3.)                     # bounds of clusters, in steps of a layer
_MAX_ITERATIONS = 20
_MIN_SIZE, _MAX_RATIO = 4., 8.                          # of an anchor: pixels, and width / height
_OVERLAP_WEIGHT = .1   # of the mean overlap in the score, which decides between equal shares


def fit(boxes, params, threshold=.5):
    """Fit the anchors of a net to boxes.

    Args:
        boxes: [M, 4] relative boxes. Of more than 4,000, a fixed random sample is used.
        params: `SSDParams` with the preset to start from.
        threshold: overlap above which an anchor matches a box.

    Returns:
        Text of anchor sizes as `anchor_presets.canonical_text` reads it.
    """
    if len(boxes) > _MAX_BOXES:
        boxes = boxes[np.random.RandomState(0).permutation(len(boxes))[:_MAX_BOXES]]
    steps = np.array(step_sizes(params))
    grids = [coverage.place_on_grid(boxes, step, params.image_size) for step in steps]
    sizes = box_lib.to_center(boxes, np)[:, 2:] * params.image_size
    starts = [_preset_layers(params), *(_cluster_layers(sizes, params, factor * steps)
                                        for factor in _MIN_SIZES_IN_STEPS)]
    results = [_climb(start, grids, params, threshold) for start in starts]
    _, layers = max(results, key=lambda result: result[0])
    return ' '.join(_text(*layer) for layer in layers)


def kmeans(values, centers, lower_bounds):
    """Cluster numbers.

    Args:
        values: [M] float.
        centers: [K] float, initial cluster centers.
        lower_bounds: [K] float; no center moves below its bound.

    Returns:
        Centers [K], sorted. A center without values stays where it is.
    """
    for _ in range(_MAX_ITERATIONS):
        nearest = np.argmin(np.abs(values[:, None] - centers), axis=1)
        clusters = [values[nearest == k] for k in range(len(centers))]
        moved = np.sort([
            max(cluster.mean(), bound) if len(cluster) else center
            for cluster, bound, center in zip(clusters, lower_bounds, centers, strict=True)])
        if np.allclose(moved, centers):
            break
        centers = moved
    return centers


def _preset_layers(params):
    """Return the values of each layer of the preset: size, sides of second squares, ratios."""
    return [np.array([np.sqrt(np.prod(shapes[0])), *[h for h, w in shapes[1:] if h == w][:1],
                      *_ratios(shapes)]) for shapes in params.anchor_shapes]


def _ratios(shapes):
    """Return the aspect ratios of the shapes that are not squares."""
    return [w / h for h, w in shapes if h != w]


def _cluster_layers(sizes, params, min_sizes):
    """Return the values of each layer from clusters of box shapes.

    Box sizes (geometric means of height and width) form one cluster per layer; the aspect ratios
    of each cluster form the ratios of its layer. The second square scales with the size.

    Args:
        sizes: [M, 2] heights and widths of boxes in pixels.
        params: `SSDParams` with the preset, whose ratios are kept for layers with few boxes.
        min_sizes: lower bound of the size of each layer in pixels.
    """
    log_sizes, log_ratios = np.log(sizes).mean(1), np.log(sizes[:, 1] / sizes[:, 0])
    bounds, quantiles = np.log(min_sizes), _mid_quantiles(len(min_sizes))
    centers = bounds
    if len(log_sizes):
        centers = kmeans(log_sizes, np.maximum(np.quantile(log_sizes, quantiles), bounds), bounds)
    nearest = np.argmin(np.abs(log_sizes[:, None] - centers), axis=1)
    layers = []
    for layer, preset in enumerate(_preset_layers(params)):
        num_ratios = len(_ratios(params.anchor_shapes[layer]))
        preset_size, preset_second, ratios = _split(preset, num_ratios)
        layer_ratios = log_ratios[nearest == layer]
        if len(layer_ratios) > num_ratios:
            start = np.quantile(layer_ratios, _mid_quantiles(num_ratios))
            ratios = np.exp(kmeans(layer_ratios, start, np.full(num_ratios, -np.inf)))
        size = np.exp(centers[layer])
        layers.append(np.array([size, *(preset_second * size / preset_size), *ratios]))
    return layers


def _mid_quantiles(count):
    """Return the middles of `count` equal parts of [0, 1]."""
    return (np.arange(count) + .5) / count


def _climb(layers, grids, params, threshold):
    """Change one value after the other as long as the score rises.

    Args:
        layers: values of each layer.
        grids: `GridBoxes` of each layer.
        params: `SSDParams`.
        threshold: overlap above which an anchor matches a box.

    Returns:
        (score, list of (values, number of ratios) of each layer).
    """
    counts = [len(_ratios(shapes)) for shapes in params.anchor_shapes]
    layers = [_round(values, count, params.image_size)
              for values, count in zip(layers, counts, strict=True)]
    overlaps = [coverage.best_grid_overlaps(_shapes(*layer), grid)
                for *layer, grid in zip(layers, counts, grids, strict=True)]
    score = _score(np.max(overlaps, axis=0), threshold)
    for _ in range(_MAX_ITERATIONS):
        previous_score = score
        for layer, count in enumerate(counts):
            overlaps_elsewhere = np.max(overlaps[:layer] + overlaps[layer + 1:], axis=0)
            for index, factor in itertools.product(range(len(layers[layer])), _FACTORS):
                values = layers[layer].copy()
                values[index] *= factor
                values = _round(values, count, params.image_size)
                layer_overlaps = coverage.best_grid_overlaps(_shapes(values, count), grids[layer])
                new_score = _score(np.maximum(overlaps_elsewhere, layer_overlaps), threshold)
                if new_score > score:
                    score, layers[layer], overlaps[layer] = new_score, values, layer_overlaps
        if score == previous_score:
            break
    return score, list(zip(layers, counts, strict=True))


def _score(overlaps, threshold):
    """Return the share of boxes matched above the threshold, plus a little of the mean overlap."""
    if not len(overlaps):
        return 0.
    return np.mean(overlaps > threshold) + _OVERLAP_WEIGHT * np.mean(overlaps)


def _split(values, num_ratios):
    """Return the size, the sides of second squares (an array of 0 or 1), and the ratios."""
    num_squares = len(values) - num_ratios
    return values[0], values[1:num_squares], values[num_squares:]


def _shapes(values, num_ratios):
    """Return the anchor shapes [n, 2] of a layer's values."""
    size, second, ratios = _split(values, num_ratios)
    return anchor_shapes(size, second[0] ** 2 / size if len(second) else None, ratios)


def _round(values, num_ratios, image_size):
    """Return bounded values, rounded as in the text: whole pixels, ratios with two digits."""
    size, second, ratios = _split(values, num_ratios)
    size = np.clip(np.round(size), _MIN_SIZE, image_size)
    # The text holds s_k+1, not sqrt(s_k * s_k+1), so round that. The square fits into the image.
    max_next_size = image_size ** 2 // size
    second = [np.sqrt(size * np.clip(np.round(side ** 2 / size), _MIN_SIZE, max_next_size))
              for side in second]
    ratios = np.clip(np.round(ratios, 2), round(1 / _MAX_RATIO, 2), _MAX_RATIO)
    return np.array([size, *second, *ratios])


def _text(values, num_ratios):
    """Return a layer's values as one word of `anchor_presets.canonical_text`."""
    size, second, ratios = _split(values, num_ratios)
    sizes = [size, *(round(side ** 2 / size) for side in second)]
    return (','.join(f'{value:g}' for value in sizes) + ':'
            + ','.join(f'{ratio:g}' for ratio in sorted(ratios)))

"""Sizes and ratios of anchors for the boxes of a data set: by clustering, then by what they reach. NumPy only.

Clusters of shapes alone do worse than the presets where a layer's cells lie far apart: its anchors have the right size
at the wrong place. So what the clusters propose, and what the preset has, is moved as long as the net's own grid of
anchors reaches more boxes, and the best of them is taken. A net keeps the number of its anchors.
"""
import numpy as np

from nets import boxes as box_lib
from nets.anchors import anchor_shapes
from nets.ssd_params import feature_sizes

_MOST = 4000                           # boxes that are looked at
_MOVES = (1 / 1.7, 1 / 1.3, 1 / 1.1, 1.1, 1.3, 1.7)   # of a size or ratio
_SPACINGS = (1.5, 2., 3.)              # least size of an anchor, in distances of its layer's cells
_SWEEPS = 20
_SMALLEST, _LONGEST = 4., 8.           # pixels of a size, and a ratio
_CLOSENESS = .1   # how much the mean overlap counts beside the share that is reached: it decides between equals


def fit(boxes, params, threshold=.5):
    """Anchors that reach as many of the boxes [M, 4] as can be found, as text that `anchor_presets.canonical_text` takes.

    A box is reached where its overlap with an anchor is more than the threshold. params: the net with the preset to
    start from.
    """
    if len(boxes) > _MOST:
        boxes = boxes[np.random.RandomState(0).permutation(len(boxes))[:_MOST]]
    pixels = box_lib.to_center(boxes, np) * params.image_size
    steps = [step or params.image_size / cells for step, cells in
             zip(params.anchor_steps, feature_sizes(params), strict=True)]
    grid = [(pixels[:, 2:], _offsets(pixels[:, :2], step, params.image_size)) for step in steps]
    starts = [_of_preset(params), *(_of_clusters(pixels[:, 2:], params, spacing * np.array(steps))
                                    for spacing in _SPACINGS)]
    return _text(max((_climb(start, grid, params, threshold) for start in starts), key=lambda found: found[0])[1])


def kmeans(values, centres, lowest):
    """Centres [K] of clusters of values [M], sorted; none goes below its lowest [K], and those without a value stay."""
    for _ in range(_SWEEPS):
        nearest = np.argmin(np.abs(values[:, None] - centres), axis=1)
        moved = np.sort([max(values[nearest == k].mean(), lowest[k]) if (nearest == k).any() else centres[k]
                         for k in range(len(centres))])
        if np.allclose(moved, centres):
            break
        centres = moved
    return centres


def _offsets(centres, step, image_size):
    """How far the centres [M, 2] of boxes are from those of their nearest cells: [M, 2], in pixels."""
    cells = np.clip(np.floor(centres / step), 0, np.ceil(image_size / step) - 1)
    return np.abs((cells + .5) * step - centres)


def _overlaps(shapes, sides, offsets):
    """The largest overlap of each box with a layer's anchors at its nearest cell: [M].

    shapes: [n, 2] of the anchors; sides, offsets: [M, 2] of the boxes; all height first, in pixels.
    """
    best = np.zeros(len(sides))
    for shape in shapes:
        shared = np.minimum(np.minimum(sides, shape), (sides + shape) / 2 - offsets)
        shared = np.prod(np.maximum(shared, 0), axis=1)
        best = np.maximum(best, shared / (np.prod(sides, axis=1) + np.prod(shape) - shared))
    return best


def _of_preset(params):
    """Per layer an array: s, the side of the second square if there is one, and the ratios."""
    return [np.array([size, *([] if following is None else [np.sqrt(size * following)]), *ratios])
            for (size, following), ratios in zip(params.anchor_sizes, params.anchor_ratios, strict=True)]


def _of_clusters(sides, params, smallest):
    """Likewise, from clusters of sizes, one a layer and none below its smallest, and of the ratios in each."""
    sizes, ratios = np.log(sides).mean(1), np.log(sides[:, 1] / sides[:, 0])
    lowest, spread = np.log(smallest), (np.arange(len(smallest)) + .5) / len(smallest)
    centres = kmeans(sizes, np.maximum(np.quantile(sizes, spread), lowest), lowest) if len(sizes) else lowest
    nearest = np.argmin(np.abs(sizes[:, None] - centres), axis=1)
    found = []
    for layer, preset in enumerate(_of_preset(params)):
        own, count = ratios[nearest == layer], len(params.anchor_ratios[layer])
        if len(own) > count:
            own = np.exp(kmeans(own, np.quantile(own, (np.arange(count) + .5) / count), np.full(count, -np.inf)))
        else:
            own = preset[len(preset) - count:]
        size = np.exp(centres[layer])
        found.append(np.array([size, *(preset[1:len(preset) - count] * size / preset[0]), *own]))
    return found


def _shapes(values, count):
    """[n, 2] of a layer's array with so many ratios."""
    size, *second = values[:len(values) - count]
    return anchor_shapes(size, second[0] ** 2 / size if second else None, values[len(values) - count:])


def _rounded(values, count, image_size):
    """An array within bounds, as it will be written: pixels whole, ratios with two digits."""
    size, *second = values[:len(values) - count]
    size = np.clip(np.round(size), _SMALLEST, image_size)
    # s' is what is written, not sqrt(s * s').
    largest = image_size ** 2 // size
    sizes = [size, *(np.sqrt(size * np.clip(np.round(side ** 2 / size), _SMALLEST, largest)) for side in second)]
    return np.array([*sizes, *np.clip(np.round(values[len(values) - count:], 2), round(1 / _LONGEST, 2), _LONGEST)])


def _climb(layers, grid, params, threshold):
    """Moves one value after the other as long as that is better: (how good it is, layers)."""
    counts = list(map(len, params.anchor_ratios))
    layers = [_rounded(values, count, params.image_size) for values, count in zip(layers, counts, strict=True)]
    overlaps = [_overlaps(_shapes(*layer), *seen) for *layer, seen in zip(layers, counts, grid, strict=True)]

    def worth(best):
        return np.mean(best > threshold) + _CLOSENESS * np.mean(best) if len(best) else 0.
    now = worth(np.max(overlaps, axis=0))
    for _ in range(_SWEEPS):
        before = now
        for layer, count in enumerate(counts):
            others = np.max(overlaps[:layer] + overlaps[layer + 1:], axis=0)
            for place in range(len(layers[layer])):
                for move in _MOVES:
                    values = layers[layer].copy()
                    values[place] *= move
                    values = _rounded(values, count, params.image_size)
                    own = _overlaps(_shapes(values, count), *grid[layer])
                    after = worth(np.maximum(others, own))
                    if after > now:
                        now, layers[layer], overlaps[layer] = after, values, own
        if now == before:
            break
    return now, [(values, count) for values, count in zip(layers, counts, strict=True)]


def _text(layers):
    """One word a layer, as `anchor_presets.canonical_text` takes it."""
    words = []
    for values, count in layers:
        size, *second = values[:len(values) - count]
        sizes = [size, *(round(side ** 2 / size) for side in second)]
        words.append(','.join(f'{value:g}' for value in sizes) + ':' + ','.join(
            f'{ratio:g}' for ratio in sorted(values[len(values) - count:])))
    return ' '.join(words)

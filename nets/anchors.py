"""Anchors (the paper's default boxes), section 2.2. NumPy only, so that tools can show them at once."""
import numpy as np

from nets.ssd_params import anchors_per_cell, feature_sizes


def anchor_shapes(size, following, ratios):
    """Heights and widths [n, 2] of the anchors at one cell: s, sqrt(s * s'), then s at each ratio."""
    sides = [(size, size)]
    if following is not None:
        sides.append((np.sqrt(size * following),) * 2)
    sides += [(size / np.sqrt(ratio), size * np.sqrt(ratio)) for ratio in ratios]
    return np.array(sides)


def layer_anchors(image_size, cells, step, sides):
    """Anchors of one layer, [cells * cells * n, 4] float64 `[cy, cx, h, w]` relative, row-major over cells.

    step: pixels between centres, the first at half a step. sides: [n, 2] heights and widths in pixels.
    """
    centres = (np.arange(cells) + .5) * step
    cy, cx = np.meshgrid(centres, centres, indexing='ij')
    centres = np.repeat(np.stack([cy, cx], -1).reshape(-1, 1, 2), len(sides), axis=1)
    sides = np.broadcast_to(sides, centres.shape)
    return np.concatenate([centres, sides], -1).reshape(-1, 4) / image_size


def anchors_by_layer(params):
    """One array [n, 4] as of `layer_anchors` for each feature layer."""
    return [layer_anchors(params.image_size, cells, step or params.image_size / cells,
                          anchor_shapes(*sizes, ratios))
            for cells, step, sizes, ratios in zip(
                feature_sizes(params), params.anchor_steps, params.anchor_sizes, params.anchor_ratios,
                strict=True)]


def net_anchors(params):
    """All anchors of a net, [A, 4] float32 `[cy, cx, h, w]` relative, layers in the order of `feat_layers`."""
    return np.concatenate(anchors_by_layer(params)).astype(np.float32)


def describe(params):
    """A table, for people, of the anchors of a net per layer."""
    lines = [f'{params.name}, anchors {params.anchor_preset}, input {params.image_size}x{params.image_size}',
             f'{"layer":22}{"cells":>8}{"per cell":>10}{"anchors":>9}  height x width in pixels']
    total = 0
    for layer, cells, count, sizes, ratios in zip(
            params.feat_layers, feature_sizes(params), anchors_per_cell(params), params.anchor_sizes,
            params.anchor_ratios, strict=True):
        sides = ' '.join(f'{h:.0f}x{w:.0f}' for h, w in anchor_shapes(*sizes, ratios))
        lines.append(f'{layer:22}{f"{cells}x{cells}":>8}{count:>10}{cells * cells * count:>9}  {sides}')
        total += cells * cells * count
    return '\n'.join(lines + [f'{"total":22}{"":>8}{"":>10}{total:>9}'])

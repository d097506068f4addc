"""Boxes: `[ymin, xmin, ymax, xmax]`, relative to the image. A leaf that anyone may use.

Each function works on NumPy arrays and on TensorFlow tensors alike: `xp` is the module that computes,
`numpy` or `tensorflow` (the functions used here have the same name in both).
"""

_TINY = 1e-35   # stands for an area of nothing, so that it can be divided by


def area(boxes):
    """Area [...] of boxes [..., 4]; empty and inverted boxes have the product of their signed sides."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def clip(boxes, window, xp):
    """Boxes [..., 4] cut to a window [4] of the same coordinates; what lies outside becomes empty."""
    low = xp.stack([window[0], window[1], window[0], window[1]])
    high = xp.stack([window[2], window[3], window[2], window[3]])
    return xp.minimum(xp.maximum(boxes, low), high)


def intersection(boxes_a, boxes_b, xp):
    """Area shared by every pair: boxes_a [M, 4], boxes_b [N, 4] -> [M, N]."""
    a, b = boxes_a[:, None, :], boxes_b[None, :, :]
    height = xp.minimum(a[..., 2], b[..., 2]) - xp.maximum(a[..., 0], b[..., 0])
    width = xp.minimum(a[..., 3], b[..., 3]) - xp.maximum(a[..., 1], b[..., 1])
    zero = xp.zeros_like(height)
    return xp.maximum(height, zero) * xp.maximum(width, zero)


def iou(boxes_a, boxes_b, xp):
    """Jaccard overlap of every pair: boxes_a [M, 4], boxes_b [N, 4] -> [M, N] in [0, 1].

    Two boxes without any area have overlap 0, not NaN.
    """
    shared = intersection(boxes_a, boxes_b, xp)
    union = area(boxes_a)[:, None] + area(boxes_b)[None, :] - shared
    return shared / xp.maximum(union, _TINY)


def to_center(boxes, xp):
    """Boxes [..., 4] -> `[cy, cx, h, w]` [..., 4]."""
    return xp.stack([(boxes[..., 0] + boxes[..., 2]) / 2, (boxes[..., 1] + boxes[..., 3]) / 2,
                     boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]], axis=-1)


def to_corners(centred, xp):
    """`[cy, cx, h, w]` [..., 4] -> boxes [..., 4]."""
    half_h, half_w = centred[..., 2] / 2, centred[..., 3] / 2
    return xp.stack([centred[..., 0] - half_h, centred[..., 1] - half_w,
                     centred[..., 0] + half_h, centred[..., 1] + half_w], axis=-1)

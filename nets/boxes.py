"""Boxes `[ymin, xmin, ymax, xmax]`, relative to the image. A leaf that every module may import.

Each function works on NumPy arrays and on TensorFlow tensors: `xp` is the module that computes,
`numpy` or `tensorflow` (the functions used here have the same names in both).
"""

_MIN_UNION = 1e-35   # keeps the IoU of two empty boxes from being 0 / 0


def area(boxes):
    """Return the area [...] of boxes [..., 4]: the product of the signed sides.

    Empty boxes have area 0. A box inverted along one axis has a negative area.
    """
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def clip(boxes, window, xp):
    """Clip boxes [..., 4] to a window [4]. Boxes outside the window become empty."""
    low = xp.stack([window[0], window[1], window[0], window[1]])
    high = xp.stack([window[2], window[3], window[2], window[3]])
    return xp.minimum(xp.maximum(boxes, low), high)


def intersection(boxes_a, boxes_b, xp):
    """Return the area shared by each pair of boxes_a [M, 4] and boxes_b [N, 4]: [M, N]."""
    a, b = boxes_a[:, None, :], boxes_b[None, :, :]
    height = xp.minimum(a[..., 2], b[..., 2]) - xp.maximum(a[..., 0], b[..., 0])
    width = xp.minimum(a[..., 3], b[..., 3]) - xp.maximum(a[..., 1], b[..., 1])
    return xp.maximum(height, 0.) * xp.maximum(width, 0.)


def iou(boxes_a, boxes_b, xp):
    """Return the Jaccard overlap (IoU) of boxes_a [M, 4] and boxes_b [N, 4]: [M, N] in [0, 1].

    The overlap of two empty boxes is 0.
    """
    shared = intersection(boxes_a, boxes_b, xp)
    union = area(boxes_a)[:, None] + area(boxes_b)[None, :] - shared
    return shared / xp.maximum(union, _MIN_UNION)


def to_center(boxes, xp):
    """Convert boxes [..., 4] to `[cy, cx, h, w]` [..., 4]."""
    return xp.stack([(boxes[..., 0] + boxes[..., 2]) / 2, (boxes[..., 1] + boxes[..., 3]) / 2,
                     boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]], axis=-1)


def to_corners(centered, xp):
    """Convert `[cy, cx, h, w]` [..., 4] to boxes [..., 4]."""
    half_h, half_w = centered[..., 2] / 2, centered[..., 3] / 2
    return xp.stack([centered[..., 0] - half_h, centered[..., 1] - half_w,
                     centered[..., 0] + half_h, centered[..., 1] + half_w], axis=-1)

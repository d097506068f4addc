"""Zoom-out, crop and flip in plain Python, one patch after the other (paper sections 2.2 and 3.6).

Boxes and windows are (ymin, xmin, ymax, xmax). A canvas is relative to the image; a patch is
relative to the canvas. Plain floats, because NumPy arrays of four would take ten times as long.
"""
import math
from typing import NamedTuple

import numpy as np

IMAGE = (0., 0., 1., 1.)
TRIALS = 50


class Samples(NamedTuple):
    """The augmentation of n examples."""
    zoomed: np.ndarray   # [n] bool
    canvas: np.ndarray   # [n, 4], relative to the image
    window: np.ndarray   # [n, 4], relative to the image
    flip: np.ndarray     # [n] bool
    boxes: list          # n arrays [m, 4]: the kept boxes, relative to the window


def sample(boxes, random):
    """Sample the augmentation of one example.

    Args:
        boxes: [M, 4], ground truths.
        random: `np.random.RandomState`.

    Returns:
        Values for the fields of `Samples`.
    """
    zoomed = random.uniform() < .5
    canvas = zoom_out(random) if zoomed else IMAGE
    patch = choose_patch([relative_to(canvas, box) for box in boxes], random)
    window = to_outer_coordinates(canvas, patch)
    flip = random.uniform() < .5
    window_boxes = [clip(relative_to(window, box)) for box in boxes if contains_center(window, box)]
    return (zoomed, canvas, window, flip,
            np.reshape([mirror(box) if flip else box for box in window_boxes], [-1, 4]))


def zoom_out(random):
    """Return a canvas [4] of one to four times the side of the image, at a random position."""
    side = random.uniform(1, 4)
    above, left = random.uniform(0, side - 1), random.uniform(0, side - 1)
    return -above, -left, side - above, side - left


def choose_patch(boxes, random):
    """Return the whole canvas, a patch of some minimum overlap with boxes [M, 4] or a free patch.

    The choice is uniform over those that succeeded.
    """
    options = [(0., 0., 1., 1.)]
    for min_overlap in (.1, .3, .5, .7, .9):
        options += try_patches(min_overlap, boxes, random)
    options.append(random_patch(random))
    return options[random.randint(len(options))]


def try_patches(min_overlap, boxes, random):
    """Return a list with the first of 50 random patches that overlaps some box enough, or []."""
    for _ in range(TRIALS if boxes else 0):             # without boxes, no trial can succeed
        patch = random_patch(random)
        if any(iou(patch, box) >= min_overlap for box in boxes):
            return [patch]
    return []


def random_patch(random):
    """Return a patch [4] of random scale, aspect ratio (if it fits) and position."""
    # One call for all numbers, because most of the time is spent here.
    u_scale, u_aspect, u_top, u_left = random.random_sample(4).tolist()
    scale = .3 + .7 * u_scale
    min_aspect, max_aspect = max(1 / 2, scale ** 2), min(2, 1 / scale ** 2)
    aspect = min_aspect + (max_aspect - min_aspect) * u_aspect
    height, width = scale / math.sqrt(aspect), scale * math.sqrt(aspect)
    top, left = (1 - height) * u_top, (1 - width) * u_left
    return top, left, top + height, left + width


def iou(a, b):
    """Return the Jaccard overlap of two boxes [4]."""
    height = min(a[2], b[2]) - max(a[0], b[0])
    width = min(a[3], b[3]) - max(a[1], b[1])
    if height <= 0 or width <= 0:
        return 0.
    shared = height * width
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def relative_to(frame, box):
    """Return a box [4] relative to a frame [4] given in the same coordinates."""
    height, width = frame[2] - frame[0], frame[3] - frame[1]
    return ((box[0] - frame[0]) / height, (box[1] - frame[1]) / width,
            (box[2] - frame[0]) / height, (box[3] - frame[1]) / width)


def to_outer_coordinates(frame, box):
    """Return a box [4] that is relative to a frame [4] in the coordinates of the frame."""
    height, width = frame[2] - frame[0], frame[3] - frame[1]
    return (frame[0] + box[0] * height, frame[1] + box[1] * width,
            frame[0] + box[2] * height, frame[1] + box[3] * width)


def contains_center(window, box):
    """Return whether the center of a box [4] is in a window [4]."""
    y, x = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return window[0] <= y <= window[2] and window[1] <= x <= window[3]


def clip(box):
    """Clip a box [4] to the unit square."""
    return tuple(min(max(coordinate, 0.), 1.) for coordinate in box)


def mirror(box):
    """Mirror a box [4] of the unit square horizontally."""
    return box[0], 1 - box[3], box[2], 1 - box[1]

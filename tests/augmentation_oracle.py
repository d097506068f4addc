"""Zoom-out, crop and flip in plain NumPy, patch by patch, as the paper says it (sections 2.2 and 3.6).

Boxes and windows are (ymin, xmin, ymax, xmax). The canvas is measured in sides of the image, whose top left corner
is the origin; a patch is measured in sides of the canvas. Plain floats: arrays of four would take ten times as long.
"""
import collections
import math

import numpy as np

IMAGE = (0., 0., 1., 1.)
TRIES = 50

# zoomed, flip: bool. canvas, window [4]: relative to the image. boxes [m, 4]: those that stay, relative to the window.
Sample = collections.namedtuple('Sample', 'zoomed canvas window flip boxes')


def draw(truths, random):
    """The `Sample` of one example with ground truths [M, 4], drawn from a RandomState."""
    zoomed = random.uniform() < .5
    canvas = place_on_canvas(random) if zoomed else IMAGE
    patch = choose([seen_from(canvas, truth) for truth in truths], random)
    window = out_of(canvas, patch)
    flip = random.uniform() < .5
    stay = [clip(seen_from(window, truth)) for truth in truths if contains_centre(window, truth)]
    return Sample(zoomed, canvas, window, flip, np.reshape([mirror(box) if flip else box for box in stay], [-1, 4]))


def place_on_canvas(random):
    """A canvas [4] of one to four times the side of the image, anywhere around it."""
    side = random.uniform(1, 4)
    above, left = random.uniform(0, side - 1), random.uniform(0, side - 1)
    return -above, -left, side - above, side - left


def choose(truths, random):
    """A patch [4]: whole, of a minimum overlap with ground truths [M, 4], or free; uniform over what succeeded."""
    options = [(0., 0., 1., 1.)]
    for minimum in (.1, .3, .5, .7, .9):
        options += first_that_overlaps(minimum, truths, random)
    options.append(random_patch(random))
    return options[random.randint(len(options))]


def first_that_overlaps(minimum, truths, random):
    """A list with the first of 50 random patches [4] that overlaps some ground truth enough, or with none."""
    for _ in range(TRIES if truths else 0):             # without a ground truth no try can succeed
        patch = random_patch(random)
        if any(jaccard(patch, truth) >= minimum for truth in truths):
            return [patch]
    return []


def random_patch(random):
    """A patch [4] of the unit square: a scale, an aspect ratio that fits into the square, a place."""
    u_scale, u_aspect, u_top, u_left = random.random_sample(4).tolist()     # one call: most of the time goes here
    scale = .3 + .7 * u_scale
    narrowest, widest = max(1 / 2, scale ** 2), min(2, 1 / scale ** 2)
    aspect = narrowest + (widest - narrowest) * u_aspect
    height, width = scale / math.sqrt(aspect), scale * math.sqrt(aspect)
    top, left = (1 - height) * u_top, (1 - width) * u_left
    return top, left, top + height, left + width


def jaccard(a, b):
    """Intersection over union of two boxes [4]."""
    height = min(a[2], b[2]) - max(a[0], b[0])
    width = min(a[3], b[3]) - max(a[1], b[1])
    if height <= 0 or width <= 0:
        return 0.
    shared = height * width
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def seen_from(frame, box):
    """A box [4] in units of a frame [4]."""
    height, width = frame[2] - frame[0], frame[3] - frame[1]
    return ((box[0] - frame[0]) / height, (box[1] - frame[1]) / width,
            (box[2] - frame[0]) / height, (box[3] - frame[1]) / width)


def out_of(frame, box):
    """The box [4], given in units of a frame [4], in the units of that frame's own corners."""
    height, width = frame[2] - frame[0], frame[3] - frame[1]
    return (frame[0] + box[0] * height, frame[1] + box[1] * width,
            frame[0] + box[2] * height, frame[1] + box[3] * width)


def contains_centre(window, box):
    """Whether the centre of a box [4] lies in a window [4]."""
    y, x = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return window[0] <= y <= window[2] and window[1] <= x <= window[3]


def clip(box):
    """The part of a box [4] inside the unit square."""
    return tuple(min(max(coordinate, 0.), 1.) for coordinate in box)


def mirror(box):
    """A box [4] of the unit square, left and right exchanged."""
    return box[0], 1 - box[3], box[2], 1 - box[1]

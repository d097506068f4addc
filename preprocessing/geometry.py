"""Sample zoom-out, crop and flip from the boxes of an image, before any pixel is decoded.

Paper section 2.2 "Data augmentation" and section 3.6 (zoom-out), with the values of the released
code: zoom-out by up to 4 with probability 0.5, then one of seven kinds of crops, then a flip with
probability 0.5. Each kind with a minimum overlap is tried up to 50 times, and the crop is chosen
uniformly among the kinds that succeeded. Windows are boxes relative to the image and may extend
beyond it.
"""
import tensorflow.compat.v1 as tf

from nets import boxes as box_lib
from preprocessing.augmentation import PAPER
from preprocessing.draws import rescale

MAX_ZOOM_OUT = 4.
MIN_OVERLAPS = (.1, .3, .5, .7, .9)
TRIALS = 50
MIN_SCALE, MAX_ASPECT = .3, 2.
_NUM_CANDIDATES = len(MIN_OVERLAPS) * TRIALS + 1     # the last one has no minimum overlap
NUM_DRAWS = {'zoom': 4, 'crop': _NUM_CANDIDATES * 4, 'choice': 1, 'flip': 1}


def zoom_out_window(draws):
    """Return a window [4] of 1 to 4 times the size of the image that contains the image."""
    use, size, y, x = tf.unstack(draws['zoom'])
    size = tf.where(use < .5, rescale(size, 1., MAX_ZOOM_OUT), 1.)
    top, left = y * (size - 1), x * (size - 1)
    return tf.stack([-top, -left, size - top, size - left])


def crop_candidates(uniform):
    """Return random crops [n, 4] of the unit square from uniform numbers [n, 4].

    A crop has a scale (square root of its area) of 0.3 to 1, an aspect ratio of 0.5 to 2 and any
    position.
    """
    scale = rescale(uniform[:, 0], MIN_SCALE, 1.)
    # The larger the scale, the fewer aspect ratios fit into the square.
    aspect = rescale(uniform[:, 1], tf.maximum(1 / MAX_ASPECT, scale ** 2),
                     tf.minimum(MAX_ASPECT, 1 / scale ** 2))
    height, width = scale / tf.sqrt(aspect), scale * tf.sqrt(aspect)
    top, left = uniform[:, 2] * (1 - height), uniform[:, 3] * (1 - width)
    return tf.stack([top, left, top + height, left + width], axis=-1)


def choose_crop(candidates, boxes, choice):
    """Choose one of up to seven crops: no crop, one for each minimum overlap, and a free crop.

    The crop of a minimum overlap is the first of its candidates that overlaps some ground truth by
    at least that much. If there is none, this crop is not available.

    Args:
        candidates: [5 * 50 + 1, 4], 50 per minimum overlap in the order of `MIN_OVERLAPS`, then the
            free crop.
        boxes: [M, 4], ground truths.
        choice: [] float32 in [0, 1), selects uniformly among the available crops.

    Returns:
        The crop [4].
    """
    overlaps = tf.reduce_max(
        tf.pad(box_lib.iou(candidates[:-1], boxes, tf), [[0, 0], [0, 1]]), axis=1)
    succeeds = tf.reshape(overlaps, [-1, TRIALS]) >= tf.constant(MIN_OVERLAPS)[:, None]
    first = tf.argmax(tf.cast(succeeds, tf.int32), axis=1)
    by_overlap = tf.gather(tf.reshape(candidates[:-1], [-1, TRIALS, 4]), first, batch_dims=1)
    crops = tf.concat([[[0., 0., 1., 1.]], by_overlap, candidates[-1:]], 0)   # [7, 4]
    is_available = tf.concat([[True], tf.reduce_any(succeeds, axis=1), [True]], 0)
    crops = tf.boolean_mask(crops, is_available)
    count = tf.shape(crops)[0]
    return crops[tf.minimum(tf.cast(choice * tf.cast(count, tf.float32), tf.int32), count - 1)]


def to_window_coordinates(boxes, window):
    """Convert boxes [..., 4] relative to the image to boxes relative to a window [4]."""
    origin, size = _origin_and_size(window)
    return (boxes - origin) / size


def to_image_coordinates(boxes, window):
    """Convert boxes [..., 4] relative to a window [4] to boxes relative to the image."""
    origin, size = _origin_and_size(window)
    return boxes * size + origin


def _origin_and_size(window):
    """Return [top, left, top, left] and [height, width, height, width] of a window."""
    return tf.concat([window[:2]] * 2, 0), tf.concat([window[2:] - window[:2]] * 2, 0)


def sample_window(boxes, draws, augmentation=PAPER):
    """Sample the geometry of an example.

    Args:
        boxes: [M, 4], ground truths.
        draws: `RandomDraws` with the numbers of `NUM_DRAWS`.
        augmentation: `Augmentation`, the parts to use.

    Returns:
        The window [4] of the image, and whether to flip it, [] bool.
    """
    window = tf.constant([0., 0., 1., 1.])
    if augmentation.zoom_out:
        window = zoom_out_window(draws)
    if augmentation.random_crop:
        candidates = crop_candidates(tf.reshape(draws['crop'], [-1, 4]))
        chosen = choose_crop(candidates, to_window_coordinates(boxes, window), draws['choice'][0])
        window = to_image_coordinates(chosen, window)
    flip = draws['flip'][0] < .5 if augmentation.horizontal_flip else tf.constant(False)
    return window, flip


def transform_boxes(boxes, window, flip):
    """Convert boxes to those of a window.

    Args:
        boxes: [M, 4].
        window: [4].
        flip: [] bool, whether to mirror the window horizontally.

    Returns:
        The boxes [M, 4] clipped to the window and relative to it, and whether to keep each box, [M]
        bool: boxes are kept if their center is in the window.
    """
    boxes = to_window_coordinates(boxes, window)
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    keep = tf.reduce_all((centers >= 0) & (centers <= 1), axis=1)
    boxes = box_lib.clip(boxes, (0., 0., 1., 1.), tf)
    ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=1)
    return tf.where_v2(flip, tf.stack([ymin, 1 - xmax, ymax, 1 - xmin], axis=1), boxes), keep

"""Where to look: zoom-out, crop and flip, from the boxes alone, before any pixel is touched.

The paper, section 2.2 "Data augmentation" and section 3.6 (zoom-out), with the released configuration: zoom-out
up to 4x with probability 0.5; then one of seven crops, each tried up to 50 times, uniformly among those that
succeeded; then a flip with probability 0.5. All windows are boxes relative to the image and may reach beyond it.
"""
import tensorflow.compat.v1 as tf

from nets import boxes as box_lib
from preprocessing.draws import rescale

MAX_ZOOM_OUT = 4.
MIN_OVERLAPS = (.1, .3, .5, .7, .9)
TRIALS = 50
MIN_SCALE, MAX_ASPECT = .3, 2.
_CANDIDATES = len(MIN_OVERLAPS) * TRIALS + 1     # and one free crop
NUM_DRAWS = {'zoom': 4, 'crop': _CANDIDATES * 4, 'choice': 1, 'flip': 1}


def zoom_out_window(draws):
    """The canvas [4] that the image lies on: a window of 1 to 4 times its size around it."""
    use, size, y, x = tf.unstack(draws['zoom'])
    size = tf.where(use < .5, rescale(size, 1., MAX_ZOOM_OUT), 1.)
    top, left = y * (size - 1), x * (size - 1)
    return tf.stack([-top, -left, size - top, size - left])


def crop_candidates(uniform):
    """Crops [n, 4] of the unit square from numbers [n, 4]: scale 0.3 to 1, aspect 0.5 to 2, any place."""
    scale = rescale(uniform[:, 0], MIN_SCALE, 1.)
    # Not every aspect fits into the square at every scale.
    aspect = rescale(uniform[:, 1], tf.maximum(1 / MAX_ASPECT, scale ** 2),
                     tf.minimum(MAX_ASPECT, 1 / scale ** 2))
    height, width = scale / tf.sqrt(aspect), scale * tf.sqrt(aspect)
    top, left = uniform[:, 2] * (1 - height), uniform[:, 3] * (1 - width)
    return tf.stack([top, left, top + height, left + width], axis=-1)


def choose_crop(candidates, boxes, choice):
    """One crop [4] of the seven: whole, one for each minimum overlap, free.

    candidates: [5 * 50 + 1, 4], in the order of `MIN_OVERLAPS`, the free one last. boxes: [M, 4]. choice: []
    in [0, 1). A minimum overlap is met when some ground truth overlaps the crop by it; the first of its 50
    candidates that meets it stands for it, and it is left out when none does.
    """
    overlaps = tf.reduce_max(tf.pad(box_lib.iou(candidates[:-1], boxes, tf), [[0, 0], [0, 1]]), axis=1)
    meets = tf.reshape(overlaps, [-1, TRIALS]) >= tf.constant(MIN_OVERLAPS)[:, None]
    first = tf.argmax(tf.cast(meets, tf.int32), axis=1)
    by_overlap = tf.gather(tf.reshape(candidates[:-1], [-1, TRIALS, 4]), first, batch_dims=1)
    crops = tf.concat([[[0., 0., 1., 1.]], by_overlap, candidates[-1:]], 0)             # [7, 4]
    usable = tf.boolean_mask(crops, tf.concat([[True], tf.reduce_any(meets, axis=1), [True]], 0))
    count = tf.shape(usable)[0]
    return usable[tf.minimum(tf.cast(choice * tf.cast(count, tf.float32), tf.int32), count - 1)]


def to_window_coordinates(boxes, window):
    """Boxes [..., 4] in coordinates of a window [4] of theirs."""
    origin, size = tf.concat([window[:2]] * 2, 0), tf.concat([window[2:] - window[:2]] * 2, 0)
    return (boxes - origin) / size


def to_image_coordinates(boxes, window):
    """The inverse of `relative_to`: boxes of a window in coordinates of what the window lies in."""
    origin, size = tf.concat([window[:2]] * 2, 0), tf.concat([window[2:] - window[:2]] * 2, 0)
    return boxes * size + origin


def sample_window(boxes, draws, zoom=True, crop=True):
    """A window [4] of the image and whether to flip [] bool; `draws` has the numbers of `DRAWS`.

    zoom, crop: whether that part of the augmentation takes place at all.
    """
    window = zoom_out_window(draws) if zoom else tf.constant([0., 0., 1., 1.])
    if crop:
        candidates = crop_candidates(tf.reshape(draws['crop'], [-1, 4]))
        window = to_image_coordinates(choose_crop(candidates, to_window_coordinates(boxes, window), draws['choice'][0]), window)
    return window, draws['flip'][0] < .5


def transform_boxes(boxes, window, flip):
    """Boxes [M, 4] as seen in the window, and which stay [M] bool: those whose centre is inside, clipped."""
    seen = to_window_coordinates(boxes, window)
    centres = (seen[:, :2] + seen[:, 2:]) / 2
    stay = tf.reduce_all((centres >= 0) & (centres <= 1), axis=1)
    seen = box_lib.clip(seen, (0., 0., 1., 1.), tf)
    ymin, xmin, ymax, xmax = tf.unstack(seen, axis=1)
    return tf.where_v2(flip, tf.stack([ymin, 1 - xmax, ymax, 1 - xmin], axis=1), seen), stay

"""Preprocessing of records and images for training, evaluation and prediction."""
import functools

import tensorflow.compat.v1 as tf

from preprocessing import geometry, photometric, pixels
from preprocessing.augmentation import PAPER
from preprocessing.draws import RandomDraws


def preprocess_for_train(record, seed, size, mean, augmentation=PAPER):
    """Augment a record.

    Args:
        record: dict of tensors, see `datasets.schema.parse`.
        seed: [2] integer; the augmentation is a pure function of it.
        size: side of the image in pixels.
        mean: RGB color around a zoomed-out image.
        augmentation: `Augmentation`, the parts to use. Default: all, as in the paper.

    Returns:
        Dict with 'image' [size, size, 3] uint8 RGB, 'boxes' [M', 4] float32, 'labels' [M'] int32
        and 'filename' [] string. Boxes whose center is outside the window are dropped.
    """
    # The numbers do not depend on the parts: what is used is drawn as in the whole augmentation.
    draws = RandomDraws(seed, {**geometry.NUM_DRAWS, **photometric.NUM_DRAWS})
    window, flip = geometry.sample_window(record['boxes'], draws, augmentation)
    distort = {'distort': functools.partial(photometric.distort, draws=draws)} \
        if augmentation.photometric_distortion else {}
    image, window = pixels.render_window(record['encoded'], window, size, mean, **distort)
    boxes, keep = geometry.transform_boxes(record['boxes'], window, flip)
    kept_indices = tf.where(keep)[:, 0]
    return {'image': tf.cond(flip, lambda: tf.reverse(image, [1]), lambda: image),
            'boxes': tf.gather(boxes, kept_indices),
            'labels': tf.gather(record['labels'], kept_indices),
            'filename': record['filename']}


def preprocess_for_eval(record, size):
    """Resize the whole image, without keeping its aspect ratio, as in the paper.

    Args:
        record: dict of tensors, see `datasets.schema.parse`.
        size: side of the result in pixels.

    Returns:
        Dict with 'image' [size, size, 3] uint8 RGB, and all entries of the record except 'encoded'.
        'height' and 'width' are those of the decoded image if the record does not have them.
    """
    example = {name: value for name, value in record.items() if name != 'encoded'}
    decoded = pixels.decode_image(record['encoded'])
    height, width = tf.unstack(tf.cast(tf.shape(decoded)[:2], tf.int64))
    has_size = (record['height'] > 0) & (record['width'] > 0)
    return {**example, 'image': resize_pixels_for_eval(decoded[None], size)[0],
            'height': tf.where(has_size, record['height'], height),
            'width': tf.where(has_size, record['width'], width)}


def resize_for_eval(encoded, size):
    """Decode and resize images [B] as `preprocess_for_eval` does: [B, size, size, 3] uint8."""
    return tf.map_fn(
        lambda one: resize_pixels_for_eval(pixels.decode_image(one)[None], size)[0], encoded,
        fn_output_signature=tf.TensorSpec([size, size, 3], tf.uint8))


def resize_pixels_for_eval(images, size, **kernels):
    """Resize decoded images as `resize_for_eval` resizes encoded ones.

    Args:
        images: [B, H, W, 3] uint8 RGB.
        size: side of the result in pixels.
        **kernels: `bilinear` and `area` of `pixels.resize`.

    Returns:
        [B, size, size, 3] uint8.
    """
    resized = pixels.resize(images, size, size, **kernels)
    return tf.ensure_shape(pixels.to_uint8(resized), [None, size, size, 3])

"""Preprocessing of records and images for training, evaluation and prediction."""
import tensorflow.compat.v1 as tf

from preprocessing import geometry, photometric, pixels
from preprocessing.draws import RandomDraws

_WHOLE = (0., 0., 1., 1.)   # window of the whole image


def preprocess_for_train(record, seed, size, mean, zoom_out=True, crop=True):
    """Augment a record as in the paper.

    Args:
        record: dict of tensors, see `datasets.schema.parse`.
        seed: [2] integer; the augmentation is a pure function of it.
        size: side of the image in pixels.
        mean: RGB color around a zoomed-out image.
        zoom_out: whether to zoom out at random. It helps to find small objects but needs twice the
            training steps (paper section 3.6).
        crop: whether to crop at random. Crops need many steps as well; without them and without
            zoom-out, only colors and flips vary, which suits short trainings.

    Returns:
        Dict with 'image' [size, size, 3] uint8 RGB, 'boxes' [M', 4] float32, 'labels' [M'] int32
        and 'filename' [] string. Boxes whose center is outside the window are dropped.
    """
    draws = RandomDraws(seed, {**geometry.NUM_DRAWS, **photometric.NUM_DRAWS})
    window, flip = geometry.sample_window(record['boxes'], draws, zoom_out, crop)
    boxes, keep = geometry.transform_boxes(record['boxes'], window, flip)
    kept_indices = tf.where(keep)[:, 0]
    image = pixels.render_window(record['encoded'], window, size, mean,
                                 lambda covered: photometric.distort(covered, draws))
    return {'image': tf.cond(flip, lambda: tf.reverse(image, [1]), lambda: image),
            'boxes': tf.gather(boxes, kept_indices),
            'labels': tf.gather(record['labels'], kept_indices),
            'filename': record['filename']}


def preprocess_plain(record, size, mean):
    """Resize the image without augmentation; return the dict of `preprocess_for_train`."""
    return {'image': pixels.render_window(record['encoded'], tf.constant(_WHOLE), size, mean),
            'boxes': record['boxes'], 'labels': record['labels'], 'filename': record['filename']}


def preprocess_for_eval(record, size, mean):
    """Resize the whole image, without keeping its aspect ratio, as in the paper.

    Returns:
        The dict of `preprocess_plain`, and all other entries of the record except 'encoded':
        'difficult' and 'iscrowd' [M] bool, 'area' [M] float32, 'source_id' [] string, 'height' and
        'width' [] int64 of the original image. The latter are read from the encoded image if the
        record does not have them.
    """
    rest = {name: value for name, value in record.items() if name != 'encoded'}
    recorded_size = tf.stack([record['height'], record['width']])
    height, width = tf.unstack(tf.cond(
        tf.reduce_all(recorded_size > 0), lambda: recorded_size,
        lambda: pixels.read_image_size(record['encoded'])))
    return {**rest, 'height': height, 'width': width, **preprocess_plain(record, size, mean)}


def resize_for_eval(encoded, size, mean):
    """Decode and resize images [B] as `preprocess_for_eval` does: [B, size, size, 3] uint8."""
    return tf.map_fn(
        lambda one: pixels.render_window(one, tf.constant(_WHOLE), size, mean), encoded,
        fn_output_signature=tf.TensorSpec([size, size, 3], tf.uint8))


def resize_pixels_for_eval(images, size, **kernels):
    """Resize decoded images as `resize_for_eval` resizes encoded ones.

    The results differ a little for JPEGs of at least twice the size, which `resize_for_eval`
    decodes at a fraction of their size.

    Args:
        images: [B, H, W, 3] uint8 RGB.
        size: side of the result in pixels.
        **kernels: `bilinear` and `area` of `pixels.resize`.

    Returns:
        [B, size, size, 3] uint8.
    """
    resized = pixels.resize(tf.cast(images, tf.float32), size, size, **kernels)
    return tf.ensure_shape(pixels.to_uint8(resized), [None, size, size, 3])

"""What happens to an example before the net sees it."""
import tensorflow.compat.v1 as tf

from preprocessing import geometry, photometric, pixels
from preprocessing.draws import RandomDraws

_WHOLE = (0., 0., 1., 1.)


def preprocess_for_train(record, seed, size, mean, zoom=True, crop=True):
    """A record (as of `datasets.schema.parse`) with the paper's augmentation drawn from seed [2].

    Returns a dict: 'image' [size, size, 3] uint8 RGB, 'boxes' [M', 4], 'labels' [M'] int32, 'filename' [].
    mean: RGB, the colour around a zoomed-out image. zoom: zoom-out finds small objects better, but wants twice
    the steps (section 3.6). crop: crops want many steps too; colours and flips alone are for short trainings.
    """
    draws = RandomDraws(seed, {**geometry.NUM_DRAWS, **photometric.NUM_DRAWS})
    window, flip = geometry.sample_window(record['boxes'], draws, zoom, crop)
    boxes, stay = geometry.transform_boxes(record['boxes'], window, flip)
    stay = tf.where(stay)[:, 0]
    image = pixels.render_window(record['encoded'], window, size, mean,
                          lambda seen: photometric.distort(seen, draws))
    return {'image': tf.cond(flip, lambda: tf.reverse(image, [1]), lambda: image),
            'boxes': tf.gather(boxes, stay),
            'labels': tf.gather(record['labels'], stay),
            'filename': record['filename']}


def preprocess_plain(record, size, mean):
    """Resize the image without augmentation; return the dict of `preprocess_for_train`."""
    return {'image': pixels.render_window(record['encoded'], tf.constant(_WHOLE), size, mean),
            'boxes': record['boxes'], 'labels': record['labels'], 'filename': record['filename']}


def preprocess_for_eval(record, size, mean):
    """The whole image resized (its aspect given up, as in the paper), and its ground truths.

    Returns the dict of `preprocess_plain` with all else of the record but its bytes: 'difficult' and 'iscrowd' [M]
    bool, 'area' [M] float32, 'source_id' [], 'height' and 'width' [] int64 of the picture as it was, also where the
    record does not say. Boxes are relative, so they stay.
    """
    rest = {name: value for name, value in record.items() if name != 'encoded'}
    said = tf.stack([record['height'], record['width']])
    height, width = tf.unstack(tf.cond(tf.reduce_all(said > 0), lambda: said,
                                       lambda: pixels.read_image_size(record['encoded'])))
    return {**rest, 'height': height, 'width': width, **preprocess_plain(record, size, mean)}


def resize_for_eval(encoded, size, mean):
    """Encoded images [B] string -> [B, size, size, 3] uint8, each as in `preprocess_for_eval`."""
    return tf.map_fn(lambda one: pixels.render_window(one, tf.constant(_WHOLE), size, mean), encoded,
                     fn_output_signature=tf.TensorSpec([size, size, 3], tf.uint8))


def resize_pixels_for_eval(images, size, **options):
    """Decoded images [B, H, W, 3] uint8 RGB -> [B, size, size, 3] uint8, as `resize_for_eval` does with their files.

    With one difference: of a JPEG of twice the size and more it decodes fewer pixels, so those differ a little.
    options: those of `pixels.resize`.
    """
    resized = pixels.resize(tf.cast(images, tf.float32), size, size, **options)
    return tf.ensure_shape(pixels.to_uint8(resized), [None, size, size, 3])

"""A window of an encoded image as a picture of fixed size: only the pixels that are needed are decoded."""
import tensorflow.compat.v1 as tf

# From this much shrinking on, bilinear sampling would skip pixels, and areas are averaged instead.
AREA_FROM = 2.


def image_size(encoded):
    """Height and width [2] int32 of an encoded image, without decoding it where it is a JPEG."""
    return tf.cond(tf.io.is_jpeg(encoded),
                   lambda: tf.image.extract_jpeg_shape(encoded)[:2],
                   lambda: tf.shape(_decode(encoded))[:2])


def _decode(encoded):
    return tf.io.decode_image(encoded, channels=3, expand_animations=False)


def decode_window(encoded, top, left, height, width):
    """A window in whole pixels of an encoded image: [height, width, 3] uint8 RGB."""
    pixels = tf.cond(tf.io.is_jpeg(encoded),
                     lambda: tf.io.decode_and_crop_jpeg(encoded, tf.stack([top, left, height, width]), channels=3),
                     lambda: _decode(encoded)[top:top + height, left:left + width])
    return tf.ensure_shape(pixels, [None, None, 3])


def resize(pixels, height, width):
    """[h, w, 3] uint8 or float32 -> [height, width, 3] float32, in [0, 255]."""
    shape = tf.shape(pixels)
    shrink = tf.cast(shape[0] * shape[1], tf.float32) / tf.cast(height * width, tf.float32)
    size = tf.stack([height, width])
    return tf.cond(shrink > AREA_FROM ** 2,
                   lambda: tf.image.resize_area(pixels[None], size)[0],
                   lambda: tf.compat.v2.image.resize(pixels, size))


def render(encoded, window, size, fill, change=lambda pixels: pixels):
    """The window [4] of an encoded image as [size, size, 3] uint8.

    The window is relative to the image and may reach beyond it: what lies outside gets the colour `fill`
    (RGB). change: function of the float32 pixels that are image, applied after the resize.
    """
    image = tf.cast(image_size(encoded), tf.float32)
    seen = tf.clip_by_value(window, 0., 1.)
    # The part of the image that is seen, in its pixels, one at least ...
    start = tf.minimum(tf.floor(seen[:2] * image), image - 1)
    extent = tf.maximum(tf.ceil(seen[2:] * image) - start, 1.)
    # ... and the part of the picture that it fills, in the picture's.
    scale = size / (window[2:] - window[:2])
    top_left = tf.clip_by_value(tf.round((seen[:2] - window[:2]) * scale), 0., size - 1.)
    filled = tf.clip_by_value(tf.round((seen[2:] - window[:2]) * scale) - top_left, 1., size - top_left)

    top, left = tf.unstack(tf.cast(top_left, tf.int32))
    height, width = tf.unstack(tf.cast(filled, tf.int32))
    pixels = decode_window(encoded, *tf.unstack(tf.cast(tf.concat([start, extent], 0), tf.int32)))
    pixels = tf.round(change(resize(pixels, height, width))) - tf.constant(fill, tf.float32)
    pixels = tf.pad(pixels, [[top, size - top - height], [left, size - left - width], [0, 0]])
    picture = tf.saturate_cast(tf.round(pixels + tf.constant(fill, tf.float32)), tf.uint8)
    return tf.ensure_shape(picture, [size, size, 3])

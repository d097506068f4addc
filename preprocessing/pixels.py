"""A window of an encoded image as a picture of fixed size: only the pixels that are needed are decoded."""
import numpy as np
import tensorflow.compat.v1 as tf

# A JPEG decodes at these fractions of its size for less: its transform, cut short, averages squares of pixels.
JPEG_RATIOS = (1, 2, 4, 8)
# From this much shrinking on, bilinear sampling would skip pixels, and areas are averaged instead.
AREA_FROM = 2.


def _in_pixels(seen, image):
    """A part of an image, relative [4], in whole pixels of an image of this size [2]: [top, left, height, width]."""
    start = tf.minimum(tf.floor(seen[:2] * image), image - 1)
    extent = tf.maximum(tf.ceil(seen[2:] * image) - start, 1.)
    return tf.cast(tf.concat([start, extent], 0), tf.int32)


def _decode_jpeg(encoded, seen, wanted):
    image = tf.cast(tf.image.extract_jpeg_shape(encoded)[:2], tf.float32)
    shrink = tf.sqrt(tf.reduce_prod((seen[2:] - seen[:2]) * image / wanted))

    def at(ratio):
        return lambda: tf.io.decode_and_crop_jpeg(
            encoded, _in_pixels(seen, tf.ceil(image / ratio)), channels=3, ratio=ratio)
    fitting = tf.reduce_sum(tf.cast(shrink >= tf.constant(JPEG_RATIOS[1:], tf.float32), tf.int32))
    return tf.switch_case(fitting, [at(ratio) for ratio in JPEG_RATIOS])


def _decode_other(encoded, seen):
    pixels = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    top, left, height, width = tf.unstack(_in_pixels(seen, tf.cast(tf.shape(pixels)[:2], tf.float32)))
    return pixels[top:top + height, left:left + width]


def decode_window(encoded, seen, wanted):
    """The part seen [4] (relative, within the image) of an encoded image: [h, w, 3] uint8 RGB.

    Of a JPEG it may have a half, a quarter or an eighth of the pixels per side, but not fewer in all than
    `wanted` [2] (height, width; float32) because of that.
    """
    pixels = tf.cond(tf.io.is_jpeg(encoded), lambda: _decode_jpeg(encoded, seen, wanted),
                     lambda: _decode_other(encoded, seen))
    return tf.ensure_shape(pixels, [None, None, 3])


def read_image_size(encoded):
    """Of an encoded image: [2] int64."""
    return tf.cast(tf.cond(
        tf.io.is_jpeg(encoded), lambda: tf.image.extract_jpeg_shape(encoded)[:2],
        lambda: tf.shape(tf.io.decode_image(encoded, channels=3, expand_animations=False))[:2]), tf.int64)


def _bilinear(pixels, size):
    return tf.raw_ops.ResizeBilinear(images=pixels, size=size, half_pixel_centers=True)


def _area(pixels, size):
    return tf.raw_ops.ResizeArea(images=pixels, size=size)


def resize(pixels, height, width, bilinear=_bilinear, area=_area):
    """[B, h, w, 3] float32 -> [B, height, width, 3] float32.

    bilinear, area: functions (pixels, size [2] int32) -> pixels that sample between pixels, and take the mean of what
    each covers.
    """
    h, w = tf.unstack(tf.shape(pixels)[1:3])
    shrink = tf.cast(h * w, tf.float32) / tf.cast(height * width, tf.float32)
    size = tf.stack([height, width])
    return tf.cond(shrink > AREA_FROM ** 2, lambda: area(pixels, size), lambda: bilinear(pixels, size))


def to_uint8(pixels):
    """float32 in [0, 255] -> uint8, to the nearest."""
    return tf.cast(pixels + .5, tf.uint8)


def paste(canvas, pixels, top, left):
    """The canvas [H, W, 3] with the pixels [h, w, 3] at (top, left); they must fit."""
    height, width = tf.unstack(tf.shape(pixels)[:2])
    rows = slice(top, top + height)
    band = tf.concat([canvas[rows, :left], pixels, canvas[rows, left + width:]], 1)
    return tf.concat([canvas[:top], band, canvas[top + height:]], 0)


def render_window(encoded, window, size, fill, change=lambda pixels: pixels):
    """The window [4] of an encoded image as [size, size, 3] uint8.

    The window is relative to the image and may reach beyond it: what lies outside gets the colour `fill`
    (RGB). change: function of the float32 pixels that are image, [h, w, 3] in [0, 255] -> the same. It is applied
    before the resize or after it, wherever there are fewer pixels.
    """
    seen = tf.clip_by_value(window, 0., 1.)
    # The part of the picture that the seen part of the image fills, in pixels.
    scale = size / (window[2:] - window[:2])
    top_left = tf.clip_by_value(tf.round((seen[:2] - window[:2]) * scale), 0., size - 1.)
    filled = tf.clip_by_value(tf.round((seen[2:] - window[:2]) * scale) - top_left, 1., size - top_left)

    height, width = tf.unstack(tf.cast(filled, tf.int32))

    def resized(pixels):
        return resize(pixels[None], height, width)[0]
    pixels = tf.cast(decode_window(encoded, seen, filled), tf.float32)
    pixels = tf.cond(tf.size(pixels) < 3 * height * width,
                     lambda: resized(change(pixels)), lambda: change(resized(pixels)))
    pixels = to_uint8(pixels)
    canvas = tf.constant(np.broadcast_to(np.round(fill).astype(np.uint8), [size, size, 3]))
    picture = tf.cond(tf.reduce_all(filled >= size), lambda: pixels,
                      lambda: paste(canvas, pixels, *tf.unstack(tf.cast(top_left, tf.int32))))
    return tf.ensure_shape(picture, [size, size, 3])

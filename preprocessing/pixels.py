"""Render a window of an encoded image at a fixed size, decoding only the pixels it needs."""
import numpy as np
import tensorflow.compat.v1 as tf

# A JPEG decodes faster at these fractions of its size: the decoder evaluates only a part of each
# block's transform, which averages the pixels.
JPEG_RATIOS = (1, 2, 4, 8)
# From this shrink factor on, bilinear sampling would skip pixels, so areas are averaged instead.
AREA_FROM = 2.


def decode_image(encoded):
    """Decode an image (JPEG, PNG, GIF or BMP) in full: [h, w, 3] uint8 RGB.

    The pixels are those that Pillow, OpenCV and other programs with libjpeg-turbo decode.
    TensorFlow's default for JPEG is a faster transform that differs by a few of 255 levels.
    """
    pixels = tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: tf.io.decode_jpeg(encoded, channels=3, dct_method='INTEGER_ACCURATE'),
        lambda: _decode_lossless(encoded))
    return tf.ensure_shape(pixels, [None, None, 3])


def _decode_lossless(encoded):
    return tf.io.decode_image(encoded, channels=3, expand_animations=False)


def _to_pixels(window, scale, size):
    """Return [top, left, height, width] int32 of a relative window [4], rounded outwards.

    Args:
        window: [4] float32, inside the image.
        scale: [2] float32, height and width of the image in pixels, which need not be whole.
        size: [2] float32, number of rows and columns of pixels.
    """
    start = tf.minimum(tf.floor(window[:2] * scale), size - 1)
    extent = tf.maximum(tf.ceil(window[2:] * scale) - start, 1.)
    return tf.cast(tf.concat([start, extent], 0), tf.int32)


def _to_window(rectangle, scale):
    """Return the relative window [4] of a rectangle [top, left, height, width] in pixels."""
    start, extent = tf.cast(rectangle[:2], tf.float32), tf.cast(rectangle[2:], tf.float32)
    return tf.concat([start / scale, (start + extent) / scale], 0)


def _decode_jpeg(encoded, window, target_size):
    image_size = tf.cast(tf.image.extract_jpeg_shape(encoded)[:2], tf.float32)
    shrink = tf.sqrt(tf.reduce_prod((window[2:] - window[:2]) * image_size / target_size))
    index = tf.reduce_sum(tf.cast(shrink >= tf.constant(JPEG_RATIOS[1:], tf.float32), tf.int32))
    # At 1/8, an image of 375 rows has 47, and the last of them is partly beyond its edge.
    scale = image_size / tf.gather(tf.constant(JPEG_RATIOS, tf.float32), index)
    rectangle = _to_pixels(window, scale, tf.ceil(scale))

    def decode_at(ratio):
        return lambda: tf.io.decode_and_crop_jpeg(encoded, rectangle, channels=3, ratio=ratio)
    pixels = tf.switch_case(index, [decode_at(ratio) for ratio in JPEG_RATIOS])
    return pixels, _to_window(rectangle, scale)


def _decode_other(encoded, window):
    pixels = _decode_lossless(encoded)
    image_size = tf.cast(tf.shape(pixels)[:2], tf.float32)
    rectangle = _to_pixels(window, image_size, image_size)
    top, left, height, width = tf.unstack(rectangle)
    return pixels[top:top + height, left:left + width], _to_window(rectangle, image_size)


def decode_window(encoded, window, target_size):
    """Decode a window of an encoded image.

    A JPEG is decoded at 1/2, 1/4 or 1/8 of its size if the window still has at least as many pixels
    as the target.

    Args:
        encoded: [] string, JPEG, PNG, GIF or BMP.
        window: [4] float32, relative and inside the image.
        target_size: [2] float32, height and width that the window will be resized to.

    Returns:
        pixels: [h, w, 3] uint8 RGB.
        decoded_window: [4] float32, the window that the pixels show: `window` extended to whole
            pixels. At a fraction of the size it may end a little beyond the image.
    """
    pixels, decoded_window = tf.cond(
        tf.io.is_jpeg(encoded), lambda: _decode_jpeg(encoded, window, target_size),
        lambda: _decode_other(encoded, window))
    return tf.ensure_shape(pixels, [None, None, 3]), tf.ensure_shape(decoded_window, [4])


def _bilinear(pixels, size):
    return tf.raw_ops.ResizeBilinear(images=pixels, size=size, half_pixel_centers=True)


def _area(pixels, size):
    return tf.raw_ops.ResizeArea(images=pixels, size=size)


def resize(pixels, height, width, bilinear=_bilinear, area=_area):
    """Resize images, by bilinear sampling or, if they shrink by more than 2, by averaging areas.

    Args:
        pixels: [B, h, w, 3] uint8 or float32.
        height, width: size of the result.
        bilinear, area: functions (pixels, size [2] int32) -> resized pixels, for other kernels.

    Returns:
        [B, height, width, 3] float32.
    """
    h, w = tf.unstack(tf.shape(pixels)[1:3])
    shrink = tf.cast(h * w, tf.float32) / tf.cast(height * width, tf.float32)
    size = tf.stack([height, width])
    return tf.cond(shrink > AREA_FROM ** 2,
                   lambda: area(pixels, size), lambda: bilinear(pixels, size))


def to_uint8(pixels):
    """Round float32 pixels in [0, 255] to uint8."""
    return tf.cast(pixels + .5, tf.uint8)


def paste(canvas, pixels, top, left):
    """Return the canvas [H, W, C] with pixels [h, w, C] at (top, left). They must fit."""
    height, width = tf.unstack(tf.shape(pixels)[:2])
    rows = slice(top, top + height)
    band = tf.concat([canvas[rows, :left], pixels, canvas[rows, left + width:]], 1)
    return tf.concat([canvas[:top], band, canvas[top + height:]], 0)


def render_window(encoded, window, size, fill, distort=lambda pixels: pixels):
    """Render a window of an encoded image as a square image.

    Args:
        encoded: [] string, as `decode_window` takes it.
        window: [4] float32, relative to the image; it may extend beyond it.
        size: side of the result in pixels.
        fill: RGB color of the area outside the image.
        distort: function of float32 pixels [h, w, 3] in [0, 255] that keeps their shape. It runs
            before or after the resize, whichever has fewer pixels, and never on the fill.

    Returns:
        image: [size, size, 3] uint8 RGB.
        rendered_window: [4] float32, the window that the image shows: `window` moved by the
            rounding of decoded and covered pixels. Boxes that are relative to it fit the pixels.
    """
    visible = tf.clip_by_value(window, 0., 1.)
    # Pixels of the result that the image covers.
    scale = size / (window[2:] - window[:2])
    top_left = tf.clip_by_value(tf.round((visible[:2] - window[:2]) * scale), 0., size - 1.)
    covered_size = tf.clip_by_value(
        tf.round((visible[2:] - window[:2]) * scale) - top_left, 1., size - top_left)

    height, width = tf.unstack(tf.cast(covered_size, tf.int32))

    def resize_to_covered(pixels):
        return resize(pixels[None], height, width)[0]
    pixels, decoded_window = decode_window(encoded, visible, covered_size)
    pixels = tf.cast(pixels, tf.float32)
    pixels = tf.cond(tf.size(pixels) < 3 * height * width,
                     lambda: resize_to_covered(distort(pixels)),
                     lambda: distort(resize_to_covered(pixels)))
    pixels = to_uint8(pixels)
    canvas = tf.constant(np.broadcast_to(np.round(fill).astype(np.uint8), [size, size, 3]))
    image = tf.cond(tf.reduce_all(covered_size >= size), lambda: pixels,
                    lambda: paste(canvas, pixels, *tf.unstack(tf.cast(top_left, tf.int32))))
    return (tf.ensure_shape(image, [size, size, 3]),
            _extend(decoded_window, top_left, covered_size, size))


def _extend(decoded_window, top_left, covered_size, size):
    """Return the window [4] of a whole image in which a decoded window covers a rectangle.

    Args:
        decoded_window: [4] float32, relative.
        top_left: [2] float32, position of the rectangle in pixels of the image.
        covered_size: [2] float32, height and width of the rectangle.
        size: side of the image in pixels.
    """
    pixel_size = (decoded_window[2:] - decoded_window[:2]) / covered_size
    start = decoded_window[:2] - top_left * pixel_size
    return tf.concat([start, start + size * pixel_size], 0)

"""TensorFlow's bilinear and area resize in operators that ONNX has, with TensorFlow's rounding.

The weights of ONNX's own bilinear operator differ in their last bits. Resized pixels are rounded to
integers. At scales such as 480 / 300 many values lie exactly between two integers, so the last bits
decide, and some boxes of a trained net move. ONNX has no operator for the area resize.

Both functions resize `pixels` [B, h, w, 3], uint8 or float32, to `size`, [2] int32, the new height
and width. They return [B, height, width, 3] float32.
"""
import tensorflow.compat.v1 as tf


def resize_bilinear(pixels, size):
    """Resize bilinearly, with half-pixel centers."""
    pixels, shape = tf.cast(pixels, tf.float32), tf.shape(pixels)
    top, bottom, row_weights = _interpolation(shape[1], size[0])
    left, right, column_weights = _interpolation(shape[2], size[1])

    def interpolate_columns(rows):
        values = tf.gather(pixels, rows, axis=1)
        first, second = (tf.gather(values, columns, axis=2) for columns in (left, right))
        return first + (second - first) * column_weights[:, None]
    upper, lower = interpolate_columns(top), interpolate_columns(bottom)
    return upper + (lower - upper) * row_weights[:, None, None]


def _interpolation(input_size, output_size):
    """Return the two input pixels that each output pixel interpolates along one axis, and a weight.

    Args:
        input_size: [] int32.
        output_size: [] int32.

    Returns:
        Index of the first pixel, index of the second pixel, both [output_size] int32, and the
        weight of the second pixel, [output_size] float32.
    """
    # With a scalar scale, TensorFlow's optimizer would multiply the constants first, which rounds
    # differently.
    scale = tf.expand_dims(tf.cast(input_size, tf.float32) / tf.cast(output_size, tf.float32), 0)
    position = (tf.cast(tf.range(output_size), tf.float32) + .5) * scale - .5
    first = tf.floor(position)
    return (tf.cast(tf.maximum(first, 0.), tf.int32),
            tf.minimum(tf.cast(tf.ceil(position), tf.int32), input_size - 1), position - first)


def resize_area(pixels, size):
    """Average the input pixels that each output pixel covers, by one matrix product per axis."""
    pixels, shape = tf.cast(pixels, tf.float32), tf.shape(pixels)
    narrow = tf.einsum('bhwc,xw->bhxc', pixels, _area_weights(shape[2], size[1]))
    return tf.einsum('bhxc,yh->byxc', narrow, _area_weights(shape[1], size[0]))


def _area_weights(input_size, output_size):
    """Return the share of each input pixel in each output pixel: [output_size, input_size]."""
    scale = tf.cast(input_size, tf.float32) / tf.cast(output_size, tf.float32)
    start = tf.cast(tf.range(output_size), tf.float32)[:, None] * scale
    pixel = tf.cast(tf.range(input_size), tf.float32)[None]
    overlap = tf.minimum(start + scale, pixel + 1) - tf.maximum(start, pixel)
    return tf.maximum(overlap, 0.) / scale


KERNELS = {'bilinear': resize_bilinear, 'area': resize_area}   # arguments of `pixels.resize`

"""TensorFlow's two ways to resize, in operators that ONNX has, and with TensorFlow's rounding.

ONNX's own bilinear operator differs in the last bits of its weights. Resized pictures become whole numbers, and where a
pixel falls on a half, as many do at scales such as 480 / 300, those bits decide: trained nets then put some boxes
elsewhere. It has no operator for the means of areas.
"""
import tensorflow.compat.v1 as tf


def bilinear(pixels, size):
    """As of `preprocessing.pixels.resize`: [B, h, w, 3] float32, [2] int32 -> [B, height, width, 3]."""
    shape = tf.shape(pixels)
    top, bottom, down = _between(shape[1], size[0])
    left, right, across = _between(shape[2], size[1])

    def row(places):
        lines = tf.gather(pixels, places, axis=1)
        first, second = (tf.gather(lines, columns, axis=2) for columns in (left, right))
        return first + (second - first) * across[:, None]
    upper, lower = row(top), row(bottom)
    return upper + (lower - upper) * down[:, None, None]


def _between(before, after):
    """Which two of `before` pixels each of `after` lies between, [after] int32 twice, and how far from the first."""
    # The axis keeps TensorFlow's optimizer from multiplying the constants first, which rounds otherwise.
    scale = tf.expand_dims(tf.cast(before, tf.float32) / tf.cast(after, tf.float32), 0)
    place = (tf.cast(tf.range(after), tf.float32) + .5) * scale - .5
    first = tf.floor(place)
    return (tf.cast(tf.maximum(first, 0.), tf.int32), tf.minimum(tf.cast(tf.ceil(place), tf.int32), before - 1),
            place - first)


def area(pixels, size):
    """Likewise, the mean of what each new pixel covers, by a product of matrices for each side."""
    shape = tf.shape(pixels)
    narrow = tf.einsum('bhwc,xw->bhxc', pixels, _shares(shape[2], size[1]))
    return tf.einsum('bhxc,yh->byxc', narrow, _shares(shape[1], size[0]))


def _shares(before, after):
    """[after, before] float32: how much of each of `after` pixels each of `before` makes."""
    scale = tf.cast(before, tf.float32) / tf.cast(after, tf.float32)
    start = tf.cast(tf.range(after), tf.float32)[:, None] * scale
    pixel = tf.cast(tf.range(before), tf.float32)[None]
    covered = tf.minimum(start + scale, pixel + 1) - tf.maximum(start, pixel)
    return tf.maximum(covered, 0.) / scale


KERNELS = {'bilinear': bilinear, 'area': area}

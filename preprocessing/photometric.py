"""Photometric distortion (paper section 2.2, after Howard 2013; values of the released code)."""
import tensorflow.compat.v1 as tf

from preprocessing.draws import rescale

PROBABILITY = .5            # of each distortion
BRIGHTNESS = 32.            # largest change, of 255
CONTRAST = SATURATION = (.5, 1.5)
HUE = 36. / 360.            # of the circle; the released code has 18 on OpenCV's scale of 180
NUM_DRAWS = {'brightness': 2, 'contrast': 2, 'saturation': 2, 'hue': 2, 'order': 1}


def distort(image, draws):
    """Distort brightness, contrast, saturation and hue, each with probability 0.5.

    The order is as listed; with probability 0.5, contrast comes last instead.

    Args:
        image: [H, W, 3] float32 RGB in [0, 255].
        draws: `RandomDraws` with the numbers of `NUM_DRAWS`.

    Returns:
        The distorted image, same shape and range.
    """
    def random_change(name, change):
        use, amount = tf.unstack(draws[name])
        return lambda pixels: tf.cond(
            use < PROBABILITY, lambda: change(pixels, amount), lambda: pixels)

    def clip(pixels):
        # tf.clip_by_value would take two passes over the pixels.
        return tf.raw_ops.ClipByValue(t=pixels, clip_value_min=0., clip_value_max=255.)

    brightness = random_change('brightness', lambda pixels, u: clip(
        pixels + rescale(u, -BRIGHTNESS, BRIGHTNESS)))
    contrast = random_change('contrast', lambda pixels, u: clip(pixels * rescale(u, *CONTRAST)))
    saturation = random_change('saturation', lambda pixels, u: tf.image.adjust_saturation(
        pixels, rescale(u, *SATURATION)))
    hue = random_change('hue', lambda pixels, u: tf.image.adjust_hue(pixels, rescale(u, -HUE, HUE)))

    image = brightness(image)
    return tf.cond(draws['order'][0] < .5,
                   lambda: hue(saturation(contrast(image))),
                   lambda: contrast(hue(saturation(image))))

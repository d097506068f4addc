"""Photometric distortion (the paper, section 2.2, after Howard 2013; values of the released configuration)."""
import tensorflow.compat.v1 as tf

from preprocessing.draws import rescale

PROBABILITY = .5
BRIGHTNESS = 32.            # of 255
CONTRAST = SATURATION = (.5, 1.5)
HUE = 36. / 360.            # of the circle; the released code says 18 on OpenCV's scale of 180
NUM_DRAWS = {'brightness': 2, 'contrast': 2, 'saturation': 2, 'hue': 2, 'order': 1}


def distort(image, draws):
    """Colours changed, each way with probability 0.5: [H, W, 3] float32 in [0, 255] -> the same.

    Brightness; contrast; saturation; hue; in half of the cases contrast comes last instead.
    """
    def sometimes(name, change):
        use, amount = tf.unstack(draws[name])
        return lambda pixels: tf.cond(use < PROBABILITY, lambda: change(pixels, amount), lambda: pixels)

    def whole_range(pixels):
        return tf.raw_ops.ClipByValue(t=pixels, clip_value_min=0., clip_value_max=255.)   # in one pass, not two

    brighten = sometimes('brightness', lambda pixels, u: whole_range(
        pixels + rescale(u, -BRIGHTNESS, BRIGHTNESS)))
    contrast = sometimes('contrast', lambda pixels, u: whole_range(pixels * rescale(u, *CONTRAST)))
    saturate = sometimes('saturation', lambda pixels, u: tf.image.adjust_saturation(
        pixels, rescale(u, *SATURATION)))
    turn_hue = sometimes('hue', lambda pixels, u: tf.image.adjust_hue(pixels, rescale(u, -HUE, HUE)))

    image = brighten(image)
    return tf.cond(draws['order'][0] < .5,
                   lambda: turn_hue(saturate(contrast(image))),
                   lambda: contrast(turn_hue(saturate(image))))

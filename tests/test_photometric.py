import colorsys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from test_geometry import FixedDraws

from preprocessing import photometric

# Draws that change nothing.
OFF = {'brightness': [.5, 0], 'contrast': [.5, 0], 'saturation': [.5, 0], 'hue': [.5, 0],
       'order': [0.]}
PIXEL = [100., 60., 20.]


def distort(evaluate, pixel=PIXEL, **draws):
    """Return the distorted pixel [3]."""
    draws = FixedDraws(**{**OFF, **draws})
    return evaluate(photometric.distort(tf.constant([[pixel]]), draws))[0, 0]


def test_no_distortion_keeps_the_pixels(evaluate):
    np.testing.assert_array_equal(distort(evaluate), PIXEL)


@pytest.mark.parametrize('draws, expected', [
    ({'brightness': [0, 1]}, [132, 92, 52]), ({'brightness': [0, 0]}, [68, 28, 0]),   # -12 clipped
    ({'contrast': [0, 1]}, [150, 90, 30]), ({'contrast': [.49, 0]}, [50, 30, 10]),
    ({'saturation': [0, 0]}, [100, 80, 60])])                                    # half of it
def test_single_distortions(evaluate, draws, expected):
    np.testing.assert_allclose(distort(evaluate, **draws), expected, atol=.01)


def test_largest_hue_change_is_a_tenth_of_the_circle(evaluate):
    hue, saturation, value = colorsys.rgb_to_hsv(*np.array(PIXEL) / 255)
    expected = np.array(colorsys.hsv_to_rgb(hue + .1, saturation, value)) * 255
    np.testing.assert_allclose(distort(evaluate, hue=[0, 1]), expected, atol=.1)


def test_contrast_is_applied_first_or_last(evaluate):
    # Brightness gives (132, 92, 52), contrast and saturation of 1.5 clip nothing: the order does
    # not matter ...
    draws = {'brightness': [0, 1], 'contrast': [0, 1], 'saturation': [0, 1]}
    np.testing.assert_allclose(distort(evaluate, **draws),
                               distort(evaluate, **draws, order=[.5]), atol=.1)
    # ... but contrast clips a bright pixel at 255, and then it does.
    first, last = (distort(evaluate, [240., 200., 100.], contrast=[0, 1], saturation=[0, 0],
                           order=[order]) for order in (0., .9))
    assert np.abs(first - last).max() > 5

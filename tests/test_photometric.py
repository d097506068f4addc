import colorsys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from test_geometry import Given

from preprocessing import photometric

OFF = {'brightness': [.5, 0], 'contrast': [.5, 0], 'saturation': [.5, 0], 'hue': [.5, 0], 'order': [0.]}
PIXEL = [100., 60., 20.]


def distort(evaluate, **draws):
    return evaluate(photometric.distort(tf.constant([[PIXEL]]), Given(**{**OFF, **draws})))[0, 0]


def test_nothing_drawn_changes_nothing(evaluate):
    np.testing.assert_array_equal(distort(evaluate), PIXEL)


@pytest.mark.parametrize('draws, expected', [
    ({'brightness': [0, 1]}, [132, 92, 52]), ({'brightness': [0, 0]}, [68, 28, 0]),       # -12 is cut
    ({'contrast': [0, 1]}, [150, 90, 30]), ({'contrast': [.49, 0]}, [50, 30, 10]),
    ({'saturation': [0, 0]}, [100, 80, 60])])                                               # half the saturation
def test_one_way_at_a_time(evaluate, draws, expected):
    np.testing.assert_allclose(distort(evaluate, **draws), expected, atol=.01)


def test_hue_turns_by_a_tenth_of_the_circle(evaluate):
    hue, saturation, value = colorsys.rgb_to_hsv(*np.array(PIXEL) / 255)
    expected = np.array(colorsys.hsv_to_rgb(hue + .1, saturation, value)) * 255
    np.testing.assert_allclose(distort(evaluate, hue=[0, 1]), expected, atol=.1)


def test_contrast_comes_before_or_after_the_colours(evaluate):
    # Brightness to (132, 92, 52); contrast 1.5 cuts nothing; saturation 1.5 cuts nothing: the same either way ...
    both = {'brightness': [0, 1], 'contrast': [0, 1], 'saturation': [0, 1]}
    np.testing.assert_allclose(distort(evaluate, **both), distort(evaluate, **both, order=[.5]), atol=.1)
    # ... but doubling what is bright cuts at 255, and then the order shows.
    image = tf.constant([[[240., 200., 100.]]])
    found = evaluate([photometric.distort(image, Given(**{**OFF, 'contrast': [0, 1], 'saturation': [0, 0],
                                                          'order': [order]})) for order in (0., .9)])
    assert np.abs(found[0] - found[1]).max() > 5

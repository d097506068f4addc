import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from preprocessing import geometry
from preprocessing.augmentation import Augmentation
from preprocessing.draws import RandomDraws


class FixedDraws:
    """Stands in for `RandomDraws` with numbers chosen by the test."""

    def __init__(self, **numbers):
        self._numbers = numbers

    def __getitem__(self, name):
        return tf.constant(self._numbers[name], tf.float32)


def test_zoom_out_window(evaluate):
    # Twice the size (a third of the way from 1 to 4), a quarter of the extra height above the image
    # and half of the extra width on its left.
    zoomed, original = (geometry.zoom_out_window(FixedDraws(zoom=[use, 1 / 3, .25, .5]))
                        for use in (.4, .5))
    np.testing.assert_allclose(evaluate(zoomed), [-.25, -.5, 1.75, 1.5], rtol=1e-6)
    np.testing.assert_allclose(evaluate(original), [0, 0, 1, 1])


def test_window_and_image_coordinates_are_inverse(evaluate):
    box, window = tf.constant([[0., 0., .5, 1.]]), tf.constant([-.25, -.5, 1.75, 1.5])
    in_window = geometry.to_window_coordinates(box, window)
    np.testing.assert_allclose(evaluate(in_window), [[.125, .25, .375, .75]])
    in_image = geometry.to_image_coordinates(in_window, window)
    np.testing.assert_allclose(evaluate(in_image), [[0, 0, .5, 1]], atol=1e-6)


def test_crop_candidate(evaluate):
    # Scale 0.65; the aspect ratio is the middle of max(.5, .65^2) and min(2, 1 / .65^2) = 2: 1.25.
    height, width = .65 / np.sqrt(1.25), .65 * np.sqrt(1.25)
    crops = evaluate(geometry.crop_candidates(tf.constant([[.5, .5, 0., 1.]])))
    np.testing.assert_allclose(crops, [[0, 1 - width, height, 1]], rtol=1e-5)


def test_crop_candidates_are_in_the_square_and_within_bounds(evaluate):
    uniform = tf.constant(np.random.RandomState(0).rand(5000, 4), tf.float32)
    crops = evaluate(geometry.crop_candidates(uniform))
    height, width = crops[:, 2] - crops[:, 0], crops[:, 3] - crops[:, 1]
    assert crops.min() >= -1e-6 and crops.max() <= 1 + 1e-6
    assert (height * width).min() >= .09 - 1e-5 and (width / height).min() >= .5 - 1e-5
    assert (width / height).max() <= 2 + 1e-5


def candidates(crops):
    """Return 251 candidates: the given ones (index -> crop), and others far from the box."""
    array = np.tile(np.float32([.9, .9, 1, 1]), (251, 1))
    for index, crop in crops.items():
        array[index] = crop
    return tf.constant(array)


@pytest.mark.parametrize('choice, expected', [
    (0., [0, 0, 1, 1]),          # no crop
    (.3, [0, 0, .5, 1]),         # overlap 0.5 with the box: succeeds for the minimum 0.1 ...
    (.6, [0, 0, .5, .6]),        # ... and this one, with overlap 0.83, for the minimum 0.7
    (.99, [.9, .9, 1, 1])])      # the free crop
def test_choice_is_uniform_over_available_crops(evaluate, choice, expected):
    box = tf.constant([[0., 0., .5, .5]])
    crops = candidates({7: [0, 0, .5, 1], 8: [0, 0, .5, .6], 160: [0, 0, .5, .6]})
    crop = evaluate(geometry.choose_crop(crops, box, tf.constant(choice)))
    np.testing.assert_allclose(crop, expected, rtol=1e-6)


@pytest.mark.parametrize('choice, expected', [
    (0., [0, 0, 1, 1]), (.49, [0, 0, 1, 1]), (.5, [.9, .9, 1, 1])])
def test_without_boxes_the_choice_is_no_crop_or_the_free_crop(evaluate, choice, expected):
    crop = evaluate(geometry.choose_crop(candidates({}), tf.zeros([0, 4]), tf.constant(choice)))
    np.testing.assert_allclose(crop, expected, rtol=1e-6)


def test_boxes_with_their_center_in_the_window_are_kept_and_clipped(evaluate):
    window = tf.constant([0., 0., .5, .5])
    boxes = tf.constant([[.1, .1, .2, .3], [.2, .2, .7, .7], [.3, .3, .8, .8], [.4, .4, .6, .6]])
    boxes, keep = evaluate(geometry.transform_boxes(boxes, window, tf.constant(False)))
    # A center on the edge is inside.
    np.testing.assert_array_equal(keep, [True, True, False, True])
    np.testing.assert_allclose(boxes[keep], [[.2, .2, .4, .6], [.4, .4, 1, 1], [.8, .8, 1, 1]],
                               rtol=1e-6)


def test_flip_mirrors_boxes_horizontally(evaluate):
    boxes, keep = evaluate(geometry.transform_boxes(
        tf.constant([[.1, .2, .3, .6]]), tf.constant([0., 0., 1., 1.]), tf.constant(True)))
    np.testing.assert_allclose(boxes, [[.1, .4, .3, .8]], rtol=1e-6)
    assert keep.all()


def test_rates_over_many_samples():
    seed = tf.placeholder(tf.int64, [2])
    boxes = tf.constant([[.2, .2, .8, .8]])
    sample = geometry.sample_window(boxes, RandomDraws(seed, geometry.NUM_DRAWS))
    with tf.Session() as session:
        windows, flips = zip(*(session.run(sample, {seed: [5, k]}) for k in range(600)),
                             strict=True)
    windows = np.array(windows)
    area = np.prod(windows[:, 2:] - windows[:, :2], axis=1)
    is_whole_image = (np.abs(windows - [0, 0, 1, 1]) < 1e-6).all(1)
    assert .44 < np.mean(flips) < .56
    assert .03 < is_whole_image.mean() < .16     # no zoom-out (1/2) and no crop (about 1/6)
    assert area.min() > .08 and 4 < area.max() <= 16
    extends_beyond_image = (windows[:, :2] < -1e-6).any(1) | (windows[:, 2:] > 1 + 1e-6).any(1)
    assert extends_beyond_image.mean() <= .55    # only after a zoom-out


def test_windows_without_zoom_out_are_in_the_image(evaluate):
    for k in range(20):
        draws = RandomDraws(tf.constant([0, k], tf.int64), geometry.NUM_DRAWS)
        window, _ = geometry.sample_window(
            tf.constant([[.2, .2, .8, .8]]), draws, Augmentation(zoom_out=False))
        window = evaluate(window)
        assert window.min() >= 0 and window.max() <= 1 + 1e-6
    window, flip = geometry.sample_window(
        tf.zeros([0, 4]), draws, Augmentation(False, False, False))
    assert not evaluate(flip)
    np.testing.assert_array_equal(evaluate(window), [0, 0, 1, 1])


def test_draws_are_a_function_of_the_seed(evaluate):
    first, same_seed, other_seed = evaluate([
        [draws['a'], draws['b']] for draws in (
            RandomDraws(tf.constant(seed, tf.int64), {'a': 3, 'b': 2})
            for seed in ([1, 2], [1, 2], [1, 3]))])
    np.testing.assert_array_equal(first[0], same_seed[0])
    np.testing.assert_array_equal(first[1], same_seed[1])
    assert (first[0] != other_seed[0]).all() and first[0].shape == (3,)
    assert min(first[0]) >= 0 and max(first[0]) < 1

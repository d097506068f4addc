import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from preprocessing import geometry
from preprocessing.draws import RandomDraws


class Given:
    """RandomDraws with numbers chosen by the test."""

    def __init__(self, **numbers):
        self._numbers = numbers

    def __getitem__(self, name):
        return tf.constant(self._numbers[name], tf.float32)


def test_zoom_out_by_hand(evaluate):
    # Twice the size (a third of the way from 1 to 4), a quarter of the spare room above, half of it on the left.
    canvas = evaluate(geometry.zoom_out_window(Given(zoom=[.4, 1 / 3, .25, .5])))
    np.testing.assert_allclose(canvas, [-.25, -.5, 1.75, 1.5], rtol=1e-6)
    np.testing.assert_allclose(evaluate(geometry.zoom_out_window(Given(zoom=[.5, 1 / 3, .25, .5]))), [0, 0, 1, 1])


def test_relative_to_and_within(evaluate):
    box, window = tf.constant([[0., 0., .5, 1.]]), tf.constant([-.25, -.5, 1.75, 1.5])
    seen = geometry.to_window_coordinates(box, window)
    np.testing.assert_allclose(evaluate(seen), [[.125, .25, .375, .75]])
    np.testing.assert_allclose(evaluate(geometry.to_image_coordinates(seen, window)), [[0, 0, .5, 1]], atol=1e-6)


def test_candidates_by_hand(evaluate):
    # Scale 0.65, aspect between max(.5, .65^2) and min(2, 1 / .65^2) = 2, here the middle, 1.25.
    height, width = .65 / np.sqrt(1.25), .65 * np.sqrt(1.25)
    found = evaluate(geometry.crop_candidates(tf.constant([[.5, .5, 0., 1.]])))
    np.testing.assert_allclose(found, [[0, 1 - width, height, 1]], rtol=1e-5)


def test_candidates_lie_in_the_square_within_scale_and_aspect(evaluate):
    found = evaluate(geometry.crop_candidates(tf.constant(np.random.RandomState(0).rand(5000, 4), tf.float32)))
    height, width = found[:, 2] - found[:, 0], found[:, 3] - found[:, 1]
    assert found.min() >= -1e-6 and found.max() <= 1 + 1e-6
    assert (height * width).min() >= .09 - 1e-5 and (width / height).min() >= .5 - 1e-5
    assert (width / height).max() <= 2 + 1e-5


def candidates(**where):
    """All candidates far from the box but those given: index -> crop."""
    crops = np.tile(np.float32([.9, .9, 1, 1]), (251, 1))
    for index, crop in where.items():
        crops[int(index[1:])] = crop
    return tf.constant(crops)


@pytest.mark.parametrize('choice, expected', [
    (0., [0, 0, 1, 1]),          # the whole
    (.3, [0, 0, .5, 1]),         # overlap .5 with the box: serves the minimum .1 ...
    (.6, [0, 0, .5, .6]),        # ... and this one, of .83, the minimum .7
    (.99, [.9, .9, 1, 1])])      # the free crop
def test_choice_is_uniform_over_the_crops_that_succeeded(evaluate, choice, expected):
    box = tf.constant([[0., 0., .5, .5]])
    crops = candidates(_7=[0, 0, .5, 1], _8=[0, 0, .5, .6], _160=[0, 0, .5, .6])
    found = evaluate(geometry.choose_crop(crops, box, tf.constant(choice)))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize('choice, expected', [(0., [0, 0, 1, 1]), (.49, [0, 0, 1, 1]), (.5, [.9, .9, 1, 1])])
def test_without_boxes_only_whole_and_free_crops_are_left(evaluate, choice, expected):
    found = evaluate(geometry.choose_crop(candidates(), tf.zeros([0, 4]), tf.constant(choice)))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_boxes_stay_by_their_centre_and_are_clipped(evaluate):
    window = tf.constant([0., 0., .5, .5])
    boxes = tf.constant([[.1, .1, .2, .3], [.2, .2, .7, .7], [.3, .3, .8, .8], [.4, .4, .6, .6]])
    seen, stay = evaluate(geometry.transform_boxes(boxes, window, tf.constant(False)))
    np.testing.assert_array_equal(stay, [True, True, False, True])      # a centre on the edge is inside
    np.testing.assert_allclose(seen[[0, 1, 3]], [[.2, .2, .4, .6], [.4, .4, 1, 1], [.8, .8, 1, 1]], rtol=1e-6)


def test_flip_mirrors_left_and_right(evaluate):
    seen, stay = evaluate(geometry.transform_boxes(
        tf.constant([[.1, .2, .3, .6]]), tf.constant([0., 0., 1., 1.]), tf.constant(True)))
    np.testing.assert_allclose(seen, [[.1, .4, .3, .8]], rtol=1e-6)
    assert stay.all()


def sample_many(count, boxes):
    seed = tf.placeholder(tf.int64, [2])
    window, flip = geometry.sample_window(tf.constant(boxes, tf.float32), RandomDraws(seed, geometry.NUM_DRAWS))
    with tf.Session() as session:
        return zip(*(session.run((window, flip), {seed: [5, k]}) for k in range(count)), strict=True)


def test_rates_over_many_draws():
    windows, flips = sample_many(600, [[.2, .2, .8, .8]])
    windows = np.array(windows)
    area = np.prod(windows[:, 2:] - windows[:, :2], axis=1)
    whole = (np.abs(windows - [0, 0, 1, 1]) < 1e-6).all(1)
    assert .44 < np.mean(flips) < .56
    assert .03 < whole.mean() < .16           # no zoom (1/2) and the whole of seven crops (about 1/6)
    assert area.min() > .08 and 4 < area.max() <= 16
    outside = (windows[:, :2] < -1e-6).any(1) | (windows[:, 2:] > 1 + 1e-6).any(1)
    assert outside.mean() <= .55              # only zoomed-out pictures show what is not image


def test_without_zoom_out_nothing_lies_outside(evaluate):
    for k in range(20):
        draws = RandomDraws(tf.constant([0, k], tf.int64), geometry.NUM_DRAWS)
        window = evaluate(geometry.sample_window(tf.constant([[.2, .2, .8, .8]]), draws, zoom=False)[0])
        assert window.min() >= 0 and window.max() <= 1 + 1e-6
    window, _ = geometry.sample_window(tf.zeros([0, 4]), draws, zoom=False, crop=False)
    np.testing.assert_array_equal(evaluate(window), [0, 0, 1, 1])


def test_draws_depend_on_the_seed_alone(evaluate):
    names = {'a': 3, 'b': 2}
    one, same, other = (RandomDraws(tf.constant(seed, tf.int64), names) for seed in ([1, 2], [1, 2], [1, 3]))
    one, same, other = evaluate([[draws['a'], draws['b']] for draws in (one, same, other)])
    np.testing.assert_array_equal(one[0], same[0])
    np.testing.assert_array_equal(one[1], same[1])
    assert (one[0] != other[0]).all() and one[0].shape == (3,) and min(one[0]) >= 0 and max(one[0]) < 1

"""Compare the distributions of the graph's augmentation and of `augmentation_oracle`.

The two draw from different random numbers. Rates must agree within four standard deviations, other
values within the critical Kolmogorov-Smirnov distance at 0.1%. All seeds are fixed, so the outcome
is reproducible.
"""
import functools

import augmentation_oracle as oracle
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from preprocessing import geometry
from preprocessing.draws import RandomDraws

COUNT = 4000
BOXES = {'one large box': [[.05, .1, .95, .95]],
         'small boxes': [[.1, .1, .2, .2], [.15, .6, .35, .7], [.5, .4, .6, .7], [.7, .1, .9, .3]],
         'no boxes': []}


def graph_samples(case):
    """Return `COUNT` samples of the graph with the seeds [case, 0], [case, 1], ..."""
    boxes = tf.constant(np.reshape(BOXES[case], [-1, 4]), tf.float32)

    def sample(k):
        draws = RandomDraws(tf.stack([list(BOXES).index(case), k]), geometry.NUM_DRAWS)
        window, flip = geometry.sample_window(boxes, draws)
        return (draws['zoom'][0] < .5, geometry.zoom_out_window(draws), window, flip,
                *geometry.transform_boxes(boxes, window, flip))

    with tf.Session() as session:
        dtypes = tf.bool, tf.float32, tf.float32, tf.bool, tf.float32, tf.bool
        *rest, transformed, keep = session.run(
            tf.map_fn(sample, tf.range(COUNT), fn_output_signature=dtypes))
    return oracle.Samples(*rest, [sample_boxes[mask] for sample_boxes, mask
                                  in zip(transformed, keep, strict=True)])


@functools.cache
def oracle_samples(case):
    """Return `COUNT` samples of the oracle."""
    random = np.random.RandomState(list(BOXES).index(case))
    *rest, boxes = zip(*(oracle.sample(BOXES[case], random) for _ in range(COUNT)), strict=True)
    return oracle.Samples(*map(np.array, rest), boxes)


def statistics(samples, boxes):
    """Return the values to compare: name -> [n], bool for rates, otherwise float.

    There is one value per sample, so that they are independent. The Kolmogorov-Smirnov distance is
    insensitive to the tails, so the smallest crops and the overlaps of 0.9 are compared as rates.
    """
    top, left = samples.window[:, :2].T
    height, width = (samples.window[:, 2:] - samples.window[:, :2]).T
    canvas_area = np.prod(samples.canvas[:, 2:] - samples.canvas[:, :2], axis=1)
    cropped = np.abs(samples.window - samples.canvas).max(axis=1) > 1e-5
    crop_area = (height * width / canvas_area)[cropped]
    num_boxes = np.array([len(boxes_of_sample) for boxes_of_sample in samples.boxes])
    nonempty = [boxes_of_sample for boxes_of_sample in samples.boxes if len(boxes_of_sample)]
    overlap = np.array([max((oracle.iou(window, box) for box in boxes), default=0.)
                        for window in samples.window[cropped].tolist()])
    return {
        'zoomed': samples.zoomed, 'canvas area': canvas_area[samples.zoomed],
        'flipped': samples.flip, 'zoomed and flipped': samples.zoomed & samples.flip,
        'canvas area of flipped': canvas_area[samples.zoomed & samples.flip],
        'whole image': ~cropped & ~samples.zoomed, 'whole canvas': ~cropped & samples.zoomed,
        'crop area': crop_area, 'crop aspect': (width / height)[cropped],
        'largest overlap': overlap,
        'crop below an eighth': crop_area < 1 / 8, 'overlap of 0.9': overlap >= .9,
        'window area': height * width, 'window top': top, 'window left': left,
        'window top minus left': top - left,
        'number of boxes': num_boxes.astype(float), 'without boxes': num_boxes == 0,
        'box area': np.array([np.prod(boxes_of_sample[:, 2:] - boxes_of_sample[:, :2], axis=1).sum()
                              for boxes_of_sample in nonempty]),
        'box center y': np.array([boxes_of_sample[:, ::2].mean() for boxes_of_sample in nonempty]),
        'box center x': np.array([boxes_of_sample[:, 1::2].mean() for boxes_of_sample in nonempty])}


def rate_difference(a, b):
    """Return the difference of two rates, bool [n] and [m], and four standard deviations."""
    rate = np.concatenate([a, b]).mean()
    return abs(a.mean() - b.mean()), 4 * np.sqrt(rate * (1 - rate) * (1 / len(a) + 1 / len(b)))


def kolmogorov_smirnov(a, b):
    """Return the Kolmogorov-Smirnov distance of [n] and [m], and its critical value at 0.1%."""
    # Windows of the whole image make ties. Rounding keeps float32 on one side from breaking them.
    a, b = (np.sort(np.round(values.astype(np.float64), 4)) for values in (a, b))
    points = np.concatenate([a, b])
    below = [np.searchsorted(values, points, side='right') / len(values) for values in (a, b)]
    return np.abs(below[0] - below[1]).max(), 1.95 * np.sqrt((len(a) + len(b)) / (len(a) * len(b)))


def differing_statistics(case):
    """Return the statistics whose difference exceeds its bound: name -> (difference, bound)."""
    ours, theirs = (statistics(samples(case), BOXES[case])
                    for samples in (graph_samples, oracle_samples))
    differences = {
        name: (rate_difference if ours[name].dtype == bool else kolmogorov_smirnov)(
            ours[name], theirs[name])
        for name in ours if len(ours[name]) and len(theirs[name])}
    return {name: (difference, bound)
            for name, (difference, bound) in differences.items() if difference > bound}


def test_distances_and_bounds():
    a, b = np.array([1., 2., 2., 4.]), np.array([2., 3.])
    # At 1: 1/4 and 0; at 2: 3/4 and 1/2.
    assert kolmogorov_smirnov(a, b) == (.25, 1.95 * np.sqrt(6 / 8))
    np.testing.assert_allclose(rate_difference(np.array([True, False]), np.array([True] * 2)),
                               (.5, 4 * np.sqrt(.75 * .25)))


@pytest.mark.parametrize('case', BOXES)
def test_graph_and_oracle_have_the_same_distributions(case):
    assert not differing_statistics(case)


@pytest.mark.parametrize('constant, value, case, statistic', [
    ('MAX_ZOOM_OUT', 3., 'no boxes', 'canvas area'),
    ('MIN_SCALE', .35, 'no boxes', 'crop below an eighth'),
    ('MAX_ASPECT', 1.7, 'no boxes', 'crop aspect'),
    ('MIN_OVERLAPS', (.1, .3, .5, .7, .8), 'one large box', 'overlap of 0.9')])
def test_wrong_constant_is_detected(monkeypatch, constant, value, case, statistic):
    monkeypatch.setattr(geometry, constant, value)
    assert statistic in differing_statistics(case)

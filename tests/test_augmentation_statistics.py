"""The graph's augmentation against `augmentation_oracle`: the same distributions, from different random numbers.

Everything is seeded, so the outcome repeats. Compared are rates, within four standard deviations, and distributions,
by the Kolmogorov-Smirnov distance within its critical value at 0.1%.
"""
import functools

import augmentation_oracle as oracle
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from preprocessing import geometry
from preprocessing.draws import RandomDraws

COUNT = 4000
TRUTHS = {'one large box': [[.05, .1, .95, .95]],
          'small boxes': [[.1, .1, .2, .2], [.15, .6, .35, .7], [.5, .4, .6, .7], [.7, .1, .9, .3]],
          'no boxes': []}


def from_graph(case):
    """`COUNT` samples of the graph code, with the seeds [case, 0], [case, 1], ..."""
    truths = tf.constant(np.reshape(TRUTHS[case], [-1, 4]), tf.float32)

    def one(k):
        draws = RandomDraws(tf.stack([list(TRUTHS).index(case), k]), geometry.NUM_DRAWS)
        window, flip = geometry.sample_window(truths, draws)
        return (draws['zoom'][0] < .5, geometry.zoom_out_window(draws), window, flip,
                *geometry.transform_boxes(truths, window, flip))

    with tf.Session() as session:
        *rest, boxes, stay = session.run(tf.map_fn(one, tf.range(COUNT), fn_output_signature=(
            tf.bool, tf.float32, tf.float32, tf.bool, tf.float32, tf.bool)))
    return oracle.Sample(*rest, [seen[left] for seen, left in zip(boxes, stay, strict=True)])


@functools.cache
def from_oracle(case):
    """`COUNT` samples of the oracle."""
    random = np.random.RandomState(list(TRUTHS).index(case))
    *rest, boxes = zip(*(oracle.draw(TRUTHS[case], random) for _ in range(COUNT)), strict=True)
    return oracle.Sample(*map(np.array, rest), boxes)


def observe(sample, truths):
    """name -> [n]: bool where a rate is compared, otherwise float.

    One number per draw, so that they are independent. A distance of distributions is blind to their ends, where the
    smallest crops and the overlaps of .9 lie: those are rates.
    """
    top, left = sample.window[:, :2].T
    height, width = (sample.window[:, 2:] - sample.window[:, :2]).T
    canvas_area = np.prod(sample.canvas[:, 2:] - sample.canvas[:, :2], axis=1)
    cropped = np.abs(sample.window - sample.canvas).max(axis=1) > 1e-5
    share = (height * width / canvas_area)[cropped]
    count = np.array([len(boxes) for boxes in sample.boxes])
    kept = [boxes for boxes in sample.boxes if len(boxes)]
    overlap = np.array([max((oracle.jaccard(window, truth) for truth in truths), default=0.)
                        for window in sample.window[cropped].tolist()])
    return {'zoomed': sample.zoomed, 'canvas area': canvas_area[sample.zoomed],
            'flipped': sample.flip, 'zoomed and flipped': sample.zoomed & sample.flip,
            'canvas area of flipped': canvas_area[sample.zoomed & sample.flip],
            'whole image': ~cropped & ~sample.zoomed, 'whole canvas': ~cropped & sample.zoomed,
            'crop share': share, 'crop aspect': (width / height)[cropped], 'largest overlap': overlap,
            'crop of less than an eighth': share < 1 / 8, 'overlap of .9': overlap >= .9,
            'window area': height * width, 'window top': top, 'window left': left, 'window top less left': top - left,
            'boxes': count.astype(float), 'without boxes': count == 0,
            'box area': np.array([np.prod(boxes[:, 2:] - boxes[:, :2], axis=1).sum() for boxes in kept]),
            'box centre y': np.array([boxes[:, ::2].mean() for boxes in kept]),
            'box centre x': np.array([boxes[:, 1::2].mean() for boxes in kept])}


def rate_difference(a, b):
    """Difference of the rates of bool [n] and [m], and four of its standard deviations."""
    rate = np.concatenate([a, b]).mean()
    return abs(a.mean() - b.mean()), 4 * np.sqrt(rate * (1 - rate) * (1 / len(a) + 1 / len(b)))


def kolmogorov_smirnov(a, b):
    """Largest difference of the distribution functions of [n] and [m], and its critical value at 0.1%."""
    # Whole windows make ties, which float32 on one side must not break.
    a, b = (np.sort(np.round(values.astype(np.float64), 4)) for values in (a, b))
    at = np.concatenate([a, b])
    below = [np.searchsorted(values, at, side='right') / len(values) for values in (a, b)]
    return np.abs(below[0] - below[1]).max(), 1.95 * np.sqrt((len(a) + len(b)) / (len(a) * len(b)))


def compare(case):
    """name -> (difference, bound) of all that can be observed in both."""
    ours, theirs = (observe(samples(case), TRUTHS[case]) for samples in (from_graph, from_oracle))
    return {name: (rate_difference if ours[name].dtype == bool else kolmogorov_smirnov)(ours[name], theirs[name])
            for name in ours if len(ours[name]) and len(theirs[name])}


def beyond(differences):
    """What of `compare` exceeds its bound."""
    return {name: pair for name, pair in differences.items() if pair[0] > pair[1]}


def test_distance_by_hand():
    a, b = np.array([1., 2., 2., 4.]), np.array([2., 3.])
    assert kolmogorov_smirnov(a, b) == (.25, 1.95 * np.sqrt(6 / 8))       # at 1 and at 2: 1/4 to 0, 3/4 to 1/2
    np.testing.assert_allclose(rate_difference(np.array([True, False]), np.array([True] * 2)),
                               (.5, 4 * np.sqrt(.75 * .25)))


@pytest.mark.parametrize('case', TRUTHS)
def test_graph_and_oracle_draw_from_the_same_distributions(case):
    assert not beyond(compare(case))


@pytest.mark.parametrize('constant, wrong, case, noticed', [
    ('MAX_ZOOM_OUT', 3., 'no boxes', 'canvas area'),
    ('MIN_SCALE', .35, 'no boxes', 'crop of less than an eighth'),
    ('MAX_ASPECT', 1.7, 'no boxes', 'crop aspect'),
    ('MIN_OVERLAPS', (.1, .3, .5, .7, .8), 'one large box', 'overlap of .9')])
def test_a_wrong_constant_is_noticed(monkeypatch, constant, wrong, case, noticed):
    monkeypatch.setattr(geometry, constant, wrong)
    assert noticed in beyond(compare(case))

import numpy as np
import oracle
import pytest
import tensorflow.compat.v1 as tf

from nets import losses


def test_smooth_l1(evaluate):
    np.testing.assert_allclose(evaluate(losses.smooth_l1(tf.constant([0., .5, -.5, 1., -3.]))),
                               [0, .125, .125, .5, 2.5])


def select_negatives(evaluate, values, negatives, count):
    return evaluate(losses.hard_negatives(
        tf.constant(values, tf.float32), tf.constant(negatives), tf.constant(count)))


def test_hard_negatives_have_the_largest_losses(evaluate):
    selected = select_negatives(
        evaluate, [[.1, .9, .5, .7], [.3, .2, .1, .4]], [[True] * 4] * 2, [2, 1])
    np.testing.assert_array_equal(selected, [[0, 1, 0, 1], [0, 0, 0, 1]])


def test_hard_negatives_of_equal_losses_have_the_exact_count(evaluate):
    selected = select_negatives(
        evaluate, [[.5] * 5, [.5, .9, .5, .5, .5]], [[True] * 5] * 2, [3, 3])
    np.testing.assert_array_equal(selected, [[1, 1, 1, 0, 0], [1, 1, 1, 0, 0]])


def test_hard_negatives_exclude_positives_and_are_limited_to_the_negatives(evaluate):
    selected = select_negatives(evaluate, [[.9, .8, 0., 0.]], [[False, True, True, False]], [9])
    np.testing.assert_array_equal(selected, [[0, 1, 1, 0]])


def test_no_hard_negatives_if_the_count_or_the_candidates_are_zero(evaluate):
    assert not select_negatives(evaluate, [[.9, .8]], [[True, True]], [0]).any()
    assert not select_negatives(evaluate, [[.9, .8]], [[False, False]], [6]).any()


def compute_losses(evaluate, predictions, targets, normalizer=1., **options):
    """Return the `Losses` of (logits, offsets) and (labels, target offsets), all arrays."""
    (logits, offsets), (labels, target_offsets) = predictions, targets
    return evaluate(losses.ssd_losses(
        tf.constant(logits, tf.float32), tf.constant(offsets, tf.float32),
        tf.constant(labels, tf.int32), tf.constant(target_offsets, tf.float32),
        tf.constant(normalizer, tf.float32), losses.LossOptions(**options)))


# Two classes and five anchors with equal logits: the cross-entropy of each anchor is log 2.
PREDICTIONS = np.zeros([1, 5, 2]), np.ones([1, 5, 4])
TARGETS = [[0, 1, 0, 0, 0]], np.full([1, 5, 4], .5)


def test_losses_of_one_match_and_three_negatives(evaluate):
    parts = compute_losses(evaluate, PREDICTIONS, TARGETS, normalizer=2.)
    assert parts.confidence == pytest.approx(4 * np.log(2) / 2)
    assert parts.localization == pytest.approx(4 * .125 / 2)


def test_negative_ratio_and_alpha(evaluate):
    parts = compute_losses(evaluate, PREDICTIONS, TARGETS, negative_ratio=1., alpha=3.)
    assert parts.confidence == pytest.approx(2 * np.log(2))
    assert parts.localization == pytest.approx(3 * 4 * .125)


def test_losses_without_boxes_are_zero(evaluate):
    predictions = np.random.RandomState(0).randn(2, 5, 3), np.ones([2, 5, 4])
    assert compute_losses(evaluate, predictions, (np.zeros([2, 5]), np.zeros([2, 5, 4]))) == (0, 0)


@pytest.mark.parametrize('label, minimum, expected', [
    (0, 2, 2), (0, 9, 5),   # no matched anchor: two negatives, or all five
    (1, 2, 1 + 3), (1, 4, 1 + 4)])   # one matched anchor with three negatives, or four
def test_minimum_number_of_negatives(evaluate, label, minimum, expected):
    parts = compute_losses(evaluate, PREDICTIONS, ([[0, label, 0, 0, 0]], np.ones([1, 5, 4])),
                           min_negatives_per_image=minimum)
    assert parts.confidence == pytest.approx(expected * np.log(2))
    assert parts.localization == 0


def test_label_smoothing(evaluate):
    # One match of class 1 of 2 with smoothing 0.2: the targets are (0.1, 0.9), and the log softmax
    # of (0, log 3) is (-log 4, log 0.75).
    parts = compute_losses(evaluate, ([[[0, np.log(3)]]], np.zeros([1, 1, 4])),
                           ([[1]], np.zeros([1, 1, 4])), label_smoothing=.2)
    assert parts.confidence == pytest.approx(.1 * np.log(4) - .9 * np.log(.75))


def test_only_matched_anchors_and_hard_negatives_have_gradients(evaluate):
    logits = tf.Variable(np.float32([[[0, 0], [0, 0], [0, 3], [0, 2], [0, 1], [5, 0]]]))
    parts = losses.ssd_losses(logits, tf.zeros([1, 6, 4]), tf.constant([[1, 0, 0, 0, 0, 0]]),
                              tf.zeros([1, 6, 4]), tf.constant(1.))
    gradient = evaluate(tf.gradients(parts.confidence, logits)[0])
    np.testing.assert_array_equal(np.abs(gradient[0]).sum(-1) > 0, [1, 0, 1, 1, 1, 0])


@pytest.mark.parametrize('options', [
    losses.LossOptions(), losses.LossOptions(2.5, .5), losses.LossOptions(1000., 2.)])
def test_losses_equal_the_oracle(options):
    rng = np.random.RandomState(2)
    feeds = [tf.placeholder(dtype, shape) for dtype, shape in (
        (tf.float32, [None, None, 5]), (tf.float32, [None, None, 4]), (tf.int32, [None, None]),
        (tf.float32, [None, None, 4]), (tf.float32, []))]
    parts = losses.ssd_losses(*feeds, options)
    with tf.Session() as session:
        for case in range(100):
            shape = rng.randint(1, 4), rng.randint(1, 40)
            labels = rng.randint(1, 5, shape) * (rng.rand(*shape) < rng.choice([0, .1, .5, 1]))
            logits = rng.randn(*shape, 5) * (10 if case % 3 == 0 else 1)
            if case % 4 == 0:
                logits = np.round(logits)           # ties
            offsets, targets = rng.randn(2, *shape, 4) * 2
            normalizer = max(1., (labels > 0).sum())
            values = (np.float32(logits), np.float32(offsets), labels, np.float32(targets),
                      normalizer)
            result = session.run(parts, dict(zip(feeds, values, strict=True)))
            expected = oracle.ssd_loss(logits, offsets, labels, targets, normalizer, options)
            np.testing.assert_allclose(result, expected, rtol=2e-4, atol=1e-5)

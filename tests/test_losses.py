import numpy as np
import oracle
import pytest
import tensorflow.compat.v1 as tf

from nets import losses


def test_smooth_l1_by_hand(evaluate):
    np.testing.assert_allclose(evaluate(losses.smooth_l1(tf.constant([0., .5, -.5, 1., -3.]))),
                               [0, .125, .125, .5, 2.5])


def mine(evaluate, values, negatives, count):
    return evaluate(losses.hard_negatives(tf.constant(values, tf.float32), tf.constant(negatives),
                                          tf.constant(count)))


def test_mining_takes_the_largest_exactly(evaluate):
    found = mine(evaluate, [[.1, .9, .5, .7], [.3, .2, .1, .4]], [[True] * 4] * 2, [2, 1])
    np.testing.assert_array_equal(found, [[0, 1, 0, 1], [0, 0, 0, 1]])


def test_mining_of_equal_losses_takes_exactly_that_many(evaluate):
    found = mine(evaluate, [[.5] * 5, [.5, .9, .5, .5, .5]], [[True] * 5] * 2, [3, 3])
    np.testing.assert_array_equal(found, [[1, 1, 1, 0, 0], [1, 1, 1, 0, 0]])


def test_mining_leaves_positives_and_stops_at_the_number_of_negatives(evaluate):
    found = mine(evaluate, [[.9, .8, 0., 0.]], [[False, True, True, False]], [9])
    np.testing.assert_array_equal(found, [[0, 1, 1, 0]])


def test_mining_of_nothing(evaluate):
    assert not mine(evaluate, [[.9, .8]], [[True, True]], [0]).any()
    assert not mine(evaluate, [[.9, .8]], [[False, False]], [6]).any()


def run(evaluate, logits, offsets, labels, targets, normalizer=1., **options):
    return evaluate(losses.ssd_losses(
        tf.constant(logits, tf.float32), tf.constant(offsets, tf.float32), tf.constant(labels, tf.int32),
        tf.constant(targets, tf.float32), tf.constant(normalizer, tf.float32),
        losses.LossOptions(**options)))


def test_by_hand(evaluate):
    # Two classes, five anchors, even logits: every anchor's cross-entropy is log 2. One match, three mined.
    found = run(evaluate, np.zeros([1, 5, 2]), np.ones([1, 5, 4]), [[0, 1, 0, 0, 0]],
                np.full([1, 5, 4], .5), normalizer=2.)
    assert found.confidence == pytest.approx(4 * np.log(2) / 2)
    assert found.localization == pytest.approx(4 * .125 / 2)


def test_a_picture_without_boxes_has_no_loss_and_no_nan(evaluate):
    found = run(evaluate, np.random.RandomState(0).randn(2, 5, 3), np.ones([2, 5, 4]),
                np.zeros([2, 5]), np.zeros([2, 5, 4]))
    assert found == (0, 0)


def test_alpha_and_ratio(evaluate):
    found = run(evaluate, np.zeros([1, 5, 2]), np.ones([1, 5, 4]), [[0, 1, 0, 0, 0]],
                np.full([1, 5, 4], .5), negative_ratio=1., alpha=3.)
    assert found.confidence == pytest.approx(2 * np.log(2))
    assert found.localization == pytest.approx(3 * 4 * .125)


def test_label_smoothing_by_hand(evaluate):
    # One match of class 1 of 2 with smoothing .2: targets (.1, .9), log softmax of (0, log 3): (-log 4, log .75).
    found = run(evaluate, [[[0, np.log(3)]]], np.zeros([1, 1, 4]), [[1]], np.zeros([1, 1, 4]),
                label_smoothing=.2)
    assert found.confidence == pytest.approx(.1 * np.log(4) - .9 * np.log(.75))


def test_gradient_reaches_only_matched_and_mined_anchors(evaluate):
    logits = tf.Variable(np.float32([[[0, 0], [0, 0], [0, 3], [0, 2], [0, 1], [5, 0]]]))
    parts = losses.ssd_losses(logits, tf.zeros([1, 6, 4]), tf.constant([[1, 0, 0, 0, 0, 0]]),
                              tf.zeros([1, 6, 4]), tf.constant(1.))
    gradient = evaluate(tf.gradients(parts.confidence, logits)[0])
    np.testing.assert_array_equal(np.abs(gradient[0]).sum(-1) > 0, [1, 0, 1, 1, 1, 0])


@pytest.mark.parametrize('ratio, alpha', [(3., 1.), (2.5, .5), (1000., 2.)])
def test_against_the_oracle(ratio, alpha):
    rng = np.random.RandomState(2)
    feeds = [tf.placeholder(tf.float32, [None, None, 5]), tf.placeholder(tf.float32, [None, None, 4]),
             tf.placeholder(tf.int32, [None, None]), tf.placeholder(tf.float32, [None, None, 4]),
             tf.placeholder(tf.float32, [])]
    parts = losses.ssd_losses(*feeds, losses.LossOptions(ratio, alpha))
    with tf.Session() as session:
        for case in range(100):
            batch, anchors = rng.randint(1, 4), rng.randint(1, 40)
            labels = rng.randint(1, 5, [batch, anchors]) * (rng.rand(batch, anchors) < rng.choice([0, .1, .5, 1]))
            logits = rng.randn(batch, anchors, 5) * (10 if case % 3 == 0 else 1)
            if case % 4 == 0:
                logits = np.round(logits)           # ties
            offsets, targets = rng.randn(2, batch, anchors, 4) * 2
            normalizer = max(1., (labels > 0).sum())
            values = (np.float32(logits), np.float32(offsets), labels, np.float32(targets), normalizer)
            found = session.run(parts, dict(zip(feeds, values, strict=True)))
            expected = oracle.ssd_loss(logits, offsets, labels, targets, normalizer, ratio, alpha)
            np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-5)

import numpy as np
import oracle
import pytest
import tensorflow.compat.v1 as tf

from nets import post_processing
from nets.post_processing import PostProcessingOptions

VARIANCES = (.1, .1, .2, .2)
# With offsets of zero, the boxes are these anchors: two with IoU 0.8 and one elsewhere.
ANCHORS = np.float32([[.25, .25, .5, .5], [.25, .30555555, .5, .5], [.8, .8, .2, .2]])
ALMOST_ZERO = .000001   # a probability below every threshold


def detect(evaluate, probabilities, **options):
    """Return the `Detections` of probabilities [B, 3, C] and offsets of zero."""
    return evaluate(post_processing.detect(
        tf.math.log(np.float32(probabilities)), tf.zeros([len(probabilities), 3, 4]), ANCHORS,
        VARIANCES, PostProcessingOptions(**options)))


def test_overlapping_boxes_of_a_class_are_suppressed(evaluate):
    detections = detect(evaluate, [[[.1, .9, ALMOST_ZERO], [.3, .7, ALMOST_ZERO],
                                    [.5, .5, ALMOST_ZERO]]])
    assert detections.count.tolist() == [2]
    np.testing.assert_allclose(detections.scores[0, :3], [.9, .5, 0], rtol=1e-4)
    np.testing.assert_array_equal(detections.labels[0, :3], [1, 1, 0])
    np.testing.assert_allclose(detections.boxes[0, 0], [0, 0, .5, .5], atol=1e-6)


def test_classes_do_not_suppress_each_other(evaluate):
    detections = detect(evaluate, [[[.1, .9, ALMOST_ZERO], [.3, ALMOST_ZERO, .7],
                                    [.998, .001, .001]]])
    np.testing.assert_array_equal(detections.labels[0, :2], [1, 2])
    assert detections.count.tolist() == [2]          # the third box scores below 0.01


def test_limits_apply_to_each_image_of_a_batch(evaluate):
    image = [[.1, .9, ALMOST_ZERO], [.3, ALMOST_ZERO, .7], [.5, .5, ALMOST_ZERO]]
    background = [[1 - 2 * ALMOST_ZERO, ALMOST_ZERO, ALMOST_ZERO]] * 3
    detections = detect(evaluate, [image, background], keep_top_k=1)
    assert detections.count.tolist() == [1, 0]
    assert detections.boxes.shape == (2, 1, 4)
    np.testing.assert_array_equal(detections.labels, [[1], [0]])
    detections = detect(evaluate, [image], select_top_k=1)      # one candidate per class
    assert detections.count.tolist() == [2]


def test_boxes_are_clipped_to_the_image(evaluate):
    logits, offsets = tf.constant([[[0., 9.]]]), tf.constant([[[0., 0., 9., 9.]]])
    detections = evaluate(post_processing.detect(logits, offsets, ANCHORS[:1], VARIANCES))
    np.testing.assert_array_equal(detections.boxes[0, 0], [0, 0, 1, 1])


def check_equals_oracle(evaluate, logits, offsets, anchors, **options):
    """Assert that detections equal the oracle's, scores and labels bit by bit; return them."""
    options = PostProcessingOptions(**options)
    logits = tf.constant(np.float32(logits))
    scores, detections = evaluate([tf.nn.softmax(logits), post_processing.detect(
        logits, tf.constant(np.float32(offsets)), anchors, VARIANCES, options)])
    for image, count in enumerate(detections.count):
        expected = oracle.detect(scores[image], offsets[image], anchors, VARIANCES, options)
        assert count == len(expected)
        for name, values in zip(('boxes', 'scores', 'labels'), zip(*expected, strict=True),
                                strict=False):
            np.testing.assert_allclose(getattr(detections, name)[image, :count], values,
                                       atol=1e-6 * (name == 'boxes'), rtol=0)
        padding = (field[image, count:]
                   for field in (detections.boxes, detections.scores, detections.labels))
        assert not any(values.any() for values in padding)
    return detections


def random_predictions(num_images, num_anchors, num_classes, spread=2.):
    """Return random logits with a standard deviation of `spread`, offsets and anchors."""
    rng = np.random.RandomState(0)
    anchors = np.concatenate([rng.uniform(.1, .9, [num_anchors, 2]),
                              rng.uniform(.1, .5, [num_anchors, 2])], 1)
    return (rng.normal(0, spread, [num_images, num_anchors, num_classes]),
            rng.normal(0, 1, [num_images, num_anchors, 4]), np.float32(anchors))


@pytest.mark.parametrize('options', [
    {}, {'select_top_k': 7}, {'keep_top_k': 5}, {'select_top_k': 3, 'keep_top_k': 200},
    {'nms_threshold': 0.}, {'nms_threshold': 1.}, {'select_threshold': .5},
    {'select_threshold': 0.}, {'select_threshold': .9999}])
@pytest.mark.parametrize('num_classes', [2, 5])
def test_detections_equal_the_oracle(evaluate, num_classes, options):
    check_equals_oracle(evaluate, *random_predictions(3, 60, num_classes), **options)


# An untrained net, which scores all boxes above 0.01, and a confident one.
@pytest.mark.parametrize('spread', [.1, 6.])
def test_detections_of_many_anchors_equal_the_oracle(evaluate, spread):
    detections = check_equals_oracle(evaluate, *random_predictions(2, 900, 4, spread))
    assert (detections.count > 50).all()


@pytest.mark.parametrize('options, labels', [
    ({}, [1, 1, 2, 2]), ({'keep_top_k': 2}, [1, 1]), ({'select_top_k': 2}, [1, 2])])
def test_equal_scores_are_ordered_by_label_then_anchor(evaluate, options, labels):
    anchors = np.float32(
        [[.5, .2, .2, .2], [.5, .25, .2, .2], [.5, .75, .2, .2], [.5, .7, .2, .2]] * 3)
    detections = check_equals_oracle(evaluate, [[[0., 2., 2.]] * 12], np.zeros([1, 12, 4]), anchors,
                                     **options)
    assert detections.labels[0, :detections.count[0]].tolist() == labels
    # The box of the first anchor, not the second.
    np.testing.assert_allclose(detections.boxes[0, 0], [.4, .1, .6, .3], atol=1e-6)


@pytest.mark.parametrize('threshold, count', [(.5, 2), (.49999, 1)])
def test_overlap_equal_to_the_threshold_does_not_suppress(evaluate, threshold, count):
    anchors = np.float32([[.5, .5, 1, 1], [.25, .5, .5, 1]])   # IoU is exactly 1/2
    detections = check_equals_oracle(evaluate, [[[0., 2.], [0., 1.]]], np.zeros([1, 2, 4]), anchors,
                                     nms_threshold=threshold)
    assert detections.count.tolist() == [count]


def test_boxes_are_suppressed_before_they_are_clipped(evaluate):
    # Wide boxes that differ only outside the image: their IoU is 1/3, after clipping 1.
    anchors = np.float32([[.5, 0., .5, 2.], [.5, 1., .5, 2.]])
    detections = check_equals_oracle(evaluate, [[[0., 2.], [0., 1.]]], np.zeros([1, 2, 4]), anchors)
    assert detections.count.tolist() == [2]
    np.testing.assert_array_equal(detections.boxes[0, 0], detections.boxes[0, 1])


def test_empty_batch(evaluate):
    detections = evaluate(post_processing.detect(
        tf.zeros([0, 3, 3]), tf.zeros([0, 3, 4]), ANCHORS, VARIANCES))
    assert detections.boxes.shape == (0, 6, 4) and detections.count.shape == (0,)


def test_nan_logits_give_no_detections(evaluate):
    logits = tf.fill([1, 3, 3], np.float32('nan'))
    detections = evaluate(post_processing.detect(
        logits, tf.zeros([1, 3, 4]), ANCHORS, VARIANCES))
    assert detections.count.tolist() == [0]


def test_select_classes_merges_the_others_into_the_background(evaluate):
    logits = tf.math.log([[[.1, .2, .3, .4]]])
    scores = evaluate(tf.nn.softmax(post_processing.select_classes(logits, [1, 3])))
    np.testing.assert_allclose(scores, [[[.1 + .3, .2, .4]]], rtol=1e-6)

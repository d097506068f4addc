import numpy as np
import oracle
import pytest
import tensorflow.compat.v1 as tf

from nets import post_processing

VARIANCES = (.1, .1, .2, .2)
# Anchors that are the boxes themselves (offsets zero): two that overlap by 0.8, one apart.
ANCHORS = np.float32([[.25, .25, .5, .5], [.25, .30555555, .5, .5], [.8, .8, .2, .2]])


def detect(evaluate, probabilities, **options):
    logits = tf.constant(np.log(np.float32(probabilities)))
    return evaluate(post_processing.detect(
        logits, tf.zeros([len(probabilities), 3, 4]), ANCHORS, VARIANCES,
        post_processing.PostProcessingOptions(**options)))


def test_overlapping_boxes_of_one_class_leave_the_best(evaluate):
    found = detect(evaluate, [[[.1, .9, .000001], [.3, .7, .000001], [.5, .5, .000001]]])
    assert found.count.tolist() == [2]
    np.testing.assert_allclose(found.scores[0, :3], [.9, .5, 0], rtol=1e-4)
    np.testing.assert_array_equal(found.labels[0, :3], [1, 1, 0])
    np.testing.assert_allclose(found.boxes[0, 0], [0, 0, .5, .5], atol=1e-6)


def test_classes_do_not_suppress_each_other(evaluate):
    found = detect(evaluate, [[[.1, .9, .000001], [.3, .000001, .7], [.998, .001, .001]]])
    np.testing.assert_array_equal(found.labels[0, :2], [1, 2])
    assert found.count.tolist() == [2]          # the third scores below 0.01


def test_limits_and_batches(evaluate):
    picture = [[.1, .9, .000001], [.3, .000001, .7], [.5, .5, .000001]]
    nothing = [[.999998, .000001, .000001]] * 3
    found = detect(evaluate, [picture, nothing], keep_top_k=1)
    assert found.count.tolist() == [1, 0]
    assert found.boxes.shape == (2, 1, 4)
    np.testing.assert_array_equal(found.labels, [[1], [0]])
    found = detect(evaluate, [picture], select_top_k=1)      # one candidate of each class
    assert found.count.tolist() == [2]


def test_boxes_end_at_the_image(evaluate):
    logits, offsets = tf.constant([[[0., 9.]]]), tf.constant([[[0., 0., 9., 9.]]])
    found = evaluate(post_processing.detect(logits, offsets, ANCHORS[:1], VARIANCES))
    np.testing.assert_array_equal(found.boxes[0, 0], [0, 0, 1, 1])


OPTIONS = {'select_threshold': .01, 'select_top_k': 400, 'nms_threshold': .45, 'keep_top_k': 200}


def assert_as_the_oracle(evaluate, logits, offsets, anchors, **options):
    """Each picture of a batch beside the plain NumPy, bits of scores and labels included."""
    options = {**OPTIONS, **options}
    logits = tf.constant(np.float32(logits))
    scores, found = evaluate([tf.nn.softmax(logits), post_processing.detect(
        logits, tf.constant(np.float32(offsets)), anchors, VARIANCES,
        post_processing.PostProcessingOptions(**options))])
    for picture, count in enumerate(found.count):
        expected = oracle.detect(scores[picture], offsets[picture], anchors, VARIANCES, **options)
        assert count == len(expected)
        for name, values in zip(('boxes', 'scores', 'labels'), zip(*expected, strict=True), strict=False):
            np.testing.assert_allclose(getattr(found, name)[picture, :count], values, atol=1e-6 * (name == 'boxes'),
                                       rtol=0)
        assert not any(field[picture, count:].any() for field in (found.boxes, found.scores, found.labels))
    return found


def random_net(pictures, num_anchors, num_classes, spread=2.):
    rng = np.random.RandomState(0)
    anchors = np.concatenate([rng.uniform(.1, .9, [num_anchors, 2]), rng.uniform(.1, .5, [num_anchors, 2])], 1)
    return (rng.normal(0, spread, [pictures, num_anchors, num_classes]), rng.normal(0, 1, [pictures, num_anchors, 4]),
            np.float32(anchors))


@pytest.mark.parametrize('options', [
    {}, {'select_top_k': 7}, {'keep_top_k': 5}, {'select_top_k': 3, 'keep_top_k': 200}, {'nms_threshold': 0.},
    {'nms_threshold': 1.}, {'select_threshold': .5}, {'select_threshold': 0.}, {'select_threshold': .9999}])
@pytest.mark.parametrize('num_classes', [2, 5])
def test_as_plain_numpy(evaluate, num_classes, options):
    assert_as_the_oracle(evaluate, *random_net(3, 60, num_classes), **options)


@pytest.mark.parametrize('spread', [.1, 6.])   # an untrained net: all of it above 0.01; a sure one
def test_as_plain_numpy_with_the_papers_settings(evaluate, spread):
    found = assert_as_the_oracle(evaluate, *random_net(2, 900, 4, spread))
    assert (found.count > 50).all()


@pytest.mark.parametrize('options', [{}, {'keep_top_k': 2}, {'select_top_k': 2}])
def test_of_equal_scores_the_lower_label_is_first_then_the_earlier_anchor(evaluate, options):
    anchors = np.float32([[.5, .2, .2, .2], [.5, .25, .2, .2], [.5, .75, .2, .2], [.5, .7, .2, .2]] * 3)
    found = assert_as_the_oracle(evaluate, [[[0., 2., 2.]] * 12], np.zeros([1, 12, 4]), anchors, **options)
    keep = {'keep_top_k': [1, 1], 'select_top_k': [1, 2]}.get(next(iter(options), ''), [1, 1, 2, 2])
    assert found.labels[0, :found.count[0]].tolist() == keep
    np.testing.assert_allclose(found.boxes[0, 0], [.4, .1, .6, .3], atol=1e-6)   # of the first anchor, not the second


@pytest.mark.parametrize('threshold, count', [(.5, 2), (.49999, 1)])
def test_only_an_overlap_above_the_threshold_suppresses(evaluate, threshold, count):
    anchors = np.float32([[.5, .5, 1, 1], [.25, .5, .5, 1]])   # they overlap by 1/2, exactly
    found = assert_as_the_oracle(evaluate, [[[0., 2.], [0., 1.]]], np.zeros([1, 2, 4]), anchors,
                                 nms_threshold=threshold)
    assert found.count.tolist() == [count]


def test_boxes_are_held_together_before_they_are_cut(evaluate):
    # Wide boxes that differ outside of the image alone: whole they overlap by 1/3, cut to it by 1.
    anchors = np.float32([[.5, 0., .5, 2.], [.5, 1., .5, 2.]])
    found = assert_as_the_oracle(evaluate, [[[0., 2.], [0., 1.]]], np.zeros([1, 2, 4]), anchors)
    assert found.count.tolist() == [2]
    np.testing.assert_array_equal(found.boxes[0, 0], found.boxes[0, 1])


def test_a_batch_of_nothing(evaluate):
    found = evaluate(post_processing.detect(tf.zeros([0, 3, 3]), tf.zeros([0, 3, 4]), ANCHORS, VARIANCES))
    assert found.boxes.shape == (0, 6, 4) and found.count.shape == (0,)


def test_what_is_no_number_is_no_detection(evaluate):
    found = evaluate(post_processing.detect(tf.fill([1, 3, 3], np.float32('nan')), tf.zeros([1, 3, 4]), ANCHORS,
                                            VARIANCES))
    assert found.count.tolist() == [0]


def test_other_classes_become_background(evaluate):
    scores = tf.nn.softmax(post_processing.select_classes(tf.math.log([[[.1, .2, .3, .4]]]), [1, 3]))
    np.testing.assert_allclose(evaluate(scores), [[[.1 + .3, .2, .4]]], rtol=1e-6)

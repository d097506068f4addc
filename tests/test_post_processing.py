import numpy as np
import tensorflow.compat.v1 as tf

from nets import post_processing

# Anchors that are the boxes themselves (offsets zero): two that overlap by 0.8, one apart.
ANCHORS = np.float32([[.25, .25, .5, .5], [.25, .30555555, .5, .5], [.8, .8, .2, .2]])


def detect(evaluate, probabilities, **options):
    logits = tf.constant(np.log(np.float32(probabilities)))
    return evaluate(post_processing.detect(logits, tf.zeros([len(probabilities), 3, 4]), ANCHORS,
                                           (.1, .1, .2, .2), **options))


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
    found = evaluate(post_processing.detect(logits, offsets, ANCHORS[:1], (.1, .1, .2, .2)))
    np.testing.assert_array_equal(found.boxes[0, 0], [0, 0, 1, 1])

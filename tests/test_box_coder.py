import numpy as np
import oracle
import tensorflow.compat.v1 as tf

from nets import box_coder

VARIANCES = (.1, .1, .2, .2)
ANCHOR = [[.5, .5, .2, .4]]   # center (0.5, 0.5), height 0.2, width 0.4


def encode(evaluate, box):
    return evaluate(box_coder.encode(tf.constant([box]), tf.constant(ANCHOR), VARIANCES))


def test_encode(evaluate):
    # The box has center (0.6, 0.4), height 0.4 and width 0.2.
    np.testing.assert_allclose(
        encode(evaluate, [.4, .3, .8, .5]),
        [[-.1 / .4 / .1, .1 / .2 / .1, np.log(.5) / .2, np.log(2) / .2]], rtol=1e-5)


def test_offsets_of_the_anchor_itself_are_zero(evaluate):
    np.testing.assert_allclose(encode(evaluate, [.4, .3, .6, .7]), [[0, 0, 0, 0]], atol=1e-5)


def test_decode_inverts_encode(evaluate):
    rng = np.random.RandomState(0)
    center, sides = rng.uniform(.2, .8, [200, 2]), rng.uniform(.01, .4, [200, 2])
    boxes = np.float32(np.concatenate([center - sides / 2, center + sides / 2], 1))
    anchors = np.float32(np.concatenate([rng.uniform(0, 1, [200, 2]),
                                         rng.uniform(.05, 1, [200, 2])], 1))
    encoded = box_coder.encode(tf.constant(boxes), tf.constant(anchors), VARIANCES)
    offsets, decoded = evaluate(
        [encoded, box_coder.decode(encoded, tf.constant(anchors), VARIANCES)])
    np.testing.assert_allclose(decoded, boxes, atol=2e-6)
    expected = [oracle.encode(box, anchor, VARIANCES)
                for box, anchor in zip(boxes, anchors, strict=True)]
    np.testing.assert_allclose(offsets, expected, rtol=1e-3, atol=1e-4)


def test_empty_boxes_and_huge_offsets_stay_finite(evaluate):
    huge = tf.constant([[0., 0., 1e6, 1e6]])
    decoded = evaluate(box_coder.decode(huge, tf.constant(ANCHOR), VARIANCES))
    assert np.isfinite(encode(evaluate, [.5, .5, .5, .5])).all() and np.isfinite(decoded).all()

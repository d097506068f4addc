import numpy as np
import oracle
import tensorflow.compat.v1 as tf

from nets import box_coder

VARIANCES = (.1, .1, .2, .2)


def test_offsets_by_hand(evaluate):
    # Anchor: centre (0.5, 0.5), 0.2 high, 0.4 wide. Box: centre (0.6, 0.4), 0.4 high, 0.2 wide.
    found = evaluate(box_coder.encode(tf.constant([[.4, .3, .8, .5]]), tf.constant([[.5, .5, .2, .4]]),
                                      VARIANCES))
    np.testing.assert_allclose(found, [[-.1 / .4 / .1, .1 / .2 / .1, np.log(.5) / .2, np.log(2) / .2]],
                               rtol=1e-5)


def test_the_anchor_itself_has_no_offset(evaluate):
    found = evaluate(box_coder.encode(tf.constant([[.4, .3, .6, .7]]), tf.constant([[.5, .5, .2, .4]]),
                                      VARIANCES))
    np.testing.assert_allclose(found, [[0, 0, 0, 0]], atol=1e-5)


def test_decode_undoes_encode(evaluate):
    rng = np.random.RandomState(0)
    centre, sides = rng.uniform(.2, .8, [200, 2]), rng.uniform(.01, .4, [200, 2])
    boxes = np.concatenate([centre - sides / 2, centre + sides / 2], 1).astype(np.float32)
    anchors = np.concatenate([rng.uniform(0, 1, [200, 2]), rng.uniform(.05, 1, [200, 2])], 1).astype(np.float32)
    offsets = box_coder.encode(tf.constant(boxes), tf.constant(anchors), VARIANCES)
    found, back = evaluate([offsets, box_coder.decode(offsets, tf.constant(anchors), VARIANCES)])
    np.testing.assert_allclose(back, boxes, atol=2e-6)
    expected = [oracle.encode(box, anchor, VARIANCES) for box, anchor in zip(boxes, anchors, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_an_empty_box_and_a_wild_offset_stay_finite(evaluate):
    anchor = tf.constant([[.5, .5, .2, .2]])
    encoded, decoded = evaluate([box_coder.encode(tf.constant([[.5, .5, .5, .5]]), anchor, VARIANCES),
                                 box_coder.decode(tf.constant([[0., 0., 1e6, 1e6]]), anchor, VARIANCES)])
    assert np.isfinite(encoded).all() and np.isfinite(decoded).all()

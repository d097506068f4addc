import numpy as np
import oracle
import pytest
import tensorflow.compat.v1 as tf

from nets import matching

VARIANCES = (.1, .1, .2, .2)
# Four anchors: the quarters of the image.
QUARTERS = [[.25, .25, .5, .5], [.25, .75, .5, .5], [.75, .25, .5, .5], [.75, .75, .5, .5]]


class Matcher:
    """The graph of `match`, built once for each table of anchors, fed case by case."""

    def __init__(self, threshold=.5):
        self.boxes = tf.placeholder(tf.float32, [None, 4])
        self.labels = tf.placeholder(tf.int32, [None])
        self.threshold, self.targets = threshold, {}
        self.session = tf.Session()

    def __call__(self, boxes, labels, anchors=QUARTERS):
        anchors = np.float32(anchors)
        targets = self.targets.get(anchors.tobytes())
        if targets is None:
            targets = matching.match(self.boxes, self.labels, anchors, VARIANCES, self.threshold)
            self.targets[anchors.tobytes()] = targets
        boxes = np.float32(boxes).reshape(-1, 4)
        return self.session.run(targets, {self.boxes: boxes, self.labels: np.int32(labels).reshape(-1)})


def test_no_boxes():
    targets = Matcher()([], [])
    np.testing.assert_array_equal(targets.labels, [0, 0, 0, 0])
    np.testing.assert_array_equal(targets.offsets, np.zeros([4, 4]))
    assert targets.num_well_matched == 0


def test_a_box_that_is_an_anchor():
    targets = Matcher()([[0, .5, .5, 1]], [7])
    np.testing.assert_array_equal(targets.labels, [0, 7, 0, 0])
    np.testing.assert_allclose(targets.offsets, np.zeros([4, 4]), atol=1e-6)
    assert targets.num_well_matched == 1


def test_a_small_box_gets_its_best_anchor_although_no_overlap_reaches_the_threshold():
    targets = Matcher()([[.7, .7, .8, .8]], [3])
    np.testing.assert_array_equal(targets.labels, [0, 0, 0, 3])
    np.testing.assert_allclose(targets.offsets[3], [0, 0, np.log(.2) / .2, np.log(.2) / .2], atol=1e-4)
    assert targets.num_well_matched == 0


def test_two_boxes_with_the_same_best_anchor_both_get_one():
    # The first overlaps anchor 0 wholly, the second by 0.8: it moves on to the next best, anchor 1.
    targets = Matcher()([[0, 0, .5, .5], [0, .05, .5, .55]], [1, 2])
    np.testing.assert_array_equal(targets.labels, [1, 2, 0, 0])
    targets = Matcher()([[0, .05, .5, .55], [0, 0, .5, .5]], [2, 1])   # whichever comes first
    np.testing.assert_array_equal(targets.labels, [1, 2, 0, 0])


def test_three_equal_boxes_lose_none():
    targets = Matcher()([[0, 0, 1, 1]] * 3, [1, 2, 3])
    np.testing.assert_array_equal(targets.labels, [1, 2, 3, 0])


def test_the_threshold_itself_is_not_above_it():
    half = [[0, 0, .5, 1]]                                   # overlap 0.5 with the anchor of the whole image
    anchors = [[.25, .5, .5, 1], [.5, .5, 1, 1]]
    np.testing.assert_array_equal(Matcher(.5)(half, [1], anchors).labels, [1, 0])
    np.testing.assert_array_equal(Matcher(.4999)(half, [1], anchors).labels, [1, 1])


def test_bipartite_is_greedy_by_overlap_not_by_order():
    # Truth 0 wants anchor 0 (.6), truth 1 wants it more (.7); truth 0 then displaces nobody at anchor 1 (.5).
    # A matching that fixed each round's winners at once would give truth 2 (.4) anchor 1 before truth 0 asks.
    table = np.float32([[.6, .5, .1], [.7, .2, .1], [.1, .4, .3]])
    with tf.Session() as session:
        found = session.run(matching.bipartite_match(tf.constant(table)))
    np.testing.assert_array_equal(found, [1, 0, 2])
    np.testing.assert_array_equal(found, oracle.greedy(table))


def test_bipartite_equals_greedy_on_random_tables_with_ties():
    rng = np.random.RandomState(0)
    table = tf.placeholder(tf.float32, [None, None])
    answer = matching.bipartite_match(table)
    with tf.Session() as session:
        for case in range(200):
            truths = rng.randint(1, 9)
            values = np.float32(rng.randint(0, 5 if case % 2 else 1000, [truths, truths + rng.randint(0, 20)]))
            values /= 1000
            np.testing.assert_array_equal(session.run(answer, {table: values}), oracle.greedy(values))


def random_case(rng):
    """Boxes of every kind: none, one pixel, equal ones, copies of anchors, crowded ones."""
    anchors = np.concatenate([rng.uniform(0, 1, [60, 2]), rng.uniform(.05, .8, [60, 2])], 1).astype(np.float32)
    truths = rng.randint(0, 8)
    low = rng.uniform(0, .95, [truths, 2])
    boxes = np.concatenate([low, low + rng.uniform(.02, .7, [truths, 2])], 1).clip(0, 1).astype(np.float32)
    for truth in range(truths):
        kind = rng.randint(5)
        if kind == 0:
            boxes[truth, 2:] = boxes[truth, :2] + np.float32(1 / 300)
        elif kind == 1:
            boxes[truth] = boxes[0]
        elif kind == 2:
            cy, cx, h, w = anchors[rng.randint(60)]
            boxes[truth] = cy - h / 2, cx - w / 2, cy + h / 2, cx + w / 2
    return boxes, rng.randint(1, 21, truths), anchors


@pytest.mark.parametrize('threshold', [.5, .35])
def test_against_the_oracle(threshold):
    rng, matcher, anchors = np.random.RandomState(1), Matcher(threshold), None
    for case in range(150):
        boxes, labels, others = random_case(rng)
        anchors = anchors if case % 30 else others   # each table makes a graph
        targets = matcher(boxes, labels, anchors)
        expected, truth_of = oracle.match(boxes, labels, anchors, threshold)
        np.testing.assert_array_equal(targets.labels, expected)
        assert set(truth_of) >= set(range(len(boxes))), 'a ground truth was lost'
        for anchor in np.flatnonzero(truth_of >= 0):
            np.testing.assert_allclose(
                targets.offsets[anchor],
                oracle.encode(boxes[truth_of[anchor]].astype(float), anchors[anchor], VARIANCES),
                rtol=1e-3, atol=1e-3)
        assert targets.num_well_matched == (oracle.overlaps(boxes, anchors) > threshold).any(1).sum()

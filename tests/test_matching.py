import numpy as np
import oracle
import pytest
import tensorflow.compat.v1 as tf

from nets import matching

VARIANCES = (.1, .1, .2, .2)
# Four anchors: the quarters of the image.
QUARTERS = [[.25, .25, .5, .5], [.25, .75, .5, .5], [.75, .25, .5, .5], [.75, .75, .5, .5]]


class Matcher:
    """`matching.match` with placeholders; builds one graph for each set of anchors."""

    def __init__(self, threshold=.5):
        self.boxes = tf.placeholder(tf.float32, [None, 4])
        self.labels = tf.placeholder(tf.int32, [None])
        self.threshold, self.targets = threshold, {}
        self.session = tf.Session()

    def __call__(self, boxes, labels, anchors=QUARTERS):
        """Return the `Targets` of boxes [M, 4] with labels [M] as arrays."""
        anchors = np.float32(anchors)
        targets = self.targets.get(anchors.tobytes())
        if targets is None:
            targets = matching.match(self.boxes, self.labels, anchors, VARIANCES, self.threshold)
            self.targets[anchors.tobytes()] = targets
        return self.session.run(targets, {self.boxes: np.float32(boxes).reshape(-1, 4),
                                          self.labels: np.int32(labels).reshape(-1)})


def test_image_without_boxes():
    targets = Matcher()([], [])
    np.testing.assert_array_equal(targets.labels, [0, 0, 0, 0])
    np.testing.assert_array_equal(targets.offsets, np.zeros([4, 4]))
    assert targets.num_well_matched == 0


def test_box_equal_to_an_anchor():
    targets = Matcher()([[0, .5, .5, 1]], [7])
    np.testing.assert_array_equal(targets.labels, [0, 7, 0, 0])
    np.testing.assert_allclose(targets.offsets, np.zeros([4, 4]), atol=1e-6)
    assert targets.num_well_matched == 1


def test_small_box_gets_its_best_anchor_below_the_threshold():
    targets = Matcher()([[.7, .7, .8, .8]], [3])
    np.testing.assert_array_equal(targets.labels, [0, 0, 0, 3])
    np.testing.assert_allclose(targets.offsets[3], [0, 0, np.log(.2) / .2, np.log(.2) / .2],
                               atol=1e-4)
    assert targets.num_well_matched == 0


def test_boxes_with_the_same_best_anchor_get_different_anchors():
    # The first box covers anchor 0, the second overlaps it by 0.8 and gets its next best, anchor 1.
    targets = Matcher()([[0, 0, .5, .5], [0, .05, .5, .55]], [1, 2])
    np.testing.assert_array_equal(targets.labels, [1, 2, 0, 0])
    targets = Matcher()([[0, .05, .5, .55], [0, 0, .5, .5]], [2, 1])   # the order does not matter
    np.testing.assert_array_equal(targets.labels, [1, 2, 0, 0])


def test_three_equal_boxes_get_an_anchor_each():
    targets = Matcher()([[0, 0, 1, 1]] * 3, [1, 2, 3])
    np.testing.assert_array_equal(targets.labels, [1, 2, 3, 0])


def test_overlap_equal_to_the_threshold_does_not_match():
    half = [[0, 0, .5, 1]]                          # overlaps the anchor of the whole image by 0.5
    anchors = [[.25, .5, .5, 1], [.5, .5, 1, 1]]
    np.testing.assert_array_equal(Matcher(.5)(half, [1], anchors).labels, [1, 0])
    np.testing.assert_array_equal(Matcher(.4999)(half, [1], anchors).labels, [1, 1])


def test_bipartite_match_is_greedy_by_overlap():
    # Boxes 0 and 1 both have anchor 0 as their best (0.6 and 0.7), so box 0 gets anchor 1 (0.5).
    # Making each round's winners final would give anchor 1 to box 2 (0.4) before box 0 proposes.
    overlaps = np.float32([[.6, .5, .1], [.7, .2, .1], [.1, .4, .3]])
    with tf.Session() as session:
        matched = session.run(matching.bipartite_match(tf.constant(overlaps)))
    np.testing.assert_array_equal(matched, [1, 0, 2])
    np.testing.assert_array_equal(matched, oracle.bipartite_match(overlaps))


# With the defaults, these few boxes are matched by their best anchors, in one chunk of pairs.
@pytest.mark.parametrize('few_boxes, pairs_at_once', [(64, 1 << 12), (0, 1 << 12), (0, 7)])
def test_bipartite_match_equals_the_oracle_on_random_overlaps_with_ties(
        monkeypatch, few_boxes, pairs_at_once):
    monkeypatch.setattr(matching, '_FEW_BOXES', few_boxes)
    monkeypatch.setattr(matching, '_PAIRS_AT_ONCE', pairs_at_once)
    rng = np.random.RandomState(0)
    overlaps = tf.placeholder(tf.float32, [None, None])
    matched = matching.bipartite_match(overlaps)
    with tf.Session() as session:
        for case in range(200):
            num_boxes, num_anchors = rng.randint(1, 12), rng.randint(1, 25)   # also too few anchors
            values = np.float32(rng.randint(0, 5 if case % 2 else 1000, [num_boxes, num_anchors]))
            values[:, rng.rand(num_anchors) < .3] = 0
            values /= 1000
            np.testing.assert_array_equal(session.run(matched, {overlaps: values}),
                                          oracle.bipartite_match(values))


def test_more_boxes_than_anchors():
    # Overlaps: 1 (box 2, anchor 0), 0.16 (boxes 0 and 3, anchor 3), 0.04 (boxes 1 and 4, anchor 0).
    # Boxes 1, 3 and 4 do not overlap the two remaining anchors; 1 and 3 get them, in order.
    targets = Matcher()([[.7, .6, .9, .8], [.1, .1, .2, .2], [0, 0, .5, .5], [.7, .6, .9, .8],
                         [0, 0, .1, .1]], [1, 2, 3, 4, 5])
    np.testing.assert_array_equal(targets.labels, [3, 2, 4, 1])
    assert targets.num_unmatched == 1 and targets.num_well_matched == 1


@pytest.mark.parametrize('num_boxes', [1000, 3000])
def test_many_boxes_in_a_corner(num_boxes):
    """More boxes than anchors: every anchor is matched, and no ground truth twice."""
    rng = np.random.RandomState(0)
    grid = np.stack(np.meshgrid(np.arange(.025, 1, .05), np.arange(.025, 1, .05)), -1)
    anchors = np.concatenate([grid.reshape(-1, 2), np.full([400, 2], .1)], 1)
    corner = rng.uniform(0, .2, [num_boxes, 2])
    boxes = np.concatenate([corner, corner + rng.uniform(.01, .05, [num_boxes, 2])], 1)
    matcher = Matcher()
    targets = matcher(boxes, np.arange(num_boxes) + 1, anchors)
    assert targets.num_unmatched == num_boxes - 400
    assert len(set(targets.labels)) == 400 and targets.labels.min() > 0
    overlaps = oracle.pairwise_iou(boxes[:300], anchors)
    with tf.Session() as session:
        np.testing.assert_array_equal(session.run(matching.bipartite_match(tf.constant(overlaps))),
                                      oracle.bipartite_match(overlaps))


def random_case(rng):
    """Return boxes, labels and anchors. Some boxes are tiny, duplicates or copies of anchors."""
    anchors = np.concatenate([rng.uniform(0, 1, [60, 2]), rng.uniform(.05, .8, [60, 2])], 1)
    anchors = anchors.astype(np.float32)
    num_boxes = rng.randint(0, 8)
    corner = rng.uniform(0, .95, [num_boxes, 2])
    boxes = np.concatenate([corner, corner + rng.uniform(.02, .7, [num_boxes, 2])], 1)
    boxes = boxes.clip(0, 1).astype(np.float32)
    for i in range(num_boxes):
        variant = rng.randint(5)
        if variant == 0:
            boxes[i, 2:] = boxes[i, :2] + np.float32(1 / 300)
        elif variant == 1:
            boxes[i] = boxes[0]
        elif variant == 2:
            cy, cx, h, w = anchors[rng.randint(60)]
            boxes[i] = cy - h / 2, cx - w / 2, cy + h / 2, cx + w / 2
    return boxes, rng.randint(1, 21, num_boxes), anchors


@pytest.mark.parametrize('threshold', [.5, .35])
def test_match_equals_the_oracle(threshold):
    rng, matcher, anchors = np.random.RandomState(1), Matcher(threshold), None
    for case in range(150):
        boxes, labels, new_anchors = random_case(rng)
        anchors = anchors if case % 30 else new_anchors   # each set of anchors needs a graph
        targets = matcher(boxes, labels, anchors)
        expected_labels, matched_box = oracle.match(boxes, labels, anchors, threshold)
        np.testing.assert_array_equal(targets.labels, expected_labels)
        assert set(matched_box) >= set(range(len(boxes))), 'a ground truth has no anchor'
        for anchor in np.flatnonzero(matched_box >= 0):
            expected_offsets = oracle.encode(
                boxes[matched_box[anchor]].astype(float), anchors[anchor], VARIANCES)
            np.testing.assert_allclose(targets.offsets[anchor], expected_offsets,
                                       rtol=1e-3, atol=1e-3)
        well_matched = (oracle.pairwise_iou(boxes, anchors) > threshold).any(1)
        assert targets.num_well_matched == well_matched.sum()

import numpy as np

from nets import anchors, coverage, nets_factory

PARAMS = nets_factory.get_params('ssd_300_vgg', 'voc')


def centred(cy, cx, height, width):
    """A box from pixels of 300."""
    return np.float32([cy - height / 2, cx - width / 2, cy + height / 2, cx + width / 2]) / 300


def test_overlaps_by_hand():
    table = np.float32([[.5, .5, .5, .5], [.25, .25, .5, .5]])
    boxes = np.float32([[0, 0, .5, .5], [0, 0, .25, .5], [.9, .9, 1, 1]])
    np.testing.assert_allclose(coverage.best_overlaps(boxes, table), [1, .5, 0])
    assert coverage.best_overlaps(boxes[:0], table).shape == (0,)


def test_chunks_change_nothing():
    boxes = np.float32(np.random.RandomState(0).uniform(0, .5, [150, 4])) + [0, 0, .5, .5]
    table = anchors.net_anchors(PARAMS)[:50]
    found = coverage.best_overlaps(boxes, table)
    np.testing.assert_array_equal(found[:70], coverage.best_overlaps(boxes[:70], table))
    assert found.shape == (150,)


def test_small_boxes_want_a_small_anchor():
    # At the centre of a cell of block4 (8 pixels wide) an anchor of s pixels reaches 8x8 where 64 > s * s / 2.
    boxes = np.stack([centred(100, 100, 8, 8), centred(204, 12, 8, 8), centred(100, 100, 150, 150)])
    assert (coverage.best_overlaps(boxes, anchors.net_anchors(PARAMS)) <= .5).tolist() == [True, True, False]
    (layer, height, width, count), *_ = coverage.suggest_anchors(boxes[:2], PARAMS)
    assert layer == 'block4' and count == 2 and height == width and 8 / np.sqrt(2) < height < 8 * np.sqrt(2)


def test_each_anchor_counts_what_those_before_it_left():
    # No anchor reaches both 8x8 and 10x30; 6x60 is too long for any ratio up to 3.
    boxes = np.stack([centred(100, 100, 8, 8)] * 3 + [centred(100, 100, 10, 30)] * 2 + [centred(100, 100, 6, 60)])
    assert [count for *_, count in coverage.suggest_anchors(boxes, PARAMS)] == [3, 2]


def test_nothing_missed_wants_nothing():
    assert coverage.suggest_anchors(np.zeros([0, 4], np.float32), PARAMS) == []

import numpy as np

from nets import anchors, coverage, nets_factory

PARAMS = nets_factory.get_params('ssd_300_vgg', 'voc')


def centered_box(cy, cx, height, width):
    """Return a relative box [4] from its center and size in pixels of 300."""
    return np.float32([cy - height / 2, cx - width / 2, cy + height / 2, cx + width / 2]) / 300


def test_best_overlaps():
    table = np.float32([[.5, .5, .5, .5], [.25, .25, .5, .5]])
    boxes = np.float32([[0, 0, .5, .5], [0, 0, .25, .5], [.9, .9, 1, 1]])
    np.testing.assert_allclose(coverage.best_overlaps(boxes, table), [1, .5, 0])
    assert coverage.best_overlaps(boxes[:0], table).shape == (0,)


def test_best_overlaps_do_not_depend_on_chunks():
    boxes = np.float32(np.random.RandomState(0).uniform(0, .5, [150, 4])) + [0, 0, .5, .5]
    table = anchors.net_anchors(PARAMS)[:50]
    overlaps = coverage.best_overlaps(boxes, table)
    np.testing.assert_array_equal(overlaps[:70], coverage.best_overlaps(boxes[:70], table))
    assert overlaps.shape == (150,)


def test_grid_overlaps_equal_those_with_all_anchors_of_the_layer():
    rng = np.random.RandomState(0)
    boxes = np.stack([centered_box(rng.uniform(40, 260), rng.uniform(40, 260),
                                   rng.uniform(9, 80), 40.) for _ in range(50)])
    overlaps = coverage.best_grid_overlaps(anchors.anchor_shapes(30., 60., (2., 1 / 2)),
                                           coverage.place_on_grid(boxes, 8, 300))
    block4_anchors = anchors.anchors_by_layer(PARAMS)[0]
    np.testing.assert_allclose(overlaps, coverage.best_overlaps(boxes, block4_anchors), rtol=1e-4)


def test_small_boxes_get_a_small_anchor_suggested():
    # At the center of a cell of block4 (8 pixels), an anchor of s pixels matches 8x8 if
    # 64 > s * s / 2.
    boxes = np.stack([centered_box(100, 100, 8, 8), centered_box(204, 12, 8, 8),
                      centered_box(100, 100, 150, 150)])
    overlaps = coverage.best_overlaps(boxes, anchors.net_anchors(PARAMS))
    assert (overlaps <= .5).tolist() == [True, True, False]
    suggestion, *_ = coverage.suggest_anchors(boxes[:2], PARAMS)
    assert suggestion.layer == 'block4' and suggestion.num_boxes == 2
    assert suggestion.height == suggestion.width
    assert 8 / np.sqrt(2) < suggestion.height < 8 * np.sqrt(2)


def test_suggestions_count_boxes_once():
    # No anchor matches both 8x8 and 10x30; 6x60 is too long for aspect ratios up to 3.
    boxes = np.stack([centered_box(100, 100, 8, 8)] * 3 + [centered_box(100, 100, 10, 30)] * 2
                     + [centered_box(100, 100, 6, 60)])
    suggestions = coverage.suggest_anchors(boxes, PARAMS)
    assert [suggestion.num_boxes for suggestion in suggestions] == [3, 2]


def test_no_suggestions_without_boxes():
    assert coverage.suggest_anchors(np.zeros([0, 4], np.float32), PARAMS) == []

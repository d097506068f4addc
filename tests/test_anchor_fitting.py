import numpy as np

from nets import anchor_fitting, anchor_presets, anchors, coverage, nets_factory

PARAMS = nets_factory.get_params('ssd_300_vgg', 'voc')


def centered_boxes(cy, cx, height, width):
    """Return relative boxes [M, 4] from centers and sizes in pixels of 300, numbers or arrays."""
    return np.stack(np.broadcast_arrays(
        cy - height / 2, cx - width / 2, cy + height / 2, cx + width / 2), 1) / 300


def matched_share(boxes, params):
    return (coverage.best_overlaps(np.float32(boxes), anchors.net_anchors(params)) > .5).mean()


def fit(boxes, params=PARAMS):
    """Return the net with anchors fitted to the boxes."""
    return anchor_presets.with_preset(params, anchor_fitting.fit(boxes, params))


def test_kmeans():
    values = np.array([1., 2, 3, 10, 12])
    for start, bounds, expected in (
            ([0., 9], [0, 0], [2, 11]), ([0., 9], [2.5, 0], [2.5, 11]),
            ([2., 11, 50], [0, 0, 0], [2, 11, 50])):   # no value is near 50
        centers = anchor_fitting.kmeans(values, np.array(start), np.array(bounds))
        np.testing.assert_allclose(centers, expected)


def test_small_boxes_get_small_anchors():
    # Squares of 12 pixels at centers of cells of block4 (8 pixels): 12 * 12 is less than half of
    # 30 * 30.
    rng = np.random.RandomState(0)
    boxes = centered_boxes(8 * rng.randint(5, 30, 200) + 4, 8 * rng.randint(5, 30, 200) + 4,
                           12., 12.)
    assert matched_share(boxes, PARAMS) == 0
    assert matched_share(boxes, fit(boxes)) == 1


def test_long_boxes_get_long_anchors():
    rng = np.random.RandomState(0)
    boxes = centered_boxes(rng.uniform(60, 240, 300), rng.uniform(80, 220, 300), 14.,
                           rng.uniform(130, 150, 300))
    assert matched_share(boxes, PARAMS) < .1
    assert matched_share(boxes, fit(boxes)) > .8


def test_fitting_keeps_the_number_of_anchors():
    rng = np.random.RandomState(0)
    boxes = centered_boxes(rng.uniform(50, 250, 99), rng.uniform(50, 250, 99),
                           rng.uniform(5, 90, 99), rng.uniform(5, 90, 99))
    for name in ('ssd_300_vgg', 'ssd_512_vgg', 'ssd_300_mobilenet_v1', 'ssd_160_mobilenet_v1_025'):
        params = nets_factory.get_params(name, 'voc')
        fitted = fit(boxes, params)
        assert [len(layer) for layer in anchors.anchors_by_layer(fitted)] == [
            len(layer) for layer in anchors.anchors_by_layer(params)]
        assert matched_share(boxes, fitted) >= matched_share(boxes, params)


def test_fit_to_a_single_box_and_to_no_box():
    box = centered_boxes(np.array([100.]), 100., 20., 40.)
    assert matched_share(box, fit(box)) == 1
    np.testing.assert_allclose(fit(box[:0]).anchor_shapes[0][:2], [[30, 30], [1800 ** .5] * 2])

import numpy as np

from nets import anchor_fitting, anchor_presets, anchors, coverage, nets_factory

PARAMS = nets_factory.get_params('ssd_300_vgg', 'voc')


def centred(cy, cx, height, width):
    """Boxes [M, 4] from pixels of 300, numbers or arrays."""
    return np.stack(np.broadcast_arrays(cy - height / 2, cx - width / 2, cy + height / 2, cx + width / 2), 1) / 300


def share(boxes, params):
    return (coverage.best_overlaps(np.float32(boxes), anchors.net_anchors(params)) > .5).mean()


def test_clusters_by_hand():
    values = np.array([1., 2, 3, 10, 12])
    np.testing.assert_allclose(anchor_fitting.kmeans(values, np.array([0., 9]), np.zeros(2)), [2, 11])
    np.testing.assert_allclose(anchor_fitting.kmeans(values, np.array([0., 9]), np.array([2.5, 0])), [2.5, 11])
    np.testing.assert_allclose(anchor_fitting.kmeans(values, np.array([2., 11, 50]), np.zeros(3)), [2, 11, 50])


def test_small_boxes_get_small_anchors():
    # Squares of 12 pixels at centres of cells of block4 (8 pixels wide): 12 * 12 is less than half of 30 * 30.
    rng = np.random.RandomState(0)
    boxes = centred(8 * rng.randint(5, 30, 200) + 4, 8 * rng.randint(5, 30, 200) + 4, 12., 12.)
    assert share(boxes, PARAMS) == 0
    text = anchor_fitting.fit(boxes, PARAMS)
    assert share(boxes, anchor_presets.with_preset(PARAMS, text)) == 1


def test_long_boxes_get_long_anchors():
    rng = np.random.RandomState(0)
    boxes = centred(rng.uniform(60, 240, 300), rng.uniform(80, 220, 300), 14., rng.uniform(130, 150, 300))
    assert share(boxes, PARAMS) < .1
    assert share(boxes, anchor_presets.with_preset(PARAMS, anchor_fitting.fit(boxes, PARAMS))) > .8


def test_a_net_keeps_the_number_of_its_anchors():
    rng = np.random.RandomState(0)
    boxes = centred(rng.uniform(50, 250, 99), rng.uniform(50, 250, 99), rng.uniform(5, 90, 99), rng.uniform(5, 90, 99))
    for name in ('ssd_300_vgg', 'ssd_512_vgg', 'ssd_300_mobilenet_v1', 'ssd_160_mobilenet_v1_025'):
        params = nets_factory.get_params(name, 'voc')
        fitted = anchor_presets.with_preset(params, anchor_fitting.fit(boxes, params))
        assert [len(layer) for layer in anchors.anchors_by_layer(fitted)] == [
            len(layer) for layer in anchors.anchors_by_layer(params)]
        assert share(boxes, fitted) >= share(boxes, params)


def test_few_boxes_and_none():
    one = centred(np.array([100.]), 100., 20., 40.)
    assert share(one, anchor_presets.with_preset(PARAMS, anchor_fitting.fit(one, PARAMS))) == 1
    nothing = anchor_presets.with_preset(PARAMS, anchor_fitting.fit(one[:0], PARAMS))
    assert nothing.anchor_sizes[0] == (30, 60)


def test_the_overlap_is_that_of_the_net():
    rng = np.random.RandomState(0)
    boxes = np.float32(centred(rng.uniform(40, 260, 50), rng.uniform(40, 260, 50), rng.uniform(9, 80, 50), 40.))
    pixels = 300 * np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2], 1)
    sides = 300 * (boxes[:, 2:] - boxes[:, :2])
    found = anchor_fitting._overlaps(anchors.anchor_shapes(30., 60., (2., 1 / 2)), sides,
                                     anchor_fitting._offsets(pixels, 8, 300))
    np.testing.assert_allclose(found, coverage.best_overlaps(boxes, anchors.anchors_by_layer(PARAMS)[0]), rtol=1e-4)

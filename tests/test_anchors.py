import numpy as np
import pytest

from nets import anchor_presets, anchors, nets_factory, ssd_params


@pytest.mark.parametrize('name, cells, num_anchors', [
    ('ssd_300_vgg', [38, 19, 10, 5, 3, 1], 8732),
    ('ssd_512_vgg', [64, 32, 16, 8, 4, 2, 1], 24564),
    ('ssd_300_mobilenet_v1', [19, 10, 5, 3, 2, 1], 1917),
    ('ssd_300_mobilenet_v1_075', [19, 10, 5, 3, 2, 1], 1917),
    ('ssd_160_mobilenet_v1_025', [10, 5, 3, 2, 1], 834),
    ('ssd_512_mobilenet_v1', [32, 16, 8, 4, 2, 1], 5118),
    ('ssd_300_mobilenet_v2', [19, 10, 5, 3, 2, 1], 1917),
    ('ssdlite_300_mobilenet_v2_035', [19, 10, 5, 3, 2, 1], 1917),
])
@pytest.mark.parametrize('preset', anchor_presets.NAMES)
def test_feature_sizes_and_number_of_anchors(name, cells, num_anchors, preset):
    params = nets_factory.get_params(name, preset)
    assert ssd_params.feature_sizes(params) == cells
    assert anchors.net_anchors(params).shape == (num_anchors, 4)
    assert anchors.net_anchors(params).dtype == np.float32


def test_anchors_of_the_first_cell_are_in_table_order():
    first = anchors.net_anchors(nets_factory.get_params('ssd_300_vgg'))[:5] * 300
    second_square = np.sqrt(30 * 60)
    np.testing.assert_allclose(first, [
        [4, 4, 30, 30], [4, 4, second_square, second_square],
        [4, 4, 30 / np.sqrt(2), 30 * np.sqrt(2)],      # ratio 2: wider than high
        [4, 4, 30 * np.sqrt(2), 30 / np.sqrt(2)],
        [4, 12, 30, 30]], rtol=1e-5)                   # the next cell of the row


def test_last_cell_is_the_center_of_the_image():
    last = anchors.net_anchors(nets_factory.get_params('ssd_300_vgg'))[-4:] * 300
    np.testing.assert_allclose(last[:, :2], 150, rtol=1e-6)
    np.testing.assert_allclose(last[0], [150, 150, 264, 264], rtol=1e-6)


def test_mobilenet_cells_divide_the_image_evenly():
    first = anchors.net_anchors(nets_factory.get_params('ssd_300_mobilenet_v1'))
    np.testing.assert_allclose(first[0], [.5 / 19, .5 / 19, .2, .2], rtol=1e-6)
    np.testing.assert_allclose(first[3 * 20, :2], [1.5 / 19, 1.5 / 19], rtol=1e-6)   # row 1, col 1


def test_anchors_of_512_pixels_are_those_of_300_pixels_on_more_cells():
    small, large = (nets_factory.get_params(f'ssd_{size}_mobilenet_v1') for size in (300, 512))
    for shapes, scaled in zip(small.anchor_shapes, large.anchor_shapes, strict=True):
        np.testing.assert_allclose(np.array(shapes) / 300, np.array(scaled) / 512)


def test_clipped_centers_and_sides():
    text = '30 60 111 162 213 264:2,1/2'
    plain, clipped = (anchors.net_anchors(nets_factory.get_params('ssd_300_vgg', preset))
                      for preset in (text, f'{text} clip'))
    # The last cell of block8, 10 cells of 32 pixels, and the rectangles of 264 pixels on block11.
    last_of_block8 = -1 - 3 - 3 * 3 * 3 - 5 * 5 * 5
    np.testing.assert_allclose(plain[last_of_block8, :2], 304 / 300)
    np.testing.assert_allclose(clipped[last_of_block8, :2], 1)
    np.testing.assert_allclose(plain[-2], [.5, .5, .88 / np.sqrt(2), .88 * np.sqrt(2)], rtol=1e-6)
    np.testing.assert_allclose(clipped[-2], [.5, .5, .88 / np.sqrt(2), 1], rtol=1e-6)


def test_ssd_512_has_a_seventh_feature_layer():
    params = nets_factory.get_params('ssd_512_vgg')
    assert params.feat_layers[-1] == 'block12'
    assert ssd_params.anchors_per_cell(params) == [4, 6, 6, 6, 6, 4, 4]


def test_description_has_layers_and_total():
    text = anchors.describe(nets_factory.get_params('ssd_300_vgg'))
    assert '38x38' in text and '5776' in text and text.endswith('8732')

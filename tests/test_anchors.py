import numpy as np
import pytest

from common.errors import UserError
from nets import anchor_presets, anchors, nets_factory, ssd_params


@pytest.mark.parametrize('name, cells, total', [
    ('ssd_300_vgg', [38, 19, 10, 5, 3, 1], 8732),
    ('ssd_512_vgg', [64, 32, 16, 8, 4, 2, 1], 24564),
    ('ssd_300_mobilenet_v1', [19, 10, 5, 3, 2, 1], 1917),
    ('ssd_300_mobilenet_v1_075', [19, 10, 5, 3, 2, 1], 1917),
    ('ssd_160_mobilenet_v1_025', [10, 5, 3, 2, 1], 834),
])
@pytest.mark.parametrize('preset', anchor_presets.NAMES)
def test_cells_and_totals(name, cells, total, preset):
    params = nets_factory.get_params(name, preset)
    assert ssd_params.feature_sizes(params) == cells
    assert anchors.net_anchors(params).shape == (total, 4)
    assert anchors.net_anchors(params).dtype == np.float32


def test_first_cell_of_ssd_300_in_table_order():
    first = anchors.net_anchors(nets_factory.get_params('ssd_300_vgg'))[:5] * 300
    between = np.sqrt(30 * 60)
    np.testing.assert_allclose(first, [
        [4, 4, 30, 30], [4, 4, between, between],
        [4, 4, 30 / np.sqrt(2), 30 * np.sqrt(2)],      # ratio 2: wider than high
        [4, 4, 30 * np.sqrt(2), 30 / np.sqrt(2)],
        [4, 12, 30, 30]], rtol=1e-5)                   # the next cell of the row


def test_last_anchor_is_the_middle_of_the_image():
    last = anchors.net_anchors(nets_factory.get_params('ssd_300_vgg'))[-4:] * 300
    np.testing.assert_allclose(last[:, :2], 150, rtol=1e-6)
    np.testing.assert_allclose(last[0], [150, 150, 264, 264], rtol=1e-6)


def test_steps_of_mobilenet_divide_the_image_evenly():
    first = anchors.net_anchors(nets_factory.get_params('ssd_300_mobilenet_v1'))
    np.testing.assert_allclose(first[0], [.5 / 19, .5 / 19, .2, .2], rtol=1e-6)
    np.testing.assert_allclose(first[3 * 20, :2], [1.5 / 19, 1.5 / 19], rtol=1e-6)   # row 1, column 1


def test_300_and_512_differ_in_data_only():
    assert nets_factory.get_params('ssd_512_vgg').feat_layers[-1] == 'block12'
    assert ssd_params.anchors_per_cell(nets_factory.get_params('ssd_512_vgg')) == [4, 6, 6, 6, 6, 4, 4]


def test_description_shows_layers_and_total():
    text = anchors.describe(nets_factory.get_params('ssd_300_vgg'))
    assert '38x38' in text and '5776' in text and text.endswith('8732')


def test_an_unknown_net_says_what_there_is():
    with pytest.raises(UserError, match='Did you mean ssd_300_vgg'):
        nets_factory.get_params('ssd_300_vg')

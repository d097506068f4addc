import numpy as np
import pytest

from common.errors import UserError
from nets import anchor_presets, nets_factory, ssd_params

SIZES = '25,154 105,150 150,195 195,240 240,285 285,300'   # canonical, of six layers


def test_named_presets_differ_and_carry_their_name():
    voc, coco = (nets_factory.get_params('ssd_300_vgg', preset) for preset in ('voc', 'coco'))
    assert voc.anchor_shapes[0][:2] == ((30, 30), (np.sqrt(30 * 60),) * 2)
    assert coco.anchor_shapes[-1][:2] == ((261, 261), (np.sqrt(261 * 315),) * 2)
    assert (voc.anchor_preset, coco.anchor_preset) == ('voc', 'coco')


def test_every_net_has_every_named_preset():
    for name in nets_factory.names():
        for preset in anchor_presets.NAMES:
            params = nets_factory.get_params(name, preset)
            assert len(params.anchor_shapes) == len(params.feat_layers)


def test_sizes_without_ratios_keep_the_ratios_of_the_net():
    default = nets_factory.get_params('ssd_300_mobilenet_v1')
    custom = nets_factory.get_params('ssd_300_mobilenet_v1', SIZES)
    assert custom.anchor_preset == SIZES and custom.anchor_shapes[1] == default.anchor_shapes[1]
    assert custom.anchor_shapes[0][:3] == (
        (25, 25), (np.sqrt(25 * 154),) * 2, (25 / np.sqrt(2), 25 * np.sqrt(2)))
    # By default, the first layer has no second square.
    assert ssd_params.anchors_per_cell(default) == [3, 6, 6, 6, 6, 6]
    assert ssd_params.anchors_per_cell(custom) == [4, 6, 6, 6, 6, 6]


def test_custom_ratios_and_layers_without_second_square():
    params = nets_factory.get_params('ssd_300_mobilenet_v1',
                                     '25:3,1/3,.5 105: 150 195 240 285')
    root = np.sqrt(3)
    np.testing.assert_allclose(params.anchor_shapes[0], [
        [25, 25], [25 / root, 25 * root], [25 * root, 25 / root],
        [25 * np.sqrt(2), 25 / np.sqrt(2)]])
    assert params.anchor_shapes[1] == ((105, 105),)
    assert ssd_params.anchors_per_cell(params) == [4, 1, 5, 5, 5, 5]


def test_all_shapes_with_steps_and_clipping():
    text = '15x15,30x30 105:@16 20x40.5@17.5 195 240 285 clip'
    assert anchor_presets.canonical_text(f' {text.replace("15x15", "15.0x1.5e1")}') == text
    params = nets_factory.get_params('ssd_300_mobilenet_v1', text)
    assert params.anchor_shapes[:3] == (((15, 15), (30, 30)), ((105, 105),), ((20, 40.5),))
    assert params.anchor_steps == (None, 16, 17.5, None, None, None) and params.clip_anchors
    assert not nets_factory.get_params('ssd_300_mobilenet_v1', text[:-5]).clip_anchors


def test_file_and_text_have_the_same_canonical_text(tmp_path):
    path = tmp_path / 'cells.txt'
    path.write_text("\ufeff# s and s' in pixels\n25.0,154\n105,150   # two entries on a line:\n"
                    "150,195 195,240\n\n240,285\n285,300\n")
    assert (anchor_presets.canonical_text(str(path)) == anchor_presets.canonical_text(SIZES)
            == SIZES)


def test_canonical_text_does_not_depend_on_the_number_format():
    text = anchor_presets.canonical_text('30.50,6e1:2.0,0.5  60:1/3')
    assert text == '30.5,60:2,1/2 60:1/3' == anchor_presets.canonical_text(text)
    assert anchor_presets.canonical_text('voc') == 'voc'


@pytest.mark.parametrize('word', [
    '0.1,0.2', '30,60,90', '-30', '30,', '30,x', 'x', '30:0', '30:1/0', '30:-2', '30:x', '30:2,,3',
    'inf', 'nan', '1e400', '10001', '30,1e308', '30:1e-400', '30:101', '30:1e400',
    '30:1e999999999', '30:2E0', '30x', '30x40x50', '30x40,20', '30x0', '30@', '30@0', '30@inf',
    '30x40:2', '@16'])
def test_invalid_entries_are_rejected(word, tmp_path):
    (tmp_path / 'sizes').write_text(f'30,60 {word}')
    with pytest.raises(UserError, match='sizes: .* is not a valid entry'):
        anchor_presets.canonical_text(str(tmp_path / 'sizes'))


@pytest.mark.parametrize('text', [f' {SIZES}', f'\n{SIZES}\n', SIZES.replace(' ', '\n')])
def test_whitespace_is_ignored(text):
    assert anchor_presets.canonical_text(text) == SIZES


@pytest.mark.parametrize('content, message', [
    (b'# nothing', 'contains no anchor sizes'), (b'\xff\xfe', 'is not a readable text file'),
    (b'30,60 60', 'has sizes for 2 layers, but ssd_300_vgg has 6: block4, block7, block8')])
def test_invalid_files_are_rejected(content, message, tmp_path):
    (tmp_path / 'sizes').write_bytes(content)
    with pytest.raises(UserError, match=message):
        nets_factory.get_params('ssd_300_vgg', str(tmp_path / 'sizes'))


@pytest.mark.parametrize('name', ['kitti', '3missing.txt', 'a/b', ''])
def test_unknown_names_list_the_choices(name):
    with pytest.raises(UserError, match=f"unknown anchor preset '{name}', and no such file exists. "
                                        'Choose voc, coco, '):
        anchor_presets.canonical_text(name)


def test_folder_instead_of_a_file_is_rejected(tmp_path):
    with pytest.raises(UserError, match='is not a readable text file of anchor sizes'):
        anchor_presets.canonical_text(str(tmp_path))


def test_files_must_be_regular_and_small(tmp_path):
    with pytest.raises(UserError, match='/dev/zero is not a readable text .*not a regular file'):
        anchor_presets.canonical_text('/dev/zero')
    (tmp_path / 'sizes').write_bytes(b' ' * ((1 << 24) + 1))
    with pytest.raises(UserError, match='more than 16777216 bytes'):
        anchor_presets.canonical_text(str(tmp_path / 'sizes'))

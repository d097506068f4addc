import pytest

from common.errors import UserError
from nets import anchor_presets, nets_factory, ssd_params

SIX = '25,154 105,150 150,195 195,240 240,285 285,300'


def test_named_presets_differ_and_carry_their_name():
    voc, coco = (nets_factory.get_params('ssd_300_vgg', preset) for preset in ('voc', 'coco'))
    assert voc.anchor_sizes[0] == (30, 60) and voc.anchor_sizes[-1] == (264, 315)
    assert coco.anchor_sizes[0] == (21, 45) and coco.anchor_sizes[-1] == (261, 315)
    assert (voc.anchor_preset, coco.anchor_preset) == ('voc', 'coco')


def test_every_net_has_every_preset():
    for name in ssd_params.NETS:
        for preset in anchor_presets.NAMES:
            params = nets_factory.get_params(name, preset)
            assert len(params.anchor_sizes) == len(params.feat_layers)


def test_own_sizes_keep_the_ratios_of_the_net():
    net = nets_factory.get_params('ssd_300_mobilenet_v1')
    own = nets_factory.get_params('ssd_300_mobilenet_v1', SIX)
    assert own.anchor_sizes == ((25, 154), (105, 150), (150, 195), (195, 240), (240, 285), (285, 300))
    assert own.anchor_ratios == net.anchor_ratios and own.anchor_preset == SIX
    assert ssd_params.anchors_per_cell(net) == [3, 6, 6, 6, 6, 6]   # its first layer has no second square
    assert ssd_params.anchors_per_cell(own) == [4, 6, 6, 6, 6, 6]


def test_own_ratios_and_layers_without_a_second_square():
    own = nets_factory.get_params('ssd_300_mobilenet_v1', '25:3,1/3,.5 105: 150 195 240 285')
    assert own.anchor_sizes[:2] == ((25, None), (105, None))
    assert own.anchor_ratios[:3] == ((3, 1 / 3, .5), (), (2, .5, 3, 1 / 3))
    assert ssd_params.anchors_per_cell(own) == [4, 1, 5, 5, 5, 5]


def test_a_file_and_its_text_are_the_same(tmp_path):
    path = tmp_path / 'cells.txt'
    path.write_text("\ufeff# s and s' in pixels\n25.0,154\n105,150   # two on a line:\n150,195 195,240\n\n"
                    "240,285\n285,300\n")
    assert anchor_presets.canonical_text(str(path)) == anchor_presets.canonical_text(SIX) == SIX


def test_one_form_however_numbers_are_written():
    once = anchor_presets.canonical_text('30.50,6e1:2.0,0.5  60:1/3')
    assert once == '30.5,60:2,1/2 60:1/3' == anchor_presets.canonical_text(once)
    assert anchor_presets.canonical_text('voc') == 'voc'


@pytest.mark.parametrize('word', [
    '0.1,0.2', '30,60,90', '-30', '30,', '30,x', 'x', '30:0', '30:1/0', '30:-2', '30:x', '30:2,,3', 'inf',
    'nan', '1e400', '10001', '30,1e308', '30:1e-400', '30:101', '30:1e400'])
def test_words_that_are_no_sizes(word, tmp_path):
    (tmp_path / 'sizes').write_text(f'30,60 {word}')
    with pytest.raises(UserError, match='sizes: .* are no anchor sizes of a layer'):
        anchor_presets.canonical_text(str(tmp_path / 'sizes'))


@pytest.mark.parametrize('text', [f' {SIX}', f'\n{SIX}\n', SIX.replace(' ', '\n')])
def test_blanks_around_it_do_not_matter(text):
    assert anchor_presets.canonical_text(text) == SIX


@pytest.mark.parametrize('content, message', [
    (b'# nothing', 'holds no anchor sizes'), (b'\xff\xfe', 'cannot be read as a text file'),
    (b'30,60 60', "has sizes for 2 layers, but ssd_300_vgg has 6: block4, block7, block8")])
def test_files_that_do_not_do(content, message, tmp_path):
    (tmp_path / 'sizes').write_bytes(content)
    with pytest.raises(UserError, match=message):
        nets_factory.get_params('ssd_300_vgg', str(tmp_path / 'sizes'))


@pytest.mark.parametrize('name', ['kitti', '3missing.txt', 'a/b', ''])
def test_an_unknown_name_says_what_there_is(name):
    with pytest.raises(UserError, match=f"no anchor preset is called '{name}' and no such file is there; give voc"):
        anchor_presets.canonical_text(name)


def test_a_folder_is_no_file_of_sizes(tmp_path):
    with pytest.raises(UserError, match='cannot be read as a text file of anchor sizes'):
        anchor_presets.canonical_text(str(tmp_path))

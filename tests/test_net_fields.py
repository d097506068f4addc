import pytest

from common.errors import UserError
from nets import net_fields, nets_factory
from nets.net_table import NETS
from nets.ssd_params import ExtraBlock

NET = 'ssd_300_mobilenet_v1'
BLOCK = ['block14', 128, 256, 3, 2, 'SAME']


def test_differences_from_the_table_are_kept_and_read_back():
    blocks = (ExtraBlock(*BLOCK), *NETS[NET].extra_blocks[1:])
    params = nets_factory.get_params(NET)._replace(
        image_size=512, extra_blocks=blocks, extra_activation='relu6', scale=1 / 128)
    differences = nets_factory.differences_from_table(params)
    assert differences == {
        'image_size': 512, 'extra_blocks': [list(block) for block in blocks],
        'scale': 1 / 128, 'extra_activation': 'relu6'}
    assert nets_factory.get_params(NET, differences=differences) == params
    assert nets_factory.differences_from_table(nets_factory.get_params(NET, 'coco')) == {}


@pytest.mark.parametrize('name', NETS)
def test_the_fields_of_every_net_are_valid(name):
    others = NETS[name]._replace(   # so that every field differs
        **dict.fromkeys(net_fields.to_json(NETS[name], NETS['ssd_512_vgg']), None))
    differences = net_fields.to_json(NETS[name], others)
    assert net_fields.from_json(NETS[name], differences) == NETS[name]


@pytest.mark.parametrize('differences', [
    {'name': 'x'}, {'image_size': '300'}, {'image_size': True}, {'separable_extra': 1},
    {'extra_blocks': [['block14', 1]]}, {'extra_blocks': 3}, {'scale': None}, {'mean': 'abc'},
    {'image_size': 0}, {'image_size': 10 ** 9}, {'padding': 'VALID'}, {'scores': 'tanh'},
    {'heads': ['conv5x5'] * 6}, {'extra_activation': ''}, {'extra_activation': []},
    {'extra_blocks': [BLOCK[:-1] + ['VALID']]}, {'extra_blocks': [BLOCK[:4] + [0, 1]]},
    {'extra_blocks': [['../x', *BLOCK[1:]]]}, {'extra_blocks': [[None, *BLOCK[1:]]]},
    {'extra_blocks': [[{}, *BLOCK[1:]]]}, {'extra_blocks': [BLOCK[:3] + [1e400, 2, 1]]},
    {'feat_layers': [1]}, {'feat_layers': 'block14'}, {'variances': [.1, .1, .2]},
    {'variances': [0, .1, .2, .2]}, {'mean': [float('nan')] * 3}, {'depth_multiplier': 0}])
def test_other_fields_and_types_are_rejected(differences):
    with pytest.raises(UserError, match=f'{next(iter(differences))}=.* is not a property of a net'):
        nets_factory.get_params(NET, differences=differences)


@pytest.mark.parametrize('differences, problem', [
    ({'feat_layers': ['Conv2d_11_pointwise', 'block99']}, 'feat_layers=.* name each layer once'),
    ({'feat_layers': ['Conv2d_11_pointwise'] * 6}, 'feat_layers=.* name each layer once'),
    ({'extra_blocks': [BLOCK, BLOCK]}, 'feat_layers=.* name each layer once'),
    ({'feat_layers': ['Conv2d_11_pointwise', 'block14']}, 'has 6 anchor_ratios and 2 feature'),
    ({'feat_layers': []}, 'has 6 anchor_ratios and 0 feature layers'),
    ({'normalizations': [None]}, 'has 1 normalizations and 6 feature layers'),
    ({'heads': ['conv1x1']}, 'has 1 heads and 6 feature layers')])
def test_layers_that_do_not_fit_together_are_rejected(differences, problem):
    with pytest.raises(UserError, match=f'{problem}.*Restore the config.json'):
        nets_factory.get_params(NET, differences=differences)


def test_inputs_that_are_too_small_for_the_extra_layers_are_rejected():
    with pytest.raises(UserError, match='image_size=20 leaves nothing for the last layers'):
        nets_factory.get_params('ssd_300_vgg', differences={'image_size': 20})

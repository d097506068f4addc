import pytest

from common.errors import UserError
from nets import nets_factory
from nets.ssd_params import ExtraBlock


@pytest.mark.parametrize('typed, meant', [
    ('ssd_300_vg', 'ssd_300_vgg'), ('ssd_vgg_300', 'ssd_300_vgg'), ('SSD300-VGG16', 'ssd_300_vgg'),
    ('ssd512', 'ssd_512_vgg'), ('vgg_512', 'ssd_512_vgg'),
    ('ssd300_mobilenetv1', 'ssd_300_mobilenet_v1'),
    ('ssd_mobilenet_v1_0.5_300', 'ssd_300_mobilenet_v1_050')])
def test_unknown_net_suggests_what_was_meant(typed, meant):
    with pytest.raises(UserError, match=f"unknown net '{typed}'. Did you mean {meant}?"):
        nets_factory.get_params(typed)


def test_differences_from_the_table_are_kept_and_read_back():
    blocks = (ExtraBlock('block14', 128, 256, 3, 2, 'SAME'),)
    params = nets_factory.get_params('ssd_300_mobilenet_v1')._replace(
        image_size=512, extra_blocks=blocks, extra_activation='relu6', scale=1 / 128)
    differences = nets_factory.differences_from_table(params)
    assert differences == {
        'image_size': 512, 'extra_blocks': [['block14', 128, 256, 3, 2, 'SAME']],
        'scale': 1 / 128, 'extra_activation': 'relu6'}
    assert nets_factory.get_params('ssd_300_mobilenet_v1', differences=differences) == params
    assert nets_factory.differences_from_table(
        nets_factory.get_params('ssd_300_mobilenet_v1', 'coco')) == {}


@pytest.mark.parametrize('differences', [
    {'name': 'x'}, {'image_size': '300'}, {'image_size': True}, {'separable_extra': 1},
    {'extra_blocks': [['block14', 1]]}, {'extra_blocks': 3}, {'scale': None}, {'mean': 'abc'},
    {'image_size': 0}, {'image_size': 10 ** 9}, {'padding': 'VALID'}, {'scores': 'tanh'},
    {'heads': ['conv5x5'] * 6}, {'extra_activation': ''}])
def test_other_fields_and_types_are_rejected(differences):
    with pytest.raises(UserError, match=f'{next(iter(differences))}=.* is not a property of a net'):
        nets_factory.get_params('ssd_300_mobilenet_v1', differences=differences)

import pytest

from common.errors import UserError
from nets import nets_factory


def test_weights_keep_the_meaning_that_they_had_in_their_net():
    fields = {'padding': 'symmetric', 'scale': .007843, 'scores': 'sigmoid'}
    known = {'model_name': 'ssd_300_mobilenet_v1', 'net': fields}
    of_backbone = {'padding': 'symmetric', 'scale': .007843}
    for name, inherited in (
            ('ssd_300_mobilenet_v1', fields), ('ssd_512_mobilenet_v1', of_backbone),
            ('ssd_300_mobilenet_v2', {}), ('ssd_300_vgg', {}), ('unknown', {})):
        assert nets_factory.inherited_differences(name, known) == inherited
    known = {'backbone': 'resnet_v1_50', 'net': {'stride_unit': 'first', 'padding': 'symmetric'}}
    assert nets_factory.inherited_differences('ssd_300_resnet_50', known) == known['net']
    assert nets_factory.inherited_differences('ssd_300_vgg', known) == {}
    assert nets_factory.inherited_differences('ssd_300_vgg', {}) == {}


@pytest.mark.parametrize('typed, meant', [
    ('ssd_300_vg', 'ssd_300_vgg'), ('ssd_vgg_300', 'ssd_300_vgg'), ('SSD300-VGG16', 'ssd_300_vgg'),
    ('ssd512', 'ssd_512_vgg'), ('vgg_512', 'ssd_512_vgg'),
    ('ssd300_mobilenetv1', 'ssd_300_mobilenet_v1'),
    ('ssd_mobilenet_v1_0.5_300', 'ssd_300_mobilenet_v1_050')])
def test_unknown_net_suggests_what_was_meant(typed, meant):
    with pytest.raises(UserError, match=f"unknown net '{typed}'. Did you mean {meant}?"):
        nets_factory.get_params(typed)

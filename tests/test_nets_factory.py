import pytest

from common.errors import UserError
from nets import nets_factory


@pytest.mark.parametrize('typed, meant', [
    ('ssd_300_vg', 'ssd_300_vgg'), ('ssd_vgg_300', 'ssd_300_vgg'), ('SSD300-VGG16', 'ssd_300_vgg'),
    ('ssd512', 'ssd_512_vgg'), ('vgg_512', 'ssd_512_vgg'),
    ('ssd300_mobilenetv1', 'ssd_300_mobilenet_v1'),
    ('ssd_mobilenet_v1_0.5_300', 'ssd_300_mobilenet_v1_050')])
def test_unknown_net_suggests_what_was_meant(typed, meant):
    with pytest.raises(UserError, match=f"unknown net '{typed}'. Did you mean {meant}?"):
        nets_factory.get_params(typed)

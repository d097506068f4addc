import numpy as np
import pytest
from PIL import Image

from common.errors import UserError
from nets import nets_factory
from visualization import anchor_plot

NETS = [nets_factory.get_params('ssd_300_vgg', preset) for preset in ('voc', 'coco')]
BOXES = np.float32([[0, 0, .5, .5], [.2, .2, .9, .4]])


def test_plot_is_written(tmp_path):
    overlaps = [np.array([.2, .6]), np.array([.7, .8])]
    anchor_plot.draw(str(tmp_path / 'plot.png'), BOXES, NETS, overlaps)
    with Image.open(tmp_path / 'plot.png') as image:
        assert image.size == (1100, 500)


def test_unknown_extension_is_rejected(tmp_path):
    with pytest.raises(UserError, match='plot.odd cannot be written'):
        anchor_plot.draw(str(tmp_path / 'plot.odd'), BOXES, NETS, [np.zeros(2)] * 2)

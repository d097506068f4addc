"""A net that is quick to build and to run, for tests that start whole scripts.

Building and optimizing the graph takes most of the time of a short training, and this net has a
quarter of the ops of the smallest MobileNet. tests/script_server.py installs it in every script.
"""
import contextlib

import tf_slim as slim

from nets import backbones, layers, net_table, ssd_params

NAME = 'ssd_64_tiny'


def install(setitem=dict.__setitem__):
    """Add the net to the tables of the project: feature maps of 8 and 4 cells, 480 anchors.

    Args:
        setitem: Function (dict, key, value), such as `monkeypatch.setitem`.
    """
    params = net_table.NETS['ssd_160_mobilenet_v1_025']._replace(
        name=NAME, image_size=64, backbone='tiny',
        extra_blocks=(ssd_params.ExtraBlock('block4', 32, 64, kernel=3, stride=2, pad=1),),
        feat_layers=('conv3', 'block4'), anchor_ratios=((2., 1 / 2, 3., 1 / 3),) * 2,
        anchor_presets={'voc': ((13., 26.), (26., 52.)), 'coco': ((9., 20.), (20., 52.))},
        anchor_steps=(None,) * 2, normalizations=(None,) * 2)
    backbone = backbones.Backbone(__name__, {'conv3': 3}, (), False, True)
    for table, key, value in ((net_table.NETS, NAME, params),
                              (backbones.BACKBONES, 'tiny', backbone)):
        setitem(table, key, value)


@contextlib.contextmanager
def arg_scope():
    with slim.arg_scope([slim.conv2d], normalizer_fn=layers.batch_norm):
        yield


def build(images, _params):
    """Build three convolutions of stride 2."""
    end_points = {}
    for layer, depth in (('conv1', 8), ('conv2', 16), ('conv3', 32)):
        images = end_points[layer] = slim.conv2d(images, depth, [3, 3], stride=2, scope=layer)
    return end_points

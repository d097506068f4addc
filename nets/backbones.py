"""Table of backbones. One of your own takes a module and a line here: docs/own_backbone.md."""
from typing import NamedTuple


class Backbone(NamedTuple):
    """A backbone: where it is built, and what must be known without building it.

    Its module defines `arg_scope()`, a context manager that sets normalizer, initializer and
    regularizer of the backbone and of the extra layers, and `build(images, params)`, which takes
    normalized images [B, S, S, 3] and returns a dict: layer name -> [B, H, W, channels], the last
    one being the input of the extra layers. The module is imported when a net is built, because
    this table is needed where TensorFlow is not loaded.
    """
    module: str         # for example 'nets.vgg'
    halvings: dict      # feature layer -> number of times the backbone halves its input before it
    scopes: tuple       # scopes of the variables that every pretrained classifier has
    has_own_scope: bool   # the scopes are absolute; False: they are in the scope of the net
    batch_norm: bool    # the backbone and the extra layers have batch norm


def _mobilenet_v3(tail):
    """Return MobileNet v3, whose block `tail` has the last stride.

    The layers behind it have fewer channels in detectors than in classifiers.
    """
    blocks = ['expanded_conv', *(f'expanded_conv_{index}' for index in range(1, tail))]
    expansion = f'expanded_conv_{tail}'
    scopes = ['Conv', *blocks, *(f'{expansion}/{layer}'
                                 for layer in ('expand', 'depthwise', 'squeeze_excite'))]
    return Backbone('nets.mobilenet_v3', {f'{expansion}_expand': 4, 'Conv_1': 5},
                    tuple(f'MobilenetV3/{scope}' for scope in scopes), True, True)


BACKBONES = {
    'vgg_16': Backbone('nets.vgg', {'block4': 3, 'block7': 4},
                       tuple(f'conv{block}' for block in range(1, 6)), False, False),
    'mobilenet_v1': Backbone('nets.mobilenet_v1', {'Conv2d_11_pointwise': 4,
                                                   'Conv2d_13_pointwise': 5},
                             ('MobilenetV1',), True, True),
    'mobilenet_v2': Backbone('nets.mobilenet_v2', {'expanded_conv_5': 3, 'expanded_conv_12': 4,
                                                   'expanded_conv_13_expand': 4, 'Conv_1': 5},
                             ('MobilenetV2',), True, True),
    'mobilenet_v3_large': _mobilenet_v3(tail=12),
    'mobilenet_v3_small': _mobilenet_v3(tail=8),
    'resnet_v1_50': Backbone('nets.resnet_v1', {'block3': 3}, ('resnet_v1_50',), True, True),
}


def scopes_of(params):
    """Return the absolute variable scopes that every pretrained classifier covers.

    These are conv1 to conv5 of VGG, or all of MobileNet.
    """
    backbone = BACKBONES[params.backbone]
    prefix = '' if backbone.has_own_scope else f'{params.name}/'
    return [prefix + scope for scope in backbone.scopes]

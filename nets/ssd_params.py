"""Parameter tables of the nets. Nets differ only in the data of their immutable `SSDParams`.

Anchor sizes are chosen separately: see `nets.anchor_presets`. Sources: the SSD paper (Liu et al.,
arXiv 1512.02325, section 3) and its released models for the VGG nets and all aspect ratios; Howard
et al., MobileNets, arXiv 1704.04861, for the MobileNet nets.
"""
from typing import NamedTuple

# Backbone -> {feature layer: number of times the backbone halves its input before it}.
BACKBONES = {
    'vgg_16': {'block4': 3, 'block7': 4},
    'mobilenet_v1': {'Conv2d_11_pointwise': 4, 'Conv2d_13_pointwise': 5},
}


class ExtraBlock(NamedTuple):
    """An extra feature layer: a 1x1 convolution, then one that shrinks the feature map."""
    name: str
    squeeze: int   # channels of the 1x1 convolution
    depth: int     # channels of the second convolution
    kernel: int    # kernel size of the second convolution
    stride: int    # its stride
    pad: int       # zeros on each side before it; its own padding is 'VALID'


class SSDParams(NamedTuple):
    """Definition of a net. Sizes and steps are in pixels of the net's input.

    Tuples with a value per layer are in the order of `feat_layers`. The paper (section 2.2) calls
    the size of a layer its scale s_k; its extra anchor of aspect ratio 1 has the scale
    sqrt(s_k * s_k+1).
    """
    name: str
    image_size: int
    backbone: str             # key of `BACKBONES`
    depth_multiplier: float   # scales the channels of MobileNet and of its extra blocks
    extra_blocks: tuple       # of `ExtraBlock`, added after the backbone
    feat_layers: tuple        # names of the feature layers, finest first
    anchor_preset: str        # canonical text of the preset of `anchor_sizes`; '' in `NETS`
    anchor_sizes: tuple       # per layer (s_k, s_k+1); s_k+1 is None to leave out sqrt(s_k * s_k+1)
    anchor_ratios: tuple      # per layer, width / height of the other anchors of size s_k
    anchor_steps: tuple       # per layer, distance of anchor centers; None: image_size / cells
    normalizations: tuple     # per layer, initial scale of its L2 normalization, or None
    variances: tuple          # divisors of the offsets dx, dy, dw, dh
    mean: tuple               # RGB, subtracted from the image
    scale: float              # factor after the subtraction


def _strided_block(name, squeeze, depth):
    return ExtraBlock(name, squeeze, depth, kernel=3, stride=2, pad=1)


def _valid_block(name, squeeze, depth):
    return ExtraBlock(name, squeeze, depth, kernel=3, stride=1, pad=0)


_VARIANCES = (.1, .1, .2, .2)
_RATIOS_2, _RATIOS_3 = (2., 1 / 2), (2., 1 / 2, 3., 1 / 3)   # aspect ratios up to 2 and up to 3
_VGG_MEAN = (123., 117., 104.)

_SSD_300_VGG = SSDParams(
    name='ssd_300_vgg', image_size=300, backbone='vgg_16', depth_multiplier=1.,
    extra_blocks=(_strided_block('block8', 256, 512), _strided_block('block9', 128, 256),
                  _valid_block('block10', 128, 256), _valid_block('block11', 128, 256)),
    feat_layers=('block4', 'block7', 'block8', 'block9', 'block10', 'block11'),
    anchor_preset='', anchor_sizes=(),
    anchor_ratios=(_RATIOS_2, _RATIOS_3, _RATIOS_3, _RATIOS_3, _RATIOS_2, _RATIOS_2),
    anchor_steps=(8, 16, 32, 64, 100, 300),
    normalizations=(20., None, None, None, None, None),
    variances=_VARIANCES, mean=_VGG_MEAN, scale=1.)

_SSD_512_VGG = _SSD_300_VGG._replace(
    name='ssd_512_vgg', image_size=512,
    extra_blocks=(_strided_block('block8', 256, 512), _strided_block('block9', 128, 256),
                  _strided_block('block10', 128, 256), _strided_block('block11', 128, 256),
                  ExtraBlock('block12', 128, 256, kernel=4, stride=1, pad=1)),
    feat_layers=_SSD_300_VGG.feat_layers + ('block12',),
    anchor_ratios=(_RATIOS_2, _RATIOS_3, _RATIOS_3, _RATIOS_3, _RATIOS_3, _RATIOS_2, _RATIOS_2),
    anchor_steps=(8, 16, 32, 64, 128, 256, 512),
    normalizations=(20.,) + (None,) * 6)

_SSD_300_MOBILENET_V1 = SSDParams(
    name='ssd_300_mobilenet_v1', image_size=300, backbone='mobilenet_v1', depth_multiplier=1.,
    extra_blocks=(_strided_block('block14', 256, 512), _strided_block('block15', 128, 256),
                  _strided_block('block16', 128, 256), _strided_block('block17', 64, 128)),
    feat_layers=('Conv2d_11_pointwise', 'Conv2d_13_pointwise',
                 'block14', 'block15', 'block16', 'block17'),
    anchor_preset='', anchor_sizes=(),
    anchor_ratios=(_RATIOS_2, _RATIOS_3, _RATIOS_3, _RATIOS_3, _RATIOS_3, _RATIOS_3),
    anchor_steps=(None,) * 6,
    normalizations=(None,) * 6,
    variances=_VARIANCES, mean=(127.5,) * 3, scale=1 / 127.5)

_SSD_160_MOBILENET_V1_025 = _SSD_300_MOBILENET_V1._replace(
    name='ssd_160_mobilenet_v1_025', image_size=160, depth_multiplier=.25,
    extra_blocks=_SSD_300_MOBILENET_V1.extra_blocks[:3],
    feat_layers=_SSD_300_MOBILENET_V1.feat_layers[:5],
    anchor_ratios=(_RATIOS_3,) * 5, anchor_steps=(None,) * 5, normalizations=(None,) * 5)


def _with_multiplier(name, multiplier):
    return _SSD_300_MOBILENET_V1._replace(name=name, depth_multiplier=multiplier)


NETS = {params.name: params for params in (
    _SSD_300_VGG, _SSD_512_VGG, _SSD_300_MOBILENET_V1,
    _with_multiplier('ssd_300_mobilenet_v1_075', .75),
    _with_multiplier('ssd_300_mobilenet_v1_050', .5),
    _with_multiplier('ssd_300_mobilenet_v1_025', .25),
    _SSD_160_MOBILENET_V1_025)}


def backbone_scopes(params):
    """Return the variable scopes that every pretrained classifier covers.

    These are conv1 to conv5 of VGG, or all of MobileNet.
    """
    if params.backbone == 'mobilenet_v1':
        return ['MobilenetV1']
    return [f'{params.name}/conv{block}' for block in range(1, 6)]


def feature_sizes(params):
    """Return the cells per side of each (square) feature map, for example [38, 19, 10, 5, 3, 1]."""
    cells = {layer: -(-params.image_size // 2 ** halvings)   # 'SAME' padding rounds each halving up
             for layer, halvings in BACKBONES[params.backbone].items()}
    size = min(cells.values())
    for block in params.extra_blocks:
        size = (size + 2 * block.pad - block.kernel) // block.stride + 1
        cells[block.name] = size
    return [cells[layer] for layer in params.feat_layers]


def step_sizes(params):
    """Return the distance of neighboring anchor centers of each feature layer in pixels."""
    return [step or params.image_size / cells
            for step, cells in zip(params.anchor_steps, feature_sizes(params), strict=True)]


def anchors_per_cell(params):
    """Return the anchors per cell of each feature layer, for example [4, 6, 6, 6, 4, 4]."""
    return [1 + (next_size is not None) + len(ratios) for (_, next_size), ratios in
            zip(params.anchor_sizes, params.anchor_ratios, strict=True)]

"""Tables of nets. A net is one immutable `SSDParams`; all that differs between nets is data here.

The sizes of the anchors are a choice apart: `nets.anchor_presets`. Sources: the paper (Liu et al., SSD, arXiv
1512.02325, section 3 and the released models) for the VGG nets and their ratios; Howard et al., MobileNets, arXiv
1704.04861, for the MobileNet ones.
"""
from typing import NamedTuple

# How often a backbone halves its input before each of its feature layers.
BACKBONES = {
    'vgg_16': {'block4': 3, 'block7': 4},
    'mobilenet_v1': {'Conv2d_11_pointwise': 4, 'Conv2d_13_pointwise': 5},
}


class ExtraBlock(NamedTuple):
    """A 1x1 convolution that squeezes, then a kernel x kernel one that shrinks the map."""
    name: str
    squeeze: int   # channels of the 1x1 convolution
    depth: int     # channels of the output
    kernel: int
    stride: int
    pad: int       # zeros on every side before the second convolution, which pads nothing itself


class SSDParams(NamedTuple):
    """All that makes a net what it is. Sizes and steps in pixels of the net's input."""
    name: str
    image_size: int
    backbone: str
    depth_multiplier: float
    extra_blocks: tuple
    feat_layers: tuple
    anchor_preset: str      # what `anchor_presets` gave the sizes by; '' in the table
    anchor_sizes: tuple     # per layer (s, s'); s' None leaves out the anchor of size sqrt(s * s')
    anchor_ratios: tuple    # per layer, width / height of the further anchors of size s
    anchor_steps: tuple     # per layer, distance of centres; None: image_size / cells
    normalizations: tuple   # per layer, initial scale of L2 normalisation; None: none
    variances: tuple        # of the offsets dx, dy, dw, dh
    mean: tuple             # RGB, subtracted from the picture
    scale: float            # then multiplied


def _shrink(name, squeeze, depth):
    return ExtraBlock(name, squeeze, depth, kernel=3, stride=2, pad=1)


def _valid(name, squeeze, depth):
    return ExtraBlock(name, squeeze, depth, kernel=3, stride=1, pad=0)


_VARIANCES = (.1, .1, .2, .2)
_FEW, _MANY = (2., 1 / 2), (2., 1 / 2, 3., 1 / 3)
_VGG_MEAN = (123., 117., 104.)


_SSD_300_VGG = SSDParams(
    name='ssd_300_vgg', image_size=300, backbone='vgg_16', depth_multiplier=1.,
    extra_blocks=(_shrink('block8', 256, 512), _shrink('block9', 128, 256),
                  _valid('block10', 128, 256), _valid('block11', 128, 256)),
    feat_layers=('block4', 'block7', 'block8', 'block9', 'block10', 'block11'),
    anchor_preset='', anchor_sizes=(),
    anchor_ratios=(_FEW, _MANY, _MANY, _MANY, _FEW, _FEW),
    anchor_steps=(8, 16, 32, 64, 100, 300),
    normalizations=(20., None, None, None, None, None),
    variances=_VARIANCES, mean=_VGG_MEAN, scale=1.)

_SSD_512_VGG = _SSD_300_VGG._replace(
    name='ssd_512_vgg', image_size=512,
    extra_blocks=(_shrink('block8', 256, 512), _shrink('block9', 128, 256),
                  _shrink('block10', 128, 256), _shrink('block11', 128, 256),
                  ExtraBlock('block12', 128, 256, kernel=4, stride=1, pad=1)),
    feat_layers=_SSD_300_VGG.feat_layers + ('block12',),
    anchor_ratios=(_FEW, _MANY, _MANY, _MANY, _MANY, _FEW, _FEW),
    anchor_steps=(8, 16, 32, 64, 128, 256, 512),
    normalizations=(20.,) + (None,) * 6)

_SSD_300_MOBILENET_V1 = SSDParams(
    name='ssd_300_mobilenet_v1', image_size=300, backbone='mobilenet_v1', depth_multiplier=1.,
    extra_blocks=(_shrink('block14', 256, 512), _shrink('block15', 128, 256),
                  _shrink('block16', 128, 256), _shrink('block17', 64, 128)),
    feat_layers=('Conv2d_11_pointwise', 'Conv2d_13_pointwise',
                 'block14', 'block15', 'block16', 'block17'),
    anchor_preset='', anchor_sizes=(),
    anchor_ratios=(_FEW, _MANY, _MANY, _MANY, _MANY, _MANY),
    anchor_steps=(None,) * 6,
    normalizations=(None,) * 6,
    variances=_VARIANCES, mean=(127.5,) * 3, scale=1 / 127.5)

_SSD_160_MOBILENET_V1_025 = _SSD_300_MOBILENET_V1._replace(
    name='ssd_160_mobilenet_v1_025', image_size=160, depth_multiplier=.25,
    extra_blocks=_SSD_300_MOBILENET_V1.extra_blocks[:3],
    feat_layers=_SSD_300_MOBILENET_V1.feat_layers[:5],
    anchor_ratios=(_MANY,) * 5, anchor_steps=(None,) * 5, normalizations=(None,) * 5)

def _narrow(name, multiplier):
    return _SSD_300_MOBILENET_V1._replace(name=name, depth_multiplier=multiplier)


NETS = {params.name: params for params in (
    _SSD_300_VGG, _SSD_512_VGG, _SSD_300_MOBILENET_V1,
    _narrow('ssd_300_mobilenet_v1_075', .75), _narrow('ssd_300_mobilenet_v1_050', .5),
    _narrow('ssd_300_mobilenet_v1_025', .25), _SSD_160_MOBILENET_V1_025)}


def backbone_scopes(params):
    """Scopes of the layers that every classifier's weights give: conv1 to conv5 of VGG, all of MobileNet."""
    if params.backbone == 'mobilenet_v1':
        return ['MobilenetV1']
    return [f'{params.name}/conv{block}' for block in range(1, 6)]


def feature_sizes(params):
    """Cells along one side of each feature layer, in the order of `feat_layers`: [38, 19, 10, 5, 3, 1]."""
    cells = {layer: -(-params.image_size // 2 ** halvings)   # 'SAME' pooling rounds up at each halving
             for layer, halvings in BACKBONES[params.backbone].items()}
    size = min(cells.values())
    for block in params.extra_blocks:
        size = (size + 2 * block.pad - block.kernel) // block.stride + 1
        cells[block.name] = size
    return [cells[layer] for layer in params.feat_layers]


def anchors_per_cell(params):
    """Number of anchors at a cell of each feature layer: [4, 6, 6, 6, 4, 4]."""
    return [1 + (following is not None) + len(ratios)
            for (_, following), ratios in zip(params.anchor_sizes, params.anchor_ratios, strict=True)]

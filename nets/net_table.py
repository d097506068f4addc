"""The table of nets.

Sources: the SSD paper (Liu et al., arXiv 1512.02325, section 3) and its released models for the
VGG nets and all aspect ratios; Howard et al., MobileNets, arXiv 1704.04861, for the MobileNet v1
nets; Sandler et al., arXiv 1801.04381, section 6.2, for SSDLite; TensorFlow's Object Detection API
for the extra layers of the MobileNet v2 nets; torchvision for the MobileNet v3 nets; NVIDIA's
DeepLearningExamples for the ResNet.

Anchor sizes of VGG are those of the released models; ResNet has the same. MobileNet: paper eq. 4
with s_max 0.95, and s_min 0.2 for VOC or 0.15 for COCO. Its finest feature map has stride 16 and,
but for MobileNet v3, no anchor of size sqrt(s_k * s_k+1), so that the 300 nets have 1,917 anchors
and the 512 net 5,118.
"""
from nets.ssd_params import ExtraBlock, SSDParams


def _chained(*sizes):
    """Return (s_k, s_k+1) of each layer: _chained(1, 2, 3) is ((1, 2), (2, 3))."""
    return tuple(zip(sizes, sizes[1:], strict=False))


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
    anchor_presets={'voc': _chained(30., 60., 111., 162., 213., 264., 315.),
                    'coco': _chained(21., 45., 99., 153., 207., 261., 315.)},
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
    anchor_presets={
        'voc': _chained(35.84, 76.8, 153.6, 230.4, 307.2, 384., 460.8, 537.6),
        'coco': _chained(20.48, 51.2, 133.12, 215.04, 296.96, 378.88, 460.8, 542.72)},
    anchor_ratios=(_RATIOS_2, _RATIOS_3, _RATIOS_3, _RATIOS_3, _RATIOS_3, _RATIOS_2, _RATIOS_2),
    anchor_steps=(8, 16, 32, 64, 128, 256, 512),
    normalizations=(20.,) + (None,) * 6)

_SSD_300_MOBILENET_V1 = SSDParams(
    name='ssd_300_mobilenet_v1', image_size=300, backbone='mobilenet_v1', depth_multiplier=1.,
    extra_blocks=(_strided_block('block14', 256, 512), _strided_block('block15', 128, 256),
                  _strided_block('block16', 128, 256), _strided_block('block17', 64, 128)),
    feat_layers=('Conv2d_11_pointwise', 'Conv2d_13_pointwise',
                 'block14', 'block15', 'block16', 'block17'),
    anchor_presets={'voc': ((60., None), *_chained(105., 150., 195., 240., 285., 300.)),
                    'coco': ((45., None), *_chained(93., 141., 189., 237., 285., 300.))},
    anchor_ratios=(_RATIOS_2, _RATIOS_3, _RATIOS_3, _RATIOS_3, _RATIOS_3, _RATIOS_3),
    anchor_steps=(None,) * 6,
    normalizations=(None,) * 6,
    variances=_VARIANCES, mean=(127.5,) * 3, scale=1 / 127.5)

_SSD_160_MOBILENET_V1_025 = _SSD_300_MOBILENET_V1._replace(
    name='ssd_160_mobilenet_v1_025', image_size=160, depth_multiplier=.25,
    extra_blocks=_SSD_300_MOBILENET_V1.extra_blocks[:3],
    feat_layers=_SSD_300_MOBILENET_V1.feat_layers[:5],
    anchor_presets={'voc': _chained(32., 62., 92., 122., 152., 160.),
                    'coco': _chained(24., 56., 88., 120., 152., 160.)},
    anchor_ratios=(_RATIOS_3,) * 5, anchor_steps=(None,) * 5, normalizations=(None,) * 5)

_SSD_512_MOBILENET_V1 = _SSD_300_MOBILENET_V1._replace(
    name='ssd_512_mobilenet_v1', image_size=512,
    anchor_presets={
        'voc': ((102.4, None), *_chained(179.2, 256., 332.8, 409.6, 486.4, 512.)),
        'coco': ((76.8, None), *_chained(158.72, 240.64, 322.56, 404.48, 486.4, 512.))})

# Extra blocks as in the Object Detection API, so that its detectors differ in few fields.
_SSD_300_MOBILENET_V2 = _SSD_300_MOBILENET_V1._replace(
    name='ssd_300_mobilenet_v2', backbone='mobilenet_v2',
    extra_blocks=tuple(
        block._replace(name=f'block{index}', pad='SAME')
        for index, block in enumerate(_SSD_300_MOBILENET_V1.extra_blocks, 19)),
    feat_layers=('expanded_conv_13_expand', 'Conv_1', 'block19', 'block20', 'block21', 'block22'),
    extra_activation='relu6')

_SSDLITE_300_MOBILENET_V2 = _SSD_300_MOBILENET_V2._replace(
    name='ssdlite_300_mobilenet_v2', heads=('separable',) * 6, separable_extra=True)

_SSD_300_RESNET_50 = _SSD_300_VGG._replace(
    name='ssd_300_resnet_50', backbone='resnet_v1_50',
    extra_blocks=(_strided_block('block4', 256, 512), _strided_block('block5', 256, 512),
                  _strided_block('block6', 128, 256), _valid_block('block7', 128, 256),
                  _valid_block('block8', 128, 256)),
    feat_layers=('block3', 'block4', 'block5', 'block6', 'block7', 'block8'),
    normalizations=(None,) * 6, mean=(123.68, 116.78, 103.94))


def _ssdlite_320(backbone, first_layer, next_block):
    """Return torchvision's ssdlite320 on a backbone, whose extra blocks count from `next_block`."""
    names = [f'block{next_block + index}' for index in range(4)]
    return _SSD_300_MOBILENET_V1._replace(
        name=f'ssdlite_320_{backbone}', image_size=320, backbone=backbone,
        extra_blocks=tuple(block._replace(name=name) for name, block in
                           zip(names, _SSD_300_MOBILENET_V1.extra_blocks, strict=True)),
        feat_layers=(first_layer, 'Conv_1', *names),
        anchor_presets={'voc': _chained(64., 112., 160., 208., 256., 304., 320.),
                        'coco': _chained(48., 99.2, 150.4, 201.6, 252.8, 304., 320.)},
        anchor_ratios=(_RATIOS_3,) * 6, heads=('separable',) * 6, extra_activation='relu6',
        separable_extra=True, reduced_tail=True)


def _widths(params, *multipliers):
    """Return a net and its copies of other widths, with names that end in _075 for width 0.75."""
    return (params, *(params._replace(name=f'{params.name}_{100 * multiplier:03.0f}',
                                      depth_multiplier=multiplier) for multiplier in multipliers))


NETS = {params.name: params for params in (
    _SSD_300_VGG, _SSD_512_VGG,
    *_widths(_SSD_300_MOBILENET_V1, .75, .5, .25),
    _SSD_160_MOBILENET_V1_025, _SSD_512_MOBILENET_V1,
    *_widths(_SSD_300_MOBILENET_V2, .75, .5, .35),
    *_widths(_SSDLITE_300_MOBILENET_V2, .75, .5, .35),
    _ssdlite_320('mobilenet_v3_large', 'expanded_conv_12_expand', next_block=18),
    _ssdlite_320('mobilenet_v3_small', 'expanded_conv_8_expand', next_block=14),
    _SSD_300_RESNET_50)}

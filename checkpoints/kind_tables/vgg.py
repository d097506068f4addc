"""Kinds of files of VGG-16: classifiers, and the detectors SSD300 and SSD512."""
import numpy as np

from checkpoints import class_names
from checkpoints.conversion import InputNormalization
from checkpoints.kind import CAFFE, KERAS, SLIM, TORCH, Kind
from checkpoints.kind_tables import anchor_texts
from checkpoints.kind_tables.inputs import OXFORD, SSD_AUTHORS, TORCHVISION
from nets.net_table import NETS

_FEATURES = ('block4', 'block7', 'block8', 'block9', 'block10', 'block11', 'block12')
_CONVS = [(block, index) for block, repeats in enumerate((2, 2, 3, 3, 3), 1)
          for index in range(1, repeats + 1)]
# Indices of the convolutions in torchvision's vgg16().features, which also counts ReLU and pooling.
_POSITIONS_WITH_BATCH_NORM = (0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40)
_POSITIONS = dict(zip(_CONVS, (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28), strict=True))
_L2_SCALE = 'block4_box/L2Normalization/gamma'


def _backbone(pattern, **dense):
    """Return {our layer: name in the file} of VGG-16.

    Args:
        pattern: name of a convolution in the file, with {block}, {index} and {position}, its index
            in torchvision's vgg16.
        **dense: names of conv6 and conv7 in the file.
    """
    return {**{f'conv{block}/conv{block}_{index}': pattern.format(
        block=block, index=index, position=_POSITIONS[block, index]) for block, index in _CONVS},
        **dense}


def _extra_layers(names):
    """Return {our layer: name in the file} of the extra layers from the names of each pair."""
    layers = {}
    for block, (squeeze, shrink) in enumerate(names, 8):
        size = '4x4' if block == 12 else '3x3'   # the last layer of SSD512
        layers |= {f'block{block}/conv1x1': squeeze, f'block{block}/conv{size}': shrink}
    return layers


def _heads(names):
    """Return {our layer: name in the file} from the names (offsets, classes) of each layer."""
    layers = {}
    for feature, (loc, cls) in zip(_FEATURES, names, strict=False):
        layers |= {f'{feature}_box/conv_loc': loc, f'{feature}_box/conv_cls': cls}
    return layers


_ONES = (1., 1., 1.)
_NO_GAPS = class_names.VOC_OR_COCO
_BGR = SSD_AUTHORS._replace(is_bgr=True)
_TORCHVISION_SSD_MEAN = (.48235 * 255, .45882 * 255, .40784 * 255)
_HIKAPOK_MEAN = (123.68, 116.78, 103.94)


def _has_no_classifier(source):
    """Return whether fc6 is NaN, as in torchvision's IMAGENET1K_FEATURES, used by its SSD."""
    fc6 = 'classifier.0.weight'
    return fc6 in source.shapes and not np.isfinite(source.read(fc6)).all()


def _has_full_fc6(source):
    """Return whether fc6 has 4096 outputs, as in Oxford's file; the SSD authors' have 1024."""
    return np.prod(source.shapes.get('fc6/blob_0', [0])) == 4096 * 7 * 7 * 512


def _caffe_layers(num_extra):
    """Return the layers of the SSD authors, with this number of extra blocks."""
    blocks = range(6, 6 + num_extra)
    heads = ['conv4_3_norm', 'fc7', *(f'conv{block}_2' for block in blocks)]
    return (_backbone('conv{block}_{index}', conv6='fc6', conv7='fc7')
            | _extra_layers([(f'conv{block}_1', f'conv{block}_2') for block in blocks])
            | _heads([(f'{head}_mbox_loc', f'{head}_mbox_conf') for head in heads]))


def _torch_layers(backbone, conv6, conv7, extra, heads, num_extra):
    """Return the layers of a PyTorch detector.

    Args:
        backbone: pattern as of `_backbone`.
        conv6, conv7: their names.
        extra: pattern of the convolutions of the extra blocks, numbered from 0 with {index}.
        heads: patterns of the layers of offsets and classes, with {index}.
        num_extra: number of extra blocks.
    """
    return (_backbone(backbone, conv6=conv6, conv7=conv7)
            | _extra_layers([(extra.format(index=2 * block), extra.format(index=2 * block + 1))
                             for block in range(num_extra)])
            | _heads([tuple(pattern.format(index=index) for pattern in heads)
                      for index in range(num_extra + 2)]))


def _torchvision_layers():
    """Return the layers of torchvision's ssd300_vgg16, whose backbone is split after conv4_3."""
    layers = _torch_layers('backbone.features.{position}', 'backbone.extra.0.7.1',
                           'backbone.extra.0.7.3', '',
                           ('head.regression_head.module_list.{index}',
                            'head.classification_head.module_list.{index}'), 4)
    layers |= {f'conv5/conv5_{index}': f'backbone.extra.0.{2 * index - 1}' for index in (1, 2, 3)}
    return layers | _extra_layers([(f'backbone.extra.{block}.0', f'backbone.extra.{block}.2')
                                   for block in range(1, 5)])


def _qfgaohao_layers():
    """Return the layers of qfgaohao's vgg16-ssd, with batch norm instead of L2 normalization."""
    layers = _torch_layers('base_net.{position}', 'base_net.31', 'base_net.33', '',
                           ('regression_headers.{index}', 'classification_headers.{index}'), 4)
    layers |= _extra_layers([(f'extras.{block}.0', f'extras.{block}.2') for block in range(4)])
    return layers | {'block4_box': ('', 'source_layer_add_ons.0')}


def _preset(heads):
    """Return 'voc', or 'coco' if the file has more classes than VOC."""
    return 'coco' if heads.num_classes > len(class_names.VOC) + 1 else 'voc'


def _preset_of(_source, _params, heads):
    return _preset(heads)


def _clipped_preset(_source, params, heads):
    """Return the anchors of VOC or COCO with centers and sides limited to the image.

    PyTorch programs have 537.65 instead of 537.6 pixels as last size of SSD512.
    """
    sizes = [f'{size:g},{next_size:g}' for size, next_size in params.anchor_presets[_preset(heads)]]
    return ' '.join([*sizes, 'clip']).replace('537.6 ', '537.65 ')


def _torchvision_anchors(_source, params, _heads):
    """Return the anchors `coco` with sides, but not centers, limited to the image."""
    shapes = [anchor_texts.layer(*sizes, ratios) for sizes, ratios in
              zip(params.anchor_presets['coco'], params.anchor_ratios, strict=True)]
    return anchor_texts.text(shapes, params.image_size)


def _hikapok_anchors(*_):
    """Return the anchors of HiKapok's train_ssd.py: the larger square first, 1/3 rounded."""
    sizes = (.1, .2, .375, .55, .725, .9)
    squares = (.1414, .2739, .4541, .6315, .8078, .9836)
    ratios = ((1., 2., .5), *((1., 2., 3., .5, .3333),) * 3, *((1., 2., .5),) * 2)
    return anchor_texts.text(
        [[anchor_texts.box(300 * square), *(anchor_texts.box(300 * size, ratio) for ratio in row)]
         for size, square, row in zip(sizes, squares, ratios, strict=True)])


def _detector(title, signature, layers, dialect, scale, *, net='ssd_300_vgg', **fields):
    """Return the `Kind` of an SSD with VGG.

    Args:
        scale: name of the scale of the L2 normalization in the file.
        net: name in `NETS`.
        **fields: further fields.
    """
    return Kind(title, 'vgg_16', signature, layers, dialect, vectors={_L2_SCALE: scale},
                nets={1024: net}, width_layer='conv7', **fields)


def _lufficc(net, num_extra, **fields):
    return _detector(
        f"lufficc's SSD{net[4:7]}", ('backbone.l2_norm.weight', 'backbone.vgg.0.weight'),
        _torch_layers('backbone.vgg.{position}', 'backbone.vgg.31', 'backbone.vgg.33',
                      'backbone.extras.{index}',
                      ('box_head.predictor.reg_headers.{index}',
                       'box_head.predictor.cls_headers.{index}'), num_extra),
        TORCH, 'backbone.l2_norm.weight', net=net, normalization=SSD_AUTHORS,
        anchors=_clipped_preset, class_names=_NO_GAPS, **fields)


def _caffe(net, num_extra, **fields):
    return _detector(
        f"the SSD authors' SSD{net[4:7]} for Caffe",
        ('conv1_1/blob_0', 'conv4_3_norm/blob_0', 'conv4_3_norm_mbox_conf/blob_0'),
        _caffe_layers(num_extra), CAFFE, 'conv4_3_norm/blob_0', net=net, normalization=_BGR,
        anchors=_preset_of, class_names=_NO_GAPS, **fields)


_LAST_OF_LUFFICC, _LAST_OF_CAFFE = 'backbone.extras.9.weight', 'conv10_2/blob_0'   # of SSD512
_KERAS_HEADS = ['conv4_3_norm', 'fc7', *(f'conv{block}_2' for block in range(6, 10))]
_DETECTORS = (
    _detector("torchvision's ssd300_vgg16", ('backbone.scale_weight', 'backbone.features.0.weight'),
              _torchvision_layers(), TORCH, 'backbone.scale_weight',
              normalization=InputNormalization(_TORCHVISION_SSD_MEAN, _ONES),
              differences={'mean': _TORCHVISION_SSD_MEAN}, anchors=_torchvision_anchors,
              class_names=class_names.VOC_OR_COCO_IDS),
    _lufficc('ssd_512_vgg', 5)._replace(
        signature=('backbone.l2_norm.weight', 'backbone.vgg.0.weight', _LAST_OF_LUFFICC)),
    _lufficc('ssd_300_vgg', 4, foreign=(_LAST_OF_LUFFICC,)),
    _detector("amdegroot's SSD300", ('L2Norm.weight', 'vgg.0.weight'),
              _torch_layers('vgg.{position}', 'vgg.31', 'vgg.33', 'extras.{index}',
                            ('loc.{index}', 'conf.{index}'), 4),
              TORCH, 'L2Norm.weight', normalization=SSD_AUTHORS, anchors=_clipped_preset,
              class_names=_NO_GAPS),
    _detector("qfgaohao's vgg16-ssd", ('base_net.0.weight', 'source_layer_add_ons.0.running_mean',
                                       'classification_headers.0.weight'),
              _qfgaohao_layers(), TORCH, '', normalization=SSD_AUTHORS,
              differences={'normalizations': ('batch_norm', *(None,) * 5)},
              anchors=_clipped_preset, class_names={21: class_names.VOC})._replace(vectors={}),
    _detector("pierluigiferrari's SSD300 for Keras",
              ('conv1_1/kernel', 'conv4_3_norm_mbox_conf/kernel'),
              _backbone('conv{block}_{index}', conv6='fc6', conv7='fc7')
              | _extra_layers([(f'conv{block}_1', f'conv{block}_2') for block in range(6, 10)])
              | _heads([(f'{head}_mbox_loc', f'{head}_mbox_conf') for head in _KERAS_HEADS]),
              KERAS, 'conv4_3_norm/conv4_3_norm_gamma', normalization=_BGR,
              foreign=('conv10_2/kernel',), anchors=_preset_of, class_names=_NO_GAPS),
    _detector("HiKapok's SSD300",
              ('ssd300/conv1/conv1_1/kernel', 'ssd300/multibox_head/cls_0/kernel'),
              _backbone('ssd300/conv{block}/conv{block}_{index}', conv6='ssd300/fc6',
                        conv7='ssd300/fc7')
              | _extra_layers([[f'ssd300/additional_layers/conv{block}/conv{block}_{index}'
                                for index in (1, 2)] for block in range(8, 12)])
              | _heads([(f'ssd300/multibox_head/loc_{index}', f'ssd300/multibox_head/cls_{index}')
                        for index in range(6)]),
              KERAS, 'ssd300/conv4_3_scale/weights',
              normalization=InputNormalization(_HIKAPOK_MEAN, _ONES, is_bgr=True),
              differences={'mean': _HIKAPOK_MEAN, 'extra_blocks': tuple(
                  block._replace(pad='SAME') if block.name == 'block9' else block
                  for block in NETS['ssd_300_vgg'].extra_blocks)},
              anchors=_hikapok_anchors, class_names=_NO_GAPS, box_order=(1, 0, 3, 2)),
    _caffe('ssd_512_vgg', 5)._replace(
        signature=('conv1_1/blob_0', 'conv4_3_norm/blob_0', _LAST_OF_CAFFE)),
    _caffe('ssd_300_vgg', 4, foreign=(_LAST_OF_CAFFE,)))


def _classifier(title, signature, layers, dialect, normalization, **fields):
    return Kind(title, 'vgg_16', (signature,), layers, dialect, normalization, **fields)


_TORCHVISION_CONVS = _backbone('features.{position}')
_CAFFE_VGG = _backbone('conv{block}_{index}', conv6='fc6', conv7='fc7')
_CLASSIFIERS = (
    _classifier("torchvision's vgg16_bn", 'features.41.running_mean',
                {**{f'conv{block}/conv{block}_{index}': (f'features.{position}',
                                                         f'features.{position + 1}')
                    for (block, index), position in zip(_CONVS, _POSITIONS_WITH_BATCH_NORM,
                                                        strict=True)},
                 'conv6': 'classifier.0', 'conv7': 'classifier.3'}, TORCH, TORCHVISION,
                deeper_net_name='features.49.weight'),
    _classifier("tf-slim's vgg_16", 'vgg_16/conv1/conv1_1/weights',
                _backbone('vgg_16/conv{block}/conv{block}_{index}', conv6='vgg_16/fc6',
                          conv7='vgg_16/fc7'), SLIM, OXFORD),
    _classifier("Keras's VGG16", 'block1_conv1/kernel',
                _backbone('block{block}_conv{index}', conv6='fc1', conv7='fc2'), KERAS,
                OXFORD._replace(is_bgr=True), deeper_net_name='block3_conv4/kernel'),
    _classifier("Keras's VGG16", 'conv1_1/kernel', _backbone('conv{block}_{index}'), KERAS,
                OXFORD._replace(is_bgr=True), deeper_net_name='conv3_4/kernel'),
    _classifier("torchvision's vgg16 without its classifier", 'features.28.weight',
                _TORCHVISION_CONVS, TORCH, SSD_AUTHORS, deeper_net_name='features.34.weight',
                matches=_has_no_classifier),
    _classifier("torchvision's vgg16", 'features.28.weight',
                {**_TORCHVISION_CONVS, 'conv6': 'classifier.0', 'conv7': 'classifier.3'}, TORCH,
                TORCHVISION, deeper_net_name='features.34.weight'),
    _classifier("Oxford's VGG16 for Caffe", 'conv1_1/blob_0', _CAFFE_VGG, CAFFE,
                OXFORD._replace(is_bgr=True), deeper_net_name='conv3_4/blob_0',
                matches=_has_full_fc6),
    _classifier("the SSD authors' VGG16 for Caffe", 'conv1_1/blob_0', _CAFFE_VGG, CAFFE, _BGR,
                deeper_net_name='conv3_4/blob_0'))

KINDS = _DETECTORS + _CLASSIFIERS

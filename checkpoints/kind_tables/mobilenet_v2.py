"""Kinds of files of MobileNet v2: classifiers, and the detectors of three programs."""
from checkpoints import class_names
from checkpoints.kind import KERAS, SLIM, TORCH, Kind
from checkpoints.kind_tables import object_detection_api as odapi
from checkpoints.kind_tables import ssdlite
from checkpoints.kind_tables.inputs import (
    QFGAOHAO_ANCHORS,
    QFGAOHAO_FIELDS,
    QFGAOHAO_INPUT,
    SSD_AUTHORS,
    TORCHVISION,
    mobilenet_anchors,
)
from nets.net_table import NETS

_NET = NETS['ssdlite_300_mobilenet_v2']
_FIRST, _WIDTH_LAYER = 'MobilenetV2/Conv', 'MobilenetV2/expanded_conv_16/project'
_PARTS = ('expand', 'depthwise', 'project')


def _backbone(first, block, last):
    """Return {our layer: names in the file}.

    Args:
        first, last: names of the first and the last layer.
        block: function (index from 0 to 16, part of `_PARTS`) -> names of the layer.
    """
    layers = {_FIRST: first, 'MobilenetV2/Conv_1': last}
    for index in range(17):
        scope = f'MobilenetV2/expanded_conv_{index}' if index else 'MobilenetV2/expanded_conv'
        layers |= {f'{scope}/{part}': block(index, part) for part in _PARTS[0 if index else 1:]}
    return layers


def _odapi_name(layer):
    return odapi.slim_layer(f'{odapi.SCOPE}MobilenetV2/{layer}')


def _odapi_block(index, part):
    return _odapi_name(f'expanded_conv_{index}/{part}' if index else f'expanded_conv/{part}')


def _odapi_extra(index, part):
    block = _NET.extra_blocks[index]
    if part == 'conv1x1':
        return _odapi_name(f'layer_19_1_Conv2d_{index + 2}_1x1_{block.squeeze}')
    depthwise = '_depthwise' if part == 'conv3x3_depthwise' else ''
    return _odapi_name(f'layer_19_2_Conv2d_{index + 2}_3x3_s2_{block.depth}{depthwise}')


def _odapi_head(is_separable):
    def names(index, conv):
        name = (f'BoxPredictor_{index}/'
                f'{"BoxEncodingPredictor" if conv == "loc" else "ClassPredictor"}')
        return is_separable and odapi.slim_layer(f'{name}_depthwise'), name
    return names


_ODAPI_BACKBONE = _backbone(_odapi_name('Conv'), _odapi_block, _odapi_name('Conv_1'))
_ODAPI_SIGNATURE = f'{odapi.SCOPE}MobilenetV2/Conv/weights'


def _odapi(title, net, last_of_extra, is_separable, **fields):
    """Return the kind of a detector of the Object Detection API.

    Args:
        title: of the kind.
        net: name in `NETS`.
        last_of_extra: our names of the second part of the extra blocks.
        is_separable: whether the prediction layers are separable, as in SSDLite.
        **fields: further fields of `Kind`.
    """
    head = 'BoxPredictor_0/BoxEncodingPredictor'
    has_separable_extra = last_of_extra == ssdlite.SEPARABLE
    return Kind(
        f"the Object Detection API's {title}", 'mobilenet_v2',
        (_ODAPI_SIGNATURE, f'{head}/weights'),
        {**_ODAPI_BACKBONE,
         **ssdlite.extra_layers(_NET.extra_blocks, _odapi_extra, ('conv1x1', *last_of_extra)),
         **ssdlite.heads(_NET.feat_layers, _odapi_head(is_separable))}, SLIM,
        nets={320: net}, width_layer=_WIDTH_LAYER,
        differences={**odapi.DIFFERENCES, 'separable_extra': has_separable_extra},
        anchors=odapi.anchors, class_names=odapi.CLASS_NAMES, box_order=odapi.BOX_ORDER, **fields)


_DEPTHWISE_EXTRA = f'{_odapi_extra(0, "conv3x3_depthwise")[0]}/depthwise_weights'
_DEPTHWISE_HEAD = 'BoxPredictor_0/BoxEncodingPredictor_depthwise/depthwise_weights'


def _torch_parts(first, second, third):
    """Return the names of the parts of a bottleneck, each (suffix, suffix of batch norm)."""
    return dict(zip(_PARTS, (first, second, third), strict=True))


# Indices in the Sequential of a bottleneck; the first one of the net has no expansion.
_TORCHVISION_PARTS = _torch_parts(('0.0', '0.1'), ('1.0', '1.1'), ('2', '3'))
_TORCHVISION_FIRST = _torch_parts(None, ('0.0', '0.1'), ('1', '2'))
_QFGAOHAO_PARTS = _torch_parts(('0', '1'), ('3', '4'), ('6', '7'))
_QFGAOHAO_FIRST = _torch_parts(None, ('0', '1'), ('3', '4'))


def _torch_backbone(scope, first_parts, parts):
    """Return {our layer: names in the file} of a MobileNet v2 in PyTorch below a scope."""
    def block(index, part):
        suffixes = (parts if index else first_parts)[part]
        return tuple(f'{scope}.{index + 1}.conv.{suffix}' for suffix in suffixes)
    return _backbone((f'{scope}.0.0', f'{scope}.0.1'), block, (f'{scope}.18.0', f'{scope}.18.1'))


def _torch_extra(scope, parts):
    """Return {our layer: names in the file} of extra blocks that are inverted residuals."""
    our_parts = dict(zip(('conv1x1', *ssdlite.SEPARABLE), parts.values(), strict=True))
    return ssdlite.extra_layers(_NET.extra_blocks, lambda index, part: tuple(
        f'{scope}.{index}.conv.{suffix}' for suffix in our_parts[part]))


def _torch_heads(feat_layers, loc, cls, inner):
    """Return {our layer: names in the file}; the last prediction layer is a 1x1 convolution.

    Args:
        feat_layers: our names of the feature layers.
        loc, cls: scopes of the layers, without their index.
        inner: scope of the Sequential of a separable convolution, with a dot at the end, or ''.
    """
    def names(index, conv):
        name = f'{loc if conv == "loc" else cls}.{index}'
        if index == len(feat_layers) - 1:
            return None, name
        return (f'{name}.{inner}0', f'{name}.{inner}1'), f'{name}.{inner}3'
    return ssdlite.heads(feat_layers, names)


# The extra blocks of both PyTorch programs: the expansion of 1280, 512, 256 and 256 channels.
_TORCH_EXTRA = tuple(extra._replace(squeeze=squeeze, depth=depth, pad=1) for extra, squeeze, depth
                     in zip(_NET.extra_blocks, (256, 128, 128, 64), (512, 256, 256, 64),
                            strict=True))
_TORCH_FIELDS = {'padding': 'symmetric', 'linear_extra': True, 'separable_extra': True,
                 'extra_blocks': _TORCH_EXTRA}
_LUFFICC_FEATURES = ('expanded_conv_12', *_NET.feat_layers[1:])
_LUFFICC_ANCHORS = mobilenet_anchors((16, 32, 64, 107, 160, 320))


def _keras_name(index, part):
    name = f'block_{index}_{part}' if index else f'expanded_conv_{part}'
    return name, f'{name}_BN'


KINDS = (
    _odapi('ssdlite_mobilenet_v2', 'ssdlite_300_mobilenet_v2', ssdlite.SEPARABLE, True)._replace(
        signature=(_ODAPI_SIGNATURE, _DEPTHWISE_HEAD)),
    _odapi('ssd_mobilenet_v2', 'ssd_300_mobilenet_v2', ssdlite.SEPARABLE, False)._replace(
        signature=(_ODAPI_SIGNATURE, 'BoxPredictor_0/BoxEncodingPredictor/weights',
                   _DEPTHWISE_EXTRA)),
    _odapi('ssd_mobilenet_v2 without use_depthwise', 'ssd_300_mobilenet_v2', ('conv3x3',), False),
    Kind("lufficc's MobileNetV2 SSD320", 'mobilenet_v2',
         ('backbone.features.1.conv.0.0.weight', 'box_head.predictor.cls_headers.0.conv.0.weight'),
         {**_torch_backbone('backbone.features', _TORCHVISION_FIRST, _TORCHVISION_PARTS),
          **_torch_extra('backbone.extras', _TORCHVISION_PARTS),
          **_torch_heads(_LUFFICC_FEATURES, 'box_head.predictor.reg_headers',
                         'box_head.predictor.cls_headers', 'conv.')}, TORCH, SSD_AUTHORS,
         nets={320: 'ssdlite_300_mobilenet_v2'}, width_layer=_WIDTH_LAYER,
         differences={**_TORCH_FIELDS, 'image_size': 320, 'feat_layers': _LUFFICC_FEATURES,
                      'mean': SSD_AUTHORS.mean, 'scale': 1.},
         anchors=lambda *_: _LUFFICC_ANCHORS, class_names=class_names.VOC_OR_COCO),
    Kind("qfgaohao's mb2-ssd-lite", 'mobilenet_v2',
         ('base_net.1.conv.0.weight', 'extras.0.conv.0.weight',
          'classification_headers.0.0.weight'),
         {**_torch_backbone('base_net', _QFGAOHAO_FIRST, _QFGAOHAO_PARTS),
          **_torch_extra('extras', _QFGAOHAO_PARTS),
          **_torch_heads(_NET.feat_layers, 'regression_headers', 'classification_headers', '')},
         TORCH, QFGAOHAO_INPUT, nets={320: 'ssdlite_300_mobilenet_v2'}, width_layer=_WIDTH_LAYER,
         differences={**_TORCH_FIELDS, **QFGAOHAO_FIELDS},
         anchors=lambda *_: QFGAOHAO_ANCHORS, class_names={21: class_names.VOC}),
    Kind("the Object Detection API's MobileNet v2", 'mobilenet_v2', (_ODAPI_SIGNATURE,),
         _ODAPI_BACKBONE, SLIM),
    Kind("torchvision's mobilenet_v2", 'mobilenet_v2',
         ('features.1.conv.0.0.weight', 'features.18.0.weight'),
         _torch_backbone('features', _TORCHVISION_FIRST, _TORCHVISION_PARTS), TORCH, TORCHVISION,
         differences={'padding': 'symmetric'}),
    Kind("Keras's MobileNetV2", 'mobilenet_v2', ('Conv1/kernel', 'block_1_expand/kernel'),
         _backbone(('Conv1', 'bn_Conv1'), _keras_name, ('Conv_1', 'Conv_1_bn')), KERAS))

"""Kinds of files of MobileNet v1: classifiers, and the detectors of four programs."""
from checkpoints import class_names
from checkpoints.conversion import InputNormalization
from checkpoints.kind import CAFFE, KERAS, SLIM, TORCH, Kind
from checkpoints.kind_tables import object_detection_api as odapi
from checkpoints.kind_tables.inputs import QFGAOHAO_ANCHORS, QFGAOHAO_FIELDS, QFGAOHAO_INPUT
from nets.net_table import NETS

_NET = NETS['ssd_300_mobilenet_v1']
_FIRST = 'MobilenetV1/Conv2d_0'


def _layers(first, depthwise, pointwise, squeeze='', shrink='', loc='', cls=''):
    """Return {our layer: names in the file} from functions or patterns of an index.

    Args:
        first: names of the first layer.
        depthwise, pointwise: function from 1 to 13 -> names of the two layers.
        squeeze, shrink: function from 0 to 3 -> names of the layers of the extra blocks.
        loc, cls: function from 0 to 5 -> names of the prediction layers.
    """
    layers = {_FIRST: first}
    for index in range(1, 14):
        layers |= {f'MobilenetV1/Conv2d_{index}_depthwise': depthwise(index),
                   f'MobilenetV1/Conv2d_{index}_pointwise': pointwise(index)}
    if loc:   # a detector
        for index in range(4):
            layers |= {f'block{14 + index}/conv1x1': squeeze(index),
                       f'block{14 + index}/conv3x3': shrink(index)}
        for index, feature in enumerate(_NET.feat_layers):
            layers |= {f'{feature}_box/conv_loc': loc(index),
                       f'{feature}_box/conv_cls': cls(index)}
    return layers


def _same(value):
    return (value,) * 3


def _keras_layer(name):
    return name, f'{name}_bn'


def _caffe_layer(name):
    return name, name


_KERAS_LAYERS = _layers(_keras_layer('conv1'), lambda index: _keras_layer(f'conv_dw_{index}'),
                        lambda index: _keras_layer(f'conv_pw_{index}'))


def _odapi_name(layer):
    return odapi.slim_layer(f'{odapi.SCOPE}MobilenetV1/{layer}')


def _odapi_layers(multiplier):
    """Return the layers of the Object Detection API, whose names hold the depth of the layer."""
    blocks = [[int(depth * multiplier) for depth in (block.squeeze, block.depth)]
              for block in _NET.extra_blocks]
    return _layers(
        _odapi_name('Conv2d_0'), lambda index: _odapi_name(f'Conv2d_{index}_depthwise'),
        lambda index: _odapi_name(f'Conv2d_{index}_pointwise'),
        lambda index: _odapi_name(
            f'Conv2d_13_pointwise_1_Conv2d_{index + 2}_1x1_{blocks[index][0]}'),
        lambda index: _odapi_name(
            f'Conv2d_13_pointwise_2_Conv2d_{index + 2}_3x3_s2_{blocks[index][1]}'),
        'BoxPredictor_{}/BoxEncodingPredictor'.format, 'BoxPredictor_{}/ClassPredictor'.format)


def _odapi(net_name):
    layers = _odapi_layers(NETS[net_name].depth_multiplier)
    return Kind(
        "the Object Detection API's ssd_mobilenet_v1", 'mobilenet_v1',
        (f'{layers[_FIRST][0]}/weights', f'{layers["block14/conv1x1"][0]}/weights',
         'BoxPredictor_0/ClassPredictor/weights'), layers, SLIM,
        nets={int(32 * NETS[net_name].depth_multiplier): net_name}, width_layer=_FIRST,
        differences={**odapi.DIFFERENCES, 'extra_blocks': odapi.same_padding(_NET.extra_blocks)},
        anchors=odapi.anchors, class_names=odapi.CLASS_NAMES, box_order=odapi.BOX_ORDER)


_CAFFE_HEADS = ('conv11', 'conv13', *(f'conv{index}_2' for index in range(14, 18)))
_CAFFE_INPUT = InputNormalization(_same(127.5), _same(.007843), is_bgr=True)
_LIKE_CAFFE = {'padding': 'symmetric', 'activation': 'relu'}

KINDS = (
    *(_odapi(f'ssd_300_mobilenet_v1{width}') for width in ('', '_075', '_050', '_025')),
    Kind("face-api's ssd_mobilenetv1", 'mobilenet_v1',
         ('MobilenetV1/Conv2d_0_pointwise/convolution_bn_offset',
          'Prediction/BoxPredictor_0/ClassPredictor/weights'),
         _layers('MobilenetV1/Conv2d_0_pointwise',
                 lambda index: odapi.slim_layer(f'MobilenetV1/Conv2d_{index}_depthwise'),
                 'MobilenetV1/Conv2d_{}_pointwise'.format,
                 lambda index: f'Prediction/Conv2d_{2 * index}_pointwise',
                 lambda index: f'Prediction/Conv2d_{2 * index + 1}_pointwise',
                 'Prediction/BoxPredictor_{}/BoxEncodingPredictor'.format,
                 'Prediction/BoxPredictor_{}/ClassPredictor'.format), SLIM,
         nets={32: 'ssd_512_mobilenet_v1'}, width_layer=_FIRST,
         differences={**odapi.DIFFERENCES,
                      'extra_blocks': odapi.same_padding(_NET.extra_blocks)},
         anchors=odapi.anchors, class_names={2: ('face',)}, box_order=odapi.BOX_ORDER,
         max_classes=2),   # its third output is not used by face-api
    Kind("qfgaohao's mobilenet-v1-ssd", 'mobilenet_v1',
         ('base_net.13.3.weight', 'extras.0.2.weight', 'classification_headers.0.weight'),
         _layers(('base_net.0.0', 'base_net.0.1'),
                 lambda index: (f'base_net.{index}.0', f'base_net.{index}.1'),
                 lambda index: (f'base_net.{index}.3', f'base_net.{index}.4'),
                 'extras.{}.0'.format, 'extras.{}.2'.format,
                 'regression_headers.{}'.format, 'classification_headers.{}'.format), TORCH,
         QFGAOHAO_INPUT, nets={32: 'ssd_300_mobilenet_v1'}, width_layer=_FIRST,
         differences={**_LIKE_CAFFE, **QFGAOHAO_FIELDS, 'extra_blocks': (
             *_NET.extra_blocks[:3], _NET.extra_blocks[2]._replace(name='block17'))},
         anchors=lambda *_: QFGAOHAO_ANCHORS, class_names={21: class_names.VOC}),
    Kind("chuanqi305's MobileNet-SSD for Caffe", 'mobilenet_v1',
         ('conv0/blob_0', 'conv1/dw/blob_0', 'conv11_mbox_conf/blob_0'),
         _layers(_caffe_layer('conv0'), lambda index: _caffe_layer(f'conv{index}/dw'),
                 lambda index: _caffe_layer(f'conv{index}'),
                 lambda index: _caffe_layer(f'conv{14 + index}_1'),
                 lambda index: _caffe_layer(f'conv{14 + index}_2'),
                 lambda index: f'{_CAFFE_HEADS[index]}_mbox_loc',
                 lambda index: f'{_CAFFE_HEADS[index]}_mbox_conf'), CAFFE,
         _CAFFE_INPUT, nets={32: 'ssd_300_mobilenet_v1'}, width_layer=_FIRST,
         differences={**_LIKE_CAFFE, 'scale': .007843}, class_names={21: class_names.VOC}),
    Kind("the Object Detection API's MobileNet v1", 'mobilenet_v1',
         (f'{odapi.SCOPE}MobilenetV1/Conv2d_0/weights',),
         _layers(_odapi_name('Conv2d_0'), lambda index: _odapi_name(f'Conv2d_{index}_depthwise'),
                 lambda index: _odapi_name(f'Conv2d_{index}_pointwise')), SLIM),
    Kind("Keras's MobileNet", 'mobilenet_v1', ('conv_dw_1/depthwise_kernel',), _KERAS_LAYERS,
         KERAS),
    Kind("Keras's MobileNet", 'mobilenet_v1', ('conv_dw_1/kernel',), _KERAS_LAYERS, KERAS))

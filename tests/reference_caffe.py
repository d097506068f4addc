"""Reference program in OpenCV's DNN module: MobileNet SSD in Caffe, as chuanqi published it.

The net definition is written here; OpenCV reads it and the weights as it reads the public files.
"""
import caffe_writer
import cv2
import numpy as np
from detector_references import Outputs

_BACKBONE = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2),
             *((512, 1),) * 5, (1024, 2), (1024, 1))   # (depth, stride) of conv1 to conv13
_EXTRAS = ((256, 512), (128, 256), (128, 256), (64, 128))   # conv14_1, conv14_2, conv15_1, ...
_SOURCES = ('conv11', 'conv13', 'conv14_2', 'conv15_2', 'conv16_2', 'conv17_2')
_SIZES = ((60, None), (105, 150), (150, 195), (195, 240), (240, 285), (285, 300))
_NUM_CLASSES = 21


class _Prototxt:
    """Text of a net definition, layer after layer."""

    def __init__(self):
        self.text = 'input: "data" input_shape { dim: 1 dim: 3 dim: 300 dim: 300 }\n'

    def layer(self, name, kind, bottoms, parameters='', top=None):
        inputs = ' '.join(f'bottom: "{bottom}"' for bottom in bottoms)
        self.text += f'layer {{ name: "{name}" type: "{kind}" {inputs} top: "{top or name}" '
        self.text += f'{parameters} }}\n'
        return top or name

    def conv(self, name, bottom, depth, kernel=1, stride=1, group=1, has_relu=True):
        self.layer(name, 'Convolution', [bottom],
                   f'convolution_param {{ num_output: {depth} kernel_size: {kernel} '
                   f'pad: {kernel // 2} stride: {stride} group: {group} }}')
        return self.layer(f'{name}/relu', 'ReLU', [name], top=name) if has_relu else name

    def head(self, name, source, depth):
        self.conv(name, source, depth, has_relu=False)
        self.layer(f'{name}_perm', 'Permute', [name],
                   'permute_param { order: 0 order: 2 order: 3 order: 1 }')
        return self.layer(f'{name}_flat', 'Flatten', [f'{name}_perm'], 'flatten_param { axis: 1 }')

    def anchors(self, source, size, next_size):
        ratios = 'aspect_ratio: 2.0' if next_size is None else (
            f'max_size: {next_size} aspect_ratio: 2.0 aspect_ratio: 3.0')
        return self.layer(f'{source}_mbox_priorbox', 'PriorBox', [source, 'data'],
                          f'prior_box_param {{ min_size: {size} {ratios} flip: true clip: false '
                          'variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2 offset: 0.5 }')


def _net_definition():
    net = _Prototxt()
    last, depth = net.conv('conv0', 'data', 32, 3, 2), 32
    for index, (next_depth, stride) in enumerate(_BACKBONE, 1):
        last = net.conv(f'conv{index}/dw', last, depth, 3, stride, group=depth)
        last, depth = net.conv(f'conv{index}', last, next_depth), next_depth
    for index, (squeeze, depth) in enumerate(_EXTRAS, 14):
        last = net.conv(f'conv{index}_1', last, squeeze)
        last = net.conv(f'conv{index}_2', last, depth, 3, 2)
    outputs = {'mbox_loc': [], 'mbox_conf': [], 'mbox_priorbox': []}
    for source, (size, next_size) in zip(_SOURCES, _SIZES, strict=True):
        count = 3 if next_size is None else 6
        outputs['mbox_loc'].append(net.head(f'{source}_mbox_loc', source, 4 * count))
        outputs['mbox_conf'].append(
            net.head(f'{source}_mbox_conf', source, _NUM_CLASSES * count))
        outputs['mbox_priorbox'].append(net.anchors(source, size, next_size))
    for name, bottoms in outputs.items():
        axis = 2 if name == 'mbox_priorbox' else 1
        net.layer(name, 'Concat', bottoms, f'concat_param {{ axis: {axis} }}')
    return net.text, list(outputs)


def chuanqi_mobilenet_ssd(weights, image):
    """Run chuanqi's MobileNet SSD: BGR, (x - 127.5) * 0.007843."""
    layers = {}
    for name, array in weights.items():   # blob_0, blob_1 of each layer, in order
        layers.setdefault(name.rpartition('/')[0], []).append(array)
    definition, output_names = _net_definition()
    net = cv2.dnn.readNetFromCaffe(np.frombuffer(definition.encode(), np.uint8),
                                   np.frombuffer(caffe_writer.net(layers), np.uint8))
    net.enableFusion(False)     # the exact sums of every layer
    net.enableWinograd(False)
    net.setInput(cv2.dnn.blobFromImage(np.ascontiguousarray(image[:, :, ::-1]), .007843,
                                       mean=(127.5,) * 3))
    offsets, logits, anchors = net.forward(output_names)
    corners = anchors[0, 0].reshape(-1, 4).astype(float)   # xmin, ymin, xmax, ymax
    low, high = corners[:, :2], corners[:, 2:]
    return Outputs(logits.reshape(-1, _NUM_CLASSES), offsets.reshape(-1, 4),
                   np.concatenate([(low + high) / 2, high - low], 1))


PROGRAMS = {'chuanqi_mobilenet_ssd': chuanqi_mobilenet_ssd}

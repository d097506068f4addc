"""Kinds of files of ResNet-50: classifiers."""
from checkpoints.kind import KERAS, TORCH, Kind
from checkpoints.kind_tables.inputs import OXFORD, TORCHVISION

_UNITS = (3, 4, 6)   # of our block1 to block3


def _layers(first, unit_layer):
    """Return {our layer: names in the file}.

    Args:
        first: names of the first layer.
        unit_layer: function (block, unit, index of the convolution) -> names of the layer; blocks
            and units count from 1, and convolution 0 is the shortcut.
    """
    layers = {'resnet_v1_50/conv1': first}
    for block, num_units in enumerate(_UNITS, 1):
        for unit in range(1, num_units + 1):
            scope = f'resnet_v1_50/block{block}/unit_{unit}/bottleneck_v1'
            layers |= {f'{scope}/conv{index}': unit_layer(block, unit, index)
                       for index in (1, 2, 3)}
            if unit == 1:
                layers[f'{scope}/shortcut'] = unit_layer(block, unit, 0)
    return layers


def _torchvision_name(block, unit, index):
    scope = f'layer{block}.{unit - 1}'
    return ((f'{scope}.conv{index}', f'{scope}.bn{index}') if index else
            (f'{scope}.downsample.0', f'{scope}.downsample.1'))


def _keras_name(block, unit, index):
    name = f'conv{block + 1}_block{unit}_{index}'
    return f'{name}_conv', f'{name}_bn'


KINDS = (
    Kind("torchvision's resnet50", 'resnet_v1_50', ('conv1.weight', 'layer3.5.conv3.weight'),
         _layers(('conv1', 'bn1'), _torchvision_name), TORCH, TORCHVISION,
         differences={'stride_unit': 'first', 'padding': 'symmetric'},
         deeper_net_name='layer3.6.conv1.weight'),
    Kind("Keras's ResNet50", 'resnet_v1_50', ('conv2_block1_1_conv/kernel',),
         _layers(('conv1_conv', 'conv1_bn'), _keras_name), KERAS._replace(epsilon=1.001e-5),
         OXFORD._replace(is_bgr=True), foreign=('conv2_block1_preact_bn/gamma',),
         differences={'padding': 'symmetric'}, deeper_net_name='conv4_block7_1_conv/kernel'))

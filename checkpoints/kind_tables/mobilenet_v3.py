"""Kinds of files of MobileNet v3: classifiers, and torchvision's ssdlite320."""
from typing import NamedTuple

from checkpoints import class_names
from checkpoints.conversion import InputNormalization
from checkpoints.kind import KERAS, TORCH, Kind
from checkpoints.kind_tables import anchor_texts, ssdlite
from checkpoints.kind_tables.inputs import TORCHVISION
from nets.net_table import NETS


class _Variant(NamedTuple):
    """Blocks of a table of the paper, arXiv 1905.02244."""
    num_blocks: int
    squeezed: tuple       # indices of the blocks with squeeze-and-excitation
    tail: int             # index of the block with the last stride
    reduced_depth: int    # outputs of the last layer, half as many channels behind the last stride


_VARIANTS = {'large': _Variant(15, (3, 4, 5, 10, 11, 12, 13, 14), 12, 480),
             'small': _Variant(11, (0, *range(3, 11)), 8, 288)}


def _parts(variant, index):
    """Return {part of a block: its index in the block}; block 0 has no expansion."""
    parts = [*(['expand'] if index else []), 'depthwise',
             *(['squeeze_excite'] if index in variant.squeezed else []), 'project']
    return {part: position for position, part in enumerate(parts)}


def _layers(variant, first, last, names):
    """Return {our layer: names in the file}.

    Args:
        variant: a `_Variant`.
        first, last: names of the first and the last layer.
        names: function (index of the block, part, its index in the block) -> names of a layer, for
            'squeeze_excite' a pair of them.
    """
    layers = {'MobilenetV3/Conv': first, 'MobilenetV3/Conv_1': last}
    for index in range(variant.num_blocks):
        scope = f'MobilenetV3/expanded_conv_{index}' if index else 'MobilenetV3/expanded_conv'
        for part, position in _parts(variant, index).items():
            layer = names(index, part, position)
            layers |= {f'{scope}/{part}': layer} if part != 'squeeze_excite' else {
                f'{scope}/{part}/Conv': layer[0], f'{scope}/{part}/Conv_1': layer[1]}
    return layers


def _torch_layer(name, part=''):
    """Return the names of a convolution and its batch norm, or of a squeeze-and-excitation."""
    return (f'{name}.fc1', f'{name}.fc2') if part == 'squeeze_excite' else (f'{name}.0',
                                                                            f'{name}.1')


def _ssdlite_name(variant):
    """Return the function of `_layers` for torchvision's ssdlite320.

    Its backbone is split behind the expansion of the block with the last stride.
    """
    def names(index, part, position):
        if index < variant.tail:
            return _torch_layer(f'backbone.features.0.{index + 1}.block.{position}', part)
        if index > variant.tail:
            return _torch_layer(
                f'backbone.features.1.{index - variant.tail}.block.{position}', part)
        if part == 'expand':
            return _torch_layer(f'backbone.features.0.{index + 1}')
        return _torch_layer(f'backbone.features.1.0.{position}', part)
    return names


def _ssdlite_head(index, conv):
    name = f'head.{"regression" if conv == "loc" else "classification"}_head.module_list.{index}'
    return _torch_layer(f'{name}.0'), f'{name}.1'


def _ssdlite_anchors(_source, params, _heads):
    """Return the anchors `voc` with sides, but not centers, limited to the image."""
    return anchor_texts.text(
        [anchor_texts.layer(*sizes, ratios) for sizes, ratios in
         zip(params.anchor_presets['voc'], params.anchor_ratios, strict=True)], params.image_size)


_TORCH = TORCH._replace(epsilon=.001)
_EXTRA_PARTS = {part: index for index, part in enumerate(('conv1x1', *ssdlite.SEPARABLE))}
_MOBILENET_INPUT = InputNormalization((127.5,) * 3, (1 / 127.5,) * 3)


def _ssdlite(size):
    variant, net = _VARIANTS[size], NETS[f'ssdlite_320_mobilenet_v3_{size}']
    return Kind(
        f"torchvision's ssdlite320_mobilenet_v3_{size}", net.backbone,
        (f'backbone.features.0.{variant.tail + 1}.0.weight',
         'head.classification_head.module_list.0.1.weight'),
        {**_layers(variant, _torch_layer('backbone.features.0.0'),
                   _torch_layer(f'backbone.features.1.{variant.num_blocks - variant.tail}'),
                   _ssdlite_name(variant)),
         **ssdlite.extra_layers(net.extra_blocks, lambda index, part: _torch_layer(
             f'backbone.extra.{index}.{_EXTRA_PARTS[part]}')),
         **ssdlite.heads(net.feat_layers, _ssdlite_head)}, _TORCH, _MOBILENET_INPUT,
        nets={variant.reduced_depth: net.name}, width_layer='MobilenetV3/Conv_1',
        differences={'padding': 'symmetric'}, anchors=_ssdlite_anchors,
        class_names=class_names.VOC_OR_COCO_IDS)


def _torchvision(size):
    variant = _VARIANTS[size]
    last = f'features.{variant.num_blocks + 1}'
    return Kind(
        f"torchvision's mobilenet_v3_{size}", f'mobilenet_v3_{size}',
        (f'{last}.0.weight', f'features.{variant.num_blocks}.block.2.fc1.weight'),
        _layers(variant, _torch_layer('features.0'), _torch_layer(last),
                lambda index, part, position: _torch_layer(
                    f'features.{index + 1}.block.{position}', part)), _TORCH, TORCHVISION,
        differences={'padding': 'symmetric'})


def _keras_layer(name, part=''):
    if part == 'squeeze_excite':
        return f'{name}_conv', f'{name}_conv_1'
    return name, f'{name}_bn'


def _keras_name(index, part, _position):
    return _keras_layer(f'expanded_conv_{index}_{part}' if index else f'expanded_conv_{part}', part)


def _keras(size):
    variant = _VARIANTS[size]
    last_block = f'expanded_conv_{variant.num_blocks - 1}'
    return Kind(f"Keras's MobileNetV3{size.capitalize()}", f'mobilenet_v3_{size}',
                (f'{last_block}_squeeze_excite_conv/kernel',),
                _layers(variant, _keras_layer('conv'), _keras_layer('conv_1'), _keras_name),
                KERAS, foreign=(f'expanded_conv_{variant.num_blocks}_project/kernel',))


KINDS = tuple(make(size) for make in (_ssdlite, _torchvision, _keras) for size in _VARIANTS)

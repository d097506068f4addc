"""Recognize weight files of other programs, and describe the detectors among them.

    kind = kinds.identify(source)            # a `Kind`, or None: our own names, or unknown
    description = kinds.describe(source)     # net, anchors, classes; None if not a detector
    array = kinds.read_variable(kind, source, 'conv6/weights', params)

Call `describe` before a net is built: the net, its anchors and its input are those that the file
was trained with, so that its outputs are those of the original program. `checkpoints.restoring`
reads the variables of any net with the same backbone from the file.

A kind is a row in a table of `checkpoints.kind_tables`.
"""
from typing import NamedTuple

import numpy as np

from checkpoints import conversion, kind
from checkpoints.kind_tables import mobilenet_v1, mobilenet_v2, mobilenet_v3, resnet, vgg
from common.errors import UserError
from nets import anchor_presets, backbones, ssd_params
from nets.net_table import NETS

KINDS = (vgg.KINDS + mobilenet_v1.KINDS + mobilenet_v2.KINDS + mobilenet_v3.KINDS
         + resnet.KINDS)
"""All kinds; of those whose signature a file has, the first is used."""


class DetectorDescription(NamedTuple):
    """A detector in a file of another program."""
    title: str            # of the kind, for example "lufficc's SSD300"
    model_name: str       # name of the net in `NETS`
    params: object        # `SSDParams` with the file's anchors; fields may differ from `NETS`
    class_names: list     # without the background; None if the kind does not tell
    num_classes: int      # with the background
    complete: bool        # the file holds all layers of the net


def identify(source):
    """Return the `Kind` of a `WeightSource`; None if unknown, for example our own names."""
    return next((row for row in KINDS if all(name in source.shapes for name in row.signature)
                 and not any(name in source.shapes for name in row.foreign)
                 and row.matches(source)), None)


def describe(source, anchor_preset=''):
    """Describe the detector in a file of another program.

    Args:
        source: a `WeightSource`.
        anchor_preset: anchors of a file that has other numbers of anchors per cell than its kind.

    Returns:
        A `DetectorDescription`; None if the file is of no known kind of detector, or of a width
        that no net of the table has.

    Raises:
        UserError: If the file has another number of anchors per cell than its kind or the preset,
            or lists anchors that do not lie on the cells of its net.
    """
    row = identify(source)
    if row is None or not row.is_detector:
        return None
    model_name = row.nets.get(kind.count_outputs(row, source, row.width_layer))
    params = model_name and NETS[model_name]._replace(**row.differences)
    heads = params and kind.read_heads(row, source, params)
    if not heads:
        return None
    if heads.names != (params.heads or ('conv3x3',) * len(heads.names)):
        params = params._replace(heads=heads.names)
    params = anchor_presets.with_preset(params, row.anchors(source, params, heads))
    if anchor_preset and ssd_params.anchors_per_cell(params) != heads.anchors_per_cell:
        params = anchor_presets.with_preset(params, anchor_preset)
    if ssd_params.anchors_per_cell(params) != heads.anchors_per_cell:
        raise UserError(f'{source.path} has {heads.anchors_per_cell} anchors per cell, not '
                        f'{ssd_params.anchors_per_cell(params)} of {row.title}. Pass the anchors '
                        f'it was trained with as --anchor_preset')
    names = row.class_names.get(heads.num_classes)
    complete = all(_is_complete(row, source, layer) for layer in row.layers) and all(
        name in source.shapes for name in row.vectors.values())
    return DetectorDescription(row.title, model_name, params, names and list(names),
                               heads.num_classes, complete)


def _is_complete(row, source, our_layer):
    names = kind.layer_names(row, source, our_layer)
    has_kernel = 'kernel' in names or row.layers[our_layer][0] == ''
    return has_kernel and ('biases' in names or 'moving_mean' in names)


def count_classes(row, source, params):
    """Return the number of classes with the background; 0 without prediction layers of this net."""
    heads = kind.read_heads(row, source, params._replace(**row.differences))
    return heads.num_classes if heads else 0


# The à-trous reduction (paper, section 3; Chen et al., DeepLab) keeps every third row and column of
# the 7x7 kernel of fc6, and every fourth channel of fc6 and fc7. Rate 6 at stride 1 places the rows
# and columns where they were at stride 2.
_REDUCED = {('conv6/weights', (7, 7, 512, 4096)): np.s_[::3, ::3, :, ::4],
            ('conv6/biases', (4096,)): np.s_[::4],
            ('conv7/weights', (1, 1, 4096, 4096)): np.s_[:, :, ::4, ::4],
            ('conv7/biases', (4096,)): np.s_[::4]}


_EPSILONS = {'resnet_v1_50': 1e-5}   # of our batch norm, if not tf-slim's of MobileNet


def read_variable(row, source, name, params):
    """Read a variable of our net from a file of another program, and convert it.

    Args:
        row: the `Kind` of the file.
        source: a `WeightSource`.
        name: name of the variable below the scope of the net.
        params: `SSDParams` of our net.

    Returns:
        A float32 array, which may have another shape than the variable if the file is of another
        net; None if the file does not hold the variable.

    Raises:
        UserError: If the shapes of the tensors of a layer contradict each other.
    """
    if name in row.vectors:
        source_name = row.vectors[name]
        return (np.asarray(source.read(source_name), np.float32).reshape(-1)
                if source_name in source.shapes else None)
    our_layer, parameter = _split(name)
    try:
        array = _read_layer(row, source, our_layer, params).get(parameter)
    except ValueError as error:   # of NumPy
        raise UserError(f'{source.path} looks like {row.title}, but the tensors of the layer '
                        f'{our_layer} do not fit together ({error}). Download it again') from error
    if array is not None and (name, array.shape) in _REDUCED:
        array = np.ascontiguousarray(array[_REDUCED[name, array.shape]])
    return array


def _read_layer(row, source, our_layer, params):
    """Read a layer as our net has it, with batch norm or biases: {our parameter: array}."""
    layer = kind.read_layer(row, source, our_layer, params)
    if _has_batch_norm(our_layer, params):
        layer = conversion.to_batch_norm(layer, _EPSILONS.get(params.backbone, conversion.EPSILON))
    else:
        layer = conversion.to_biases(layer)
    return conversion.variables_of(layer, kind.is_depthwise(our_layer))


def source_names(row, source, name):
    """Return the names in a file of the tensors of the layer that a variable of ours belongs to."""
    if name in row.vectors:
        return [row.vectors[name]]
    return list(kind.layer_names(row, source, _split(name)[0]).values())


def has_layer_of(row, name):
    """Return whether files of a kind hold the layer that a variable of ours belongs to."""
    return name in row.vectors or _split(name)[0] in row.layers


def _split(name):
    """Split the name of a variable: ('MobilenetV1/Conv2d_0', 'BatchNorm/gamma')."""
    layer, _, parameter = name.rpartition('/')
    if layer.endswith('/BatchNorm'):
        layer, parameter = layer.removesuffix('/BatchNorm'), f'BatchNorm/{parameter}'
    return layer, parameter


def _has_batch_norm(our_layer, params):
    """Return whether a layer of our net has batch norm instead of biases."""
    if our_layer.endswith('_box'):   # the normalization of a feature layer
        return True
    return (backbones.BACKBONES[params.backbone].batch_norm
            and not our_layer.endswith(('/conv_loc', '/conv_cls'))
            and '/squeeze_excite/' not in our_layer)

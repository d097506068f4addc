"""`Kind`: what must be known of a kind of weight file, and how its layers are read.

"Our name" of a layer is its variable scope below the scope of the net, such as 'conv1/conv1_1'.
"""
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from checkpoints import conversion


class Dialect(NamedTuple):
    """How a program names the tensors of a layer and lays out its kernels.

    A name is that of the layer and a suffix; of several suffixes, the first in the file counts.
    """
    kernel: tuple
    depthwise_kernel: tuple
    biases: tuple
    batch_norm: dict        # 'gamma', 'beta', 'moving_mean', 'moving_variance' -> suffix
    read_kernel: Callable   # (kernel, is_depthwise) -> in our layout
    epsilon: float = conversion.EPSILON
    factor: str = ''        # suffix of a divisor of both moments


_MOMENTS = {name: f'/{name}' for name in ('gamma', 'beta', 'moving_mean', 'moving_variance')}
SLIM = Dialect(('/weights',), ('/depthwise_weights',), ('/biases', '/convolution_bn_offset'),
               _MOMENTS, conversion.kernel_from_hwio)
KERAS = Dialect(('/kernel',), ('/depthwise_kernel', '/kernel'), ('/bias',), _MOMENTS,
                conversion.kernel_from_hwio)
TORCH = Dialect(('.weight',), ('.weight',), ('.bias',),
                {'gamma': '.weight', 'beta': '.bias', 'moving_mean': '.running_mean',
                 'moving_variance': '.running_var'}, conversion.kernel_from_oihw, 1e-5)
CAFFE = Dialect(('/blob_0',), ('/blob_0',), ('/blob_1',),
                {'gamma': '/scale/blob_0', 'beta': '/scale/blob_1', 'moving_mean': '/bn/blob_0',
                 'moving_variance': '/bn/blob_1'}, conversion.kernel_from_oihw, 1e-5,
                factor='/bn/blob_2')


class Heads(NamedTuple):
    """What the prediction layers of a file tell about its detector."""
    num_classes: int          # with the background
    anchors_per_cell: list    # per feature layer
    names: tuple              # per feature layer, key of `nets.heads.HEADS`


class Kind(NamedTuple):
    """A kind of weight file: a backbone, or a detector with `nets`."""
    title: str
    backbone: str          # key of `nets.backbones.BACKBONES`
    signature: tuple       # variable names that a file of this kind holds
    layers: dict           # our layer -> its name in the file, or (name, name of its batch norm);
                           # ('', name) is a batch norm without a convolution
    dialect: Dialect
    normalization: object = None         # `InputNormalization`; None: that of our net
    vectors: dict = {}                   # our variable -> name in the file, of no convolution
    foreign: tuple = ()                  # variable names that only other kinds hold
    matches: Callable = lambda _: True   # (WeightSource) -> bool, if names do not decide
    deeper_net_name: str = ''            # a variable name that only a deeper net has, e.g. VGG-19
    # Of detectors:
    nets: dict = {}             # outputs of `width_layer` -> name in `NETS`
    width_layer: str = ''       # our name of a layer whose outputs tell the width of the net
    differences: dict = {}      # fields in which it differs from that net, `SSDParams`
    anchors: Callable = lambda *_: 'voc'    # (WeightSource, SSDParams, Heads) -> preset
    class_names: dict = {}      # number of classes with the background -> names without it
    box_order: tuple = (0, 1, 2, 3)   # position of dx, dy, dw, dh in the file
    max_classes: int = 0        # further outputs per anchor have no meaning; 0: no limit

    @property
    def is_detector(self):
        return bool(self.nets)


def is_depthwise(our_layer):
    """Return whether a layer of our nets is a depthwise convolution."""
    return our_layer.endswith('depthwise')


def layer_names(weight_kind, source, our_layer):
    """Return the names of the tensors of a layer in a file of this kind.

    Returns:
        A dict: field of `conversion.Layer`, or 'factor', -> name. It lacks tensors that the file
        does not hold, and batch norm if one of its tensors is missing.
    """
    names = weight_kind.layers.get(our_layer)
    if names is None:
        return {}
    name, norm_name = (names, '') if isinstance(names, str) else names
    dialect = weight_kind.dialect
    kernel = dialect.depthwise_kernel if is_depthwise(our_layer) else dialect.kernel
    tensors = {'kernel': _first_in(source, name, kernel),
               'biases': _first_in(source, name, dialect.biases)}
    if norm_name:
        norm = {field: norm_name + suffix for field, suffix in dialect.batch_norm.items()}
        if all(norm_tensor in source.shapes for norm_tensor in norm.values()):
            tensors |= norm
            if dialect.factor:
                tensors['factor'] = _first_in(source, norm_name, (dialect.factor,))
    return {field: tensor for field, tensor in tensors.items() if tensor}


def _first_in(source, name, suffixes):
    return next((name + suffix for suffix in suffixes if name + suffix in source.shapes), None)


def expected_names(weight_kind):
    """Return the names of all kernels and other tensors without which no file of a kind loads."""
    suffixes = {False: weight_kind.dialect.kernel, True: weight_kind.dialect.depthwise_kernel}
    kernels = {layer: names if isinstance(names, str) else names[0]
               for layer, names in weight_kind.layers.items()}
    return {name + suffixes[is_depthwise(layer)][0] for layer, name in kernels.items()
            if name} | set(weight_kind.vectors.values())


def read_layer(weight_kind, source, our_layer, params):
    """Read a layer of a file and convert its kernel layout, input, box order and classes.

    Args:
        weight_kind: the `Kind` of the file.
        source: a `WeightSource`.
        our_layer: our name of the layer.
        params: `SSDParams` of our net.

    Returns:
        A `conversion.Layer`, with batch norm or biases as in the file.
    """
    tensors = {field: np.asarray(source.read(name), np.float32)
               for field, name in layer_names(weight_kind, source, our_layer).items()}
    factor = tensors.pop('factor', None)
    for field, array in tensors.items():
        tensors[field] = weight_kind.dialect.read_kernel(array, is_depthwise(our_layer)) \
            if field == 'kernel' else array.reshape(-1)
    if factor is not None and factor.item():
        for field in ('moving_mean', 'moving_variance'):
            tensors[field] = tensors[field] / factor.item()
    layer = conversion.Layer(**tensors, epsilon=weight_kind.dialect.epsilon)
    if our_layer == next(iter(weight_kind.layers)) and weight_kind.normalization:
        layer = conversion.normalize_input(layer, weight_kind.normalization, params)
    if our_layer.endswith('/conv_loc') and weight_kind.box_order != (0, 1, 2, 3):
        layer = conversion.order_boxes(layer, weight_kind.box_order)
    if our_layer.endswith('/conv_cls') and weight_kind.max_classes:
        num_anchors = count_outputs(weight_kind, source, our_layer[:-len('cls')] + 'loc') // 4
        layer = conversion.keep_classes(layer, num_anchors, weight_kind.max_classes)
    return layer


def read_heads(weight_kind, source, params):
    """Return the `Heads` of a detector, from shapes; None without prediction layers of this net.

    Args:
        weight_kind: the `Kind` of the file.
        source: a `WeightSource`.
        params: `SSDParams` of the net.
    """
    boxes = [f'{layer}_box/conv_loc' for layer in params.feat_layers]
    num_loc = [count_outputs(weight_kind, source, layer) for layer in boxes]
    num_cls = count_outputs(weight_kind, source, f'{params.feat_layers[0]}_box/conv_cls')
    if not num_cls or not all(num_loc):
        return None
    num_classes = 4 * num_cls // num_loc[0]
    return Heads(min(num_classes, weight_kind.max_classes or num_classes),
                 [num // 4 for num in num_loc],
                 tuple(_head_name(weight_kind, source, layer) for layer in boxes))


def _head_name(weight_kind, source, our_layer):
    if layer_names(weight_kind, source, f'{our_layer}_depthwise'):
        return 'separable'
    shape = source.shapes[layer_names(weight_kind, source, our_layer)['kernel']]
    is_out_first = weight_kind.dialect.read_kernel is conversion.kernel_from_oihw
    return 'conv1x1' if (shape[2:] if is_out_first else shape[:2]) == [1, 1] else 'conv3x3'


def count_outputs(weight_kind, source, our_layer):
    """Return the number of outputs of a layer in a file; 0 if the file does not hold it."""
    names = layer_names(weight_kind, source, our_layer)
    if 'kernel' not in names:
        return 0
    shape = source.shapes[names['kernel']]
    is_out_first = weight_kind.dialect.read_kernel is conversion.kernel_from_oihw
    return shape[0 if is_out_first else -1] if shape else 0

"""The layers of a net with shapes, parameters and multiply-adds, to print."""
import math
from typing import NamedTuple

import tensorflow.compat.v1 as tf

from nets import ssd
from nets.anchors import net_anchors

_CONVOLUTIONS = ('Conv2D', 'DepthwiseConv2dNative')


class Layer(NamedTuple):
    """A layer with variables."""
    name: str             # variable scope
    shape: list           # of its output, [H, W, channels]
    parameters: int       # trained values: kernel, biases, gamma and beta
    multiply_adds: int    # of its convolution, for one image


def layers_of(params, num_classes):
    """Return the `Layer` of each convolution and normalization of a net, in the order of the graph.

    Batch norm belongs to its convolution.

    Args:
        params: `SSDParams`.
        num_classes: C, background included.
    """
    with tf.Graph().as_default() as graph:
        images = tf.zeros([1, params.image_size, params.image_size, 3])
        ssd.build(images, params, num_classes, is_training=False)
        parameters = {}
        for variable in tf.trainable_variables():
            name = _layer_name(variable.op.name)
            parameters[name] = parameters.get(name, 0) + math.prod(variable.shape.as_list())
        shapes, kernels = {}, {}   # layer -> shape of its last output; -> its convolution
        for op in graph.get_operations():
            name = op.name.rpartition('/')[0]
            if op.outputs and op.outputs[0].shape.rank == 4:
                shapes[name] = op.outputs[0].shape.as_list()[1:]
            if op.type in _CONVOLUTIONS:
                kernels[name] = op
        return [Layer(name, shapes[name], count, _multiply_adds(kernels.get(name), shapes[name]))
                for name, count in parameters.items()]


def _layer_name(variable_name):
    """Return the scope of a variable: 'conv1' of 'conv1/weights' and 'conv1/BatchNorm/gamma'."""
    return variable_name.rpartition('/')[0].removesuffix('/BatchNorm')


def _multiply_adds(operation, shape):
    """Return the multiply-adds of a convolution with an output [H, W, channels]; 0 for None."""
    if operation is None:
        return 0
    kernel_height, kernel_width, inputs, _ = operation.inputs[1].shape.as_list()
    inputs_per_output = 1 if operation.type == 'DepthwiseConv2dNative' else inputs
    return math.prod(shape) * kernel_height * kernel_width * inputs_per_output


def describe(params, num_classes):
    """Return a text table of the layers of a net, to print."""
    layers = layers_of(params, num_classes)
    width = max(len(layer.name) for layer in layers)
    rows = [(layer.name, 'x'.join(map(str, layer.shape)), layer.parameters, layer.multiply_adds)
            for layer in layers]
    total = ('total', '', *(sum(column) for column in list(zip(*rows, strict=True))[2:]))
    return '\n'.join([
        f'{params.name} with {num_classes} classes (background included), input '
        f'{params.image_size}x{params.image_size}, {len(net_anchors(params)):,} anchors',
        f'{"layer":{width}}  {"output":>12}  {"parameters":>12}  {"multiply-adds":>14}',
        *(f'{name:{width}}  {shape:>12}  {count:>12,}  {multiply_adds:>14,}'
          for name, shape, count, multiply_adds in [*rows, total])])

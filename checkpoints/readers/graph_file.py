"""Read the constants of a frozen TensorFlow graph, without running the graph."""
import math
import os
import re

import numpy as np

from checkpoints.readers import keras_names, stored_arrays, wire_format
from checkpoints.readers.stored_arrays import BFLOAT16, StoredArray
from common.errors import UserError

_MAX_FILE_SIZE = (1 << 31) - 1   # of a protocol buffer
# types.proto: number -> (dtype of tensor_content, field of single values).
_DTYPES = {1: ('<f4', 'float_val'), 2: ('<f8', 'double_val'), 19: ('<f2', 'half_val'),
           14: (BFLOAT16, 'half_val')}
# Reading a variable, in a frozen graph or after constant folding.
_READ_SUFFIX = re.compile(r'/(read|ReadVariableOp)(/_\d+__cf__\d+)?$')
# Field numbers of messages: nodes, their attributes, the values of these, lists and tensors.
_GRAPH_FIELDS = {1: {5: {2: {1: {}, 8: {2: {}}}}}}
_VARIABLE_OPS = ('Variable', 'VariableV2', 'VarHandleOp')


def read_arrays(path):
    """Read the float constants of a frozen graph, or of a SavedModel's graph.

    Returns:
        A dict: name of the node, without '/read' -> `StoredArray` of float32. Weights and all
        other float constants, such as those of anchors.

    Raises:
        UserError: If the file is too large, or its graph has variables but no weights.
        Exception: Of any type, if the file is damaged.
    """
    if os.path.getsize(path) > _MAX_FILE_SIZE:
        raise UserError(f'{path} is larger than 2 GB, which a graph cannot be. Pass the '
                        f'checkpoint of the model')
    nodes = _read_nodes(path)
    constants = {node.name: node.attr['value'].tensor for node in nodes if node.op == 'Const'}
    constants = {name: tensor for name, tensor in constants.items() if tensor.dtype in _DTYPES}
    if any(node.op in _VARIABLE_OPS for node in nodes):
        raise UserError(f'{path} is a graph whose weights are in another file. Pass the checkpoint '
                        f'of the model (in a SavedModel, the folder), or the frozen graph')
    shapes = {name: stored_arrays.check_shape([dim.size for dim in tensor.tensor_shape.dim])
              for name, tensor in constants.items()}
    # A constant may be one value that is repeated.
    stored_arrays.check_memory(path, 4 * sum(map(math.prod, shapes.values())))
    arrays = {}
    for name, tensor in constants.items():
        _check_values(tensor, math.prod(shapes[name]))
        arrays[name] = StoredArray(shapes[name], _reader(tensor, shapes[name]))
    return keras_names.rename(arrays, lambda name: _READ_SUFFIX.sub('', name))


def _read_nodes(path):
    """Return the nodes of the graph in a file: a GraphDef or a SavedModel."""
    from tensorflow.core.framework import graph_pb2
    from tensorflow.core.protobuf import saved_model_pb2
    with open(path, 'rb') as file:
        content = file.read()
    is_saved_model = os.path.basename(path) == 'saved_model.pb'
    wire_format.check_number_of_fields(
        content, {2: {2: _GRAPH_FIELDS}} if is_saved_model else _GRAPH_FIELDS)
    if is_saved_model:
        return saved_model_pb2.SavedModel.FromString(content).meta_graphs[0].graph_def.node
    return graph_pb2.GraphDef.FromString(content).node


def _single_values(tensor):
    """Return the values of a TensorProto without tensor_content, an array of one axis."""
    _, field = _DTYPES[tensor.dtype]
    values = np.array(getattr(tensor, field))
    if field == 'half_val':
        return stored_arrays.decode(values.astype('<u2').tobytes(), _DTYPES[tensor.dtype][0])
    return values.astype(np.float32)


def _check_values(tensor, size):
    """Check the number of values of a TensorProto.

    Raises:
        ValueError: If it does not fit the shape.
    """
    dtype, field = _DTYPES[tensor.dtype]
    num_bytes = len(tensor.tensor_content)
    if num_bytes and num_bytes != size * stored_arrays.item_size(dtype):
        raise ValueError(f'a constant of {size} values has {num_bytes} bytes')
    if not num_bytes and len(getattr(tensor, field)) > size:
        raise ValueError(f'a constant of {size} values has more')


def _reader(tensor, shape):
    """Return the function that reads a TensorProto.

    Missing values are equal to the last one, or 0 without any.
    """
    def read():
        if tensor.tensor_content:
            return stored_arrays.decode(
                tensor.tensor_content, _DTYPES[tensor.dtype][0]).reshape(shape)
        values = _single_values(tensor)
        array = np.full(math.prod(shape), values[-1] if len(values) else 0, np.float32)
        array[:len(values)] = values
        return array.reshape(shape)
    return read

"""Read the weights of a Caffe model without Caffe: the fields of caffe.proto that hold weights."""
import math

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from checkpoints.readers import wire_format
from checkpoints.readers.stored_arrays import in_memory
from common.errors import UserError

# Message -> field -> (number, type) in BVLC's caffe.proto. A type that names a message is repeated.
# Packed floats have the wire format of bytes; as bytes, NumPy can parse them at once.
_MESSAGES = {
    'BlobShape': {'dim': (1, 'int64s')},
    'BlobProto': {'num': (1, 'int32'), 'channels': (2, 'int32'), 'height': (3, 'int32'),
                  'width': (4, 'int32'), 'data': (5, 'bytes'), 'double_data': (8, 'bytes'),
                  'shape': (7, 'BlobShape')},
    'V1LayerParameter': {'name': (4, 'string'), 'blobs': (6, 'BlobProto')},
    'LayerParameter': {'name': (1, 'string'), 'blobs': (7, 'BlobProto')},
    'NetParameter': {'layers': (2, 'V1LayerParameter'), 'layer': (100, 'LayerParameter')},
}
# Field numbers of messages: layers of both formats, their blobs, the shapes of these.
_LAYER_FIELDS = {2: {6: {7: {}}}, 100: {7: {7: {}}}}
_Field = descriptor_pb2.FieldDescriptorProto
_SCALAR_TYPES = {   # type -> (type, label) of a field descriptor
    'int32': (_Field.TYPE_INT32, _Field.LABEL_OPTIONAL),
    'int64s': (_Field.TYPE_INT64, _Field.LABEL_REPEATED),
    'bytes': (_Field.TYPE_BYTES, _Field.LABEL_OPTIONAL),
    'string': (_Field.TYPE_STRING, _Field.LABEL_OPTIONAL)}


def _net_parameter_class():
    """Build the message class NetParameter from `_MESSAGES`."""
    file = descriptor_pb2.FileDescriptorProto(
        name='caffe_weights.proto', package='caffe_weights', syntax='proto2')
    for message_name, fields in _MESSAGES.items():
        descriptor = file.message_type.add(name=message_name)
        for field_name, (number, type_name) in fields.items():
            field = descriptor.field.add(name=field_name, number=number)
            if type_name in _SCALAR_TYPES:
                field.type, field.label = _SCALAR_TYPES[type_name]
            else:
                field.type, field.label = _Field.TYPE_MESSAGE, _Field.LABEL_REPEATED
                field.type_name = f'.caffe_weights.{type_name}'
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(
        pool.FindMessageTypeByName('caffe_weights.NetParameter'))


def read_arrays(path):
    """Read all weights of a .caffemodel file.

    Args:
        path: the file, of the current or the V1 layer format.

    Returns:
        A dict: '<layer>/blob_<n>' -> `StoredArray` of float32. Kernels are [out, in, kh, kw], those
        of dense layers [out, in]; before 2014 Caffe wrote dense kernels as [1, 1, out, in] and
        biases as [1, 1, 1, out]. The first layer of VGG expects BGR.

    Raises:
        UserError: If the file is damaged, is not a Caffe model or holds no weights.
    """
    with open(path, 'rb') as file:
        content = file.read()
    try:
        wire_format.check_number_of_fields(content, _LAYER_FIELDS)
        net = _net_parameter_class().FromString(content)
    except (message.DecodeError, ValueError) as error:
        raise UserError(f'{path} is not a complete Caffe model ({error}). Download it again') \
            from error
    arrays = {f'{layer.name}/blob_{n}': in_memory(_to_array(blob, path, layer.name))
              for layer in [*net.layers, *net.layer] for n, blob in enumerate(layer.blobs)}
    if not arrays:
        raise UserError(f'{path} is not a Caffe model, or holds no weights. Pass a .caffemodel '
                        f'file of a trained net')
    return arrays


def _to_array(blob, path, layer_name):
    """Convert a BlobProto to a float32 array of its own shape."""
    if blob.shape:
        shape = list(blob.shape[0].dim)
    else:   # the format before 2014
        shape = [blob.num, blob.channels, blob.height, blob.width]
    data, dtype = (blob.double_data, '<f8') if blob.double_data else (blob.data, '<f4')
    if min(shape, default=0) < 0 or len(data) != math.prod(shape) * np.dtype(dtype).itemsize:
        raise UserError(f'{path}: layer {layer_name} has {len(data)} bytes of weights for the '
                        f'shape {shape}. Download the file again')
    return np.frombuffer(data, dtype).astype(np.float32, copy=False).reshape(shape)

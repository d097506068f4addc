"""Reads the weights of a Caffe model without Caffe: those fields of its protocol buffers that hold them."""
import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from common.errors import UserError

# Message -> field -> (number, type), as caffe.proto of BVLC has them; a type that is a message's name is repeated.
# Packed floats have the wire format of bytes, and so need no Python number each.
_MESSAGES = {
    'BlobShape': {'dim': (1, 'int64s')},
    'BlobProto': {'num': (1, 'int32'), 'channels': (2, 'int32'), 'height': (3, 'int32'), 'width': (4, 'int32'),
                  'data': (5, 'bytes'), 'double_data': (8, 'bytes'), 'shape': (7, 'BlobShape')},
    'V1LayerParameter': {'name': (4, 'string'), 'blobs': (6, 'BlobProto')},
    'LayerParameter': {'name': (1, 'string'), 'blobs': (7, 'BlobProto')},
    'NetParameter': {'layers': (2, 'V1LayerParameter'), 'layer': (100, 'LayerParameter')},
}
_Field = descriptor_pb2.FieldDescriptorProto
_TYPES = {'int32': (_Field.TYPE_INT32, _Field.LABEL_OPTIONAL), 'int64s': (_Field.TYPE_INT64, _Field.LABEL_REPEATED),
          'bytes': (_Field.TYPE_BYTES, _Field.LABEL_OPTIONAL), 'string': (_Field.TYPE_STRING, _Field.LABEL_OPTIONAL)}


def _net_parameter():
    """The class of NetParameter."""
    file = descriptor_pb2.FileDescriptorProto(name='caffe_weights.proto', package='caffe_weights', syntax='proto2')
    for name, fields in _MESSAGES.items():
        described = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            added = described.field.add(name=field, number=number)
            if kind in _TYPES:
                added.type, added.label = _TYPES[kind]
            else:
                added.type, added.label = _Field.TYPE_MESSAGE, _Field.LABEL_REPEATED
                added.type_name = f'.caffe_weights.{kind}'
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName('caffe_weights.NetParameter'))


def read_weights(path):
    """'<layer>/blob_<n>' -> array of its own shape, of every layer that has weights; UserError if it cannot be read.

    Kernels are [out, in, h, w], or [out, in] in dense layers; the first layer of VGG reads BGR.
    """
    with open(path, 'rb') as file:
        content = file.read()
    try:
        net = _net_parameter().FromString(content)
    except message.DecodeError as error:
        raise UserError(f'{path} is no whole Caffe model ({error}); get it anew') from error
    arrays = {f'{layer.name}/blob_{n}': _array(blob, path, layer.name)
              for layer in [*net.layers, *net.layer] for n, blob in enumerate(layer.blobs)}
    if not arrays:
        raise UserError(f'{path} is no Caffe model, or one without weights')
    return arrays


def _array(blob, path, layer):
    """A blob as a float32 array; the format before 2014 has four numbers for its shape."""
    shape = list(blob.shape[0].dim) if blob.shape else [blob.num, blob.channels, blob.height, blob.width]
    flat = np.frombuffer(blob.double_data, '<f8').astype(np.float32) if blob.double_data \
        else np.frombuffer(blob.data, '<f4')
    if flat.size != np.prod(shape):
        raise UserError(f'{path}: layer {layer} has {flat.size} weights for the shape {shape}; get it anew')
    return flat.reshape(shape)

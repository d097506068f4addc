"""Writes the protocol buffers of a Caffe model byte by byte, as the format's documentation has them."""
import struct

import numpy as np


def _varint(number):
    low, rest = number & 127, number >> 7
    return bytes([low | 128]) + _varint(rest) if rest else bytes([low])


def _field(number, content):
    """A length-delimited field: strings, messages, packed numbers."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _number(number, value):
    return _varint(number << 3) + _varint(value)


def blob(array):
    """BlobProto with shape (7) of dims (1) and packed float data (5)."""
    dims = _field(1, b''.join(map(_varint, array.shape)))
    return _field(7, dims) + _field(5, np.asarray(array, '<f4').tobytes())


def old_blob(array):
    """BlobProto as before 2014: num, channels, height, width (1 to 4), and a diff (6) that nobody wants."""
    shape = (1,) * (4 - array.ndim) + array.shape
    return b''.join(_number(i, n) for i, n in enumerate(shape, 1)) \
        + _field(5, np.asarray(array, '<f4').tobytes()) + _field(6, struct.pack('<f', 9.))


def net(layers, old=False):
    """NetParameter of layer name -> [arrays]; old: V1LayerParameter, with the fields 2, 4 and 6."""
    number, name_number, blobs_number, write = (2, 4, 6, old_blob) if old else (100, 1, 7, blob)
    return _field(1, b'a net') + b''.join(
        _field(number, _field(name_number, name.encode()) + _field(2 if not old else 3, b'Convolution')
               + b''.join(_field(blobs_number, write(array)) for array in arrays))
        for name, arrays in layers.items())

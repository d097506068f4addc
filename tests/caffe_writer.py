"""Encode Caffe models byte by byte, following the protocol buffer wire format."""
import struct

import numpy as np


def _varint(number):
    low, rest = number & 127, number >> 7
    return bytes([low | 128]) + _varint(rest) if rest else bytes([low])


def _bytes_field(number, content):
    """Encode a length-delimited field: a string, a message or packed numbers."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _int_field(number, value):
    return _varint(number << 3) + _varint(value)


def _floats(array):
    return np.asarray(array, '<f4').tobytes()


def blob(array):
    """Encode a BlobProto with shape (field 7, with dim 1) and data (field 5, packed floats)."""
    dims = _bytes_field(1, b''.join(map(_varint, array.shape)))
    return _bytes_field(7, dims) + _bytes_field(5, _floats(array))


def old_blob(array):
    """Encode a BlobProto of the format before 2014.

    Its fields are num, channels, height and width (1 to 4), data (5), and diff (6), which readers
    must skip.
    """
    shape = (1,) * (4 - array.ndim) + array.shape
    sizes = b''.join(_int_field(number, size) for number, size in enumerate(shape, 1))
    return sizes + _bytes_field(5, _floats(array)) + _bytes_field(6, struct.pack('<f', 9.))


def net(layers, is_old_format=False):
    """Encode a NetParameter.

    Args:
        layers: layer name -> list of arrays.
        is_old_format: write V1LayerParameter messages with `old_blob`.
    """
    if is_old_format:
        layer_number, name_number, type_number, blobs_number, encode = 2, 4, 3, 6, old_blob
    else:
        layer_number, name_number, type_number, blobs_number, encode = 100, 1, 2, 7, blob
    encoded = [_bytes_field(1, b'a net')]
    for name, arrays in layers.items():
        blobs = b''.join(_bytes_field(blobs_number, encode(array)) for array in arrays)
        layer = (_bytes_field(name_number, name.encode())
                 + _bytes_field(type_number, b'Convolution') + blobs)
        encoded.append(_bytes_field(layer_number, layer))
    return b''.join(encoded)

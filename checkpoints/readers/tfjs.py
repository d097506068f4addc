"""Read TensorFlow.js models: a JSON manifest of the weights, and binary files beside it."""
import math
import os

import numpy as np

from checkpoints.readers import json_text, keras_names, stored_arrays
from checkpoints.readers.stored_arrays import Region, StoredArray
from common.errors import UserError

# 'float32' entries may be quantized to the others; the rest is skipped, but must be counted.
_DTYPES = {'float32': '<f4', 'float16': '<f2', 'int32': '<i4', 'uint8': 'u1', 'uint16': '<u2',
           'bool': 'u1', 'complex64': '<c8'}


def read_arrays(path):
    """Read the float weights of a manifest, or of a model.json with a manifest.

    Returns:
        A dict: name -> `StoredArray` of float32. Quantized values are min + scale * integer.
        Integers, which are constants of a graph, are left out.

    Raises:
        UserError: If a file of weights is missing or not in the folder of the manifest.
        Exception: Of any type, if a file is damaged.
    """
    with open(path, 'rb') as file:
        manifest = json_text.parse(file.read(json_text.MAX_BYTES + 1))
    groups = manifest['weightsManifest'] if isinstance(manifest, dict) else manifest
    arrays = {}
    for group in groups:
        files = [_weights_file(path, name) for name in group['paths']]
        position = 0
        for entry in group['weights']:
            dtype, shape, num_bytes = _layout(entry)
            if entry['dtype'] == 'float32':
                read = _reader(_regions(files, position, num_bytes), dtype, shape, *_scale(entry))
                arrays[str(entry['name'])] = StoredArray(shape, read)
            position += num_bytes
        total = sum(size for _, size in files)
        if position != total:
            raise ValueError(f'it declares {position:,} bytes of weights; its files have {total:,}')
    return keras_names.canonical_names(arrays)


def _weights_file(manifest_path, name):
    """Return the path and the size of a file of weights.

    Raises:
        UserError: If it is missing, not a regular file, or not beside the manifest.
    """
    if not isinstance(name, str) or name in ('', '.', '..') or set(name) & {'/', '\\', '\0'}:
        raise UserError(f'{manifest_path} names {name!r}, which is not a file in its folder. Put '
                        f'the files of weights beside it, and correct the name')
    path = os.path.join(os.path.dirname(manifest_path), name)
    if not os.path.isfile(path):
        raise UserError(f'{manifest_path} needs the file {name} beside it, which is missing. Copy '
                        f'or download it, too')
    return path, os.path.getsize(path)


def _layout(entry):
    """Return the dtype in the file, the shape and the number of bytes of an entry."""
    shape = stored_arrays.check_shape(entry['shape'])
    dtype = np.dtype(_DTYPES[entry.get('quantization', entry)['dtype']])
    return dtype, shape, math.prod(shape) * dtype.itemsize


def _regions(files, start, num_bytes):
    """Return the `Region`s of a range of bytes of the files one after another."""
    regions, offset = [], 0
    for path, size in files:
        first, last = max(start - offset, 0), min(start + num_bytes - offset, size)
        if first < last:
            regions.append(Region(path, first, last - first))
        offset += size
    return regions


def _scale(entry):
    """Return scale and minimum of an entry; (None, None) for floats.

    Raises:
        ValueError: If an entry of integers has none.
    """
    quantization = entry.get('quantization', {'dtype': 'float32'})
    if quantization['dtype'].startswith('float'):
        return None, None
    scale, minimum = quantization.get('scale'), quantization.get('min')
    if not all(isinstance(number, (int, float)) for number in (scale, minimum)):
        raise ValueError('quantized values have no scale or min')
    return scale, minimum


def _reader(regions, dtype, shape, scale, minimum):
    """Return the function that reads an entry and, with a scale, dequantizes it."""
    def read():
        content = b''.join(map(stored_arrays.read_region, regions))
        values = stored_arrays.decode(content, dtype).reshape(shape)
        if scale is not None:
            values = (minimum + scale * values.astype(np.float64)).astype(np.float32)
        return values
    return read

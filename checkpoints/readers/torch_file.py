"""Read the tensors of a PyTorch file without PyTorch: formats since version 0.1.10."""
import io
import math
import os
import struct
import tarfile
import zipfile

import numpy as np

from checkpoints.readers import state_dicts, stored_arrays, torch_pickle
from checkpoints.readers.stored_arrays import BFLOAT16, Region, StoredArray
from common.errors import UserError

# Name of a storage class -> dtype. Other tensors, such as quantized ones, are left out.
_DTYPES = {
    'FloatStorage': 'f4', 'DoubleStorage': 'f8', 'HalfStorage': 'f2', 'BFloat16Storage': BFLOAT16,
    'LongStorage': 'i8', 'IntStorage': 'i4', 'ShortStorage': 'i2', 'CharStorage': 'i1',
    'ByteStorage': 'u1'}
_ITEM_SIZES = {'BoolStorage': 1, 'ComplexFloatStorage': 8, 'ComplexDoubleStorage': 16,
               **{name: stored_arrays.item_size(dtype) for name, dtype in _DTYPES.items()}}
_LEGACY_MAGIC = 0x1950a86a20f9469cfc6c   # of the format before PyTorch 1.6, without a zip archive
LEGACY_START = b'\x80\x02\x8a\x0a' + _LEGACY_MAGIC.to_bytes(10, 'little')
ZIP_START = b'PK\x03\x04'
_LOCAL_HEADER = struct.Struct('<26xHH')   # of a file in a zip archive; sizes of name and extra


def read_arrays(path):
    """Read the tensors of a state dict, of a dict that holds one, or of a whole module.

    Returns:
        A dict: name -> `StoredArray`, floats as float32. Prefixes that all names have, such as
        'module.', are removed.

    Raises:
        UserError: If the file has the oldest format, needs too much memory or is compressed.
        Exception: Of any type, if the file is damaged.
    """
    if _is_zip(path):
        content, regions, order = _open_zip(path)
    elif _is_tar(path):
        raise UserError(f'{path} has the tar format of the first versions of PyTorch. Save its '
                        f'state_dict with a newer one')
    else:
        content, regions, order = _open_legacy(path)
    tensors = {name: tensor for name, tensor in state_dicts.find_tensors(content).items()
               if isinstance(tensor.storage, torch_pickle.Storage)
               and tensor.storage.type_name in _DTYPES}
    # A tensor with stride 0 repeats values without storing them.
    stored_arrays.check_memory(path, sum(map(_num_bytes, tensors.values())))
    return state_dicts.strip_prefixes({
        name: _stored_array(tensor, regions(tensor.storage), order)
        for name, tensor in tensors.items()})


def _is_zip(path):
    """Return whether a file is a zip archive; a damaged one, too."""
    with open(path, 'rb') as file:
        return file.read(len(ZIP_START)) == ZIP_START


def _is_tar(path):
    try:
        tarfile.open(path, 'r:').close()   # without decompression
    except tarfile.TarError:
        return False
    return True


def _open_zip(path):
    """Evaluate the pickle of a file of the current format.

    Returns:
        The value of the pickle; a function (`Storage`) -> `Region`; the byte order, '<' or '>'.
    """
    stored_arrays.check_zip(path)
    with zipfile.ZipFile(path) as archive:
        members = {member.filename: member for member in archive.infolist()}
        name = next((name for name in members if name.endswith('data.pkl')), None)
        if name is None:
            raise ValueError('the archive has no data.pkl')
        folder = name.removesuffix('data.pkl')
        content, _ = torch_pickle.load(io.BytesIO(archive.read(name)))
        is_big = (f'{folder}byteorder' in members
                  and archive.read(f'{folder}byteorder') == b'big')

    def region(storage):
        member = members[f'{folder}data/{storage.key}']
        if member.compress_type != zipfile.ZIP_STORED:
            raise UserError(f'{path} is a compressed archive. Save its state_dict with PyTorch')
        with open(path, 'rb') as file:
            file.seek(member.header_offset)
            sizes = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
        start = member.header_offset + _LOCAL_HEADER.size + sum(sizes)
        return Region(path, start, member.file_size, member.CRC)
    return content, region, '>' if is_big else '<'


def _open_legacy(path):
    """Evaluate the pickles of a file of the format before PyTorch 1.6; returns as `_open_zip`.

    Behind them are the storages, each with its number of elements before it.
    """
    with open(path, 'rb') as file:
        if torch_pickle.load(file)[0] != _LEGACY_MAGIC:
            raise ValueError('its first number is another one')
        torch_pickle.load(file)   # the version, 1001
        system, _ = torch_pickle.load(file)
        content, storages = torch_pickle.load(file)
        keys, _ = torch_pickle.load(file)
        order = '>' if system.get('little_endian') is False else '<'
        regions, position = {}, file.tell()
        for key in keys:
            file.seek(position)
            num_elements, = struct.unpack(f'{order}q', file.read(8))
            num_bytes = num_elements * _ITEM_SIZES[storages[key].type_name]
            regions[key] = Region(path, position + 8, num_bytes)
            position += 8 + num_bytes
            if num_bytes < 0 or position > os.path.getsize(path):
                raise ValueError('the file is truncated')
    return content, lambda storage: regions[storage.key], order


def _num_bytes(tensor):
    """Return the memory for a tensor: its float32 values, and all values that it reads.

    Raises:
        ValueError: If its shape, strides or offset are invalid.
    """
    shape = stored_arrays.check_shape(tensor.shape)
    strides = stored_arrays.check_shape(tensor.strides)
    stored_arrays.check_shape((tensor.offset, tensor.storage.offset))
    if len(shape) != len(strides):
        raise ValueError('a tensor has another number of strides than of dimensions')
    return 4 * max(math.prod(shape), _span(tensor))


def _span(tensor):
    """Return the number of elements from the first to the last one of a tensor."""
    if 0 in tensor.shape:
        return 0
    return 1 + sum((size - 1) * stride
                   for size, stride in zip(tensor.shape, tensor.strides, strict=True))


def _stored_array(tensor, storage_region, order):
    """Return the `StoredArray` of a tensor.

    Args:
        tensor: a `Tensor` that `_num_bytes` accepts.
        storage_region: the `Region` of its storage.
        order: byte order of the file, '<' or '>'.

    Raises:
        ValueError: If the tensor does not lie in its storage.
    """
    dtype = _DTYPES[tensor.storage.type_name]
    if dtype != BFLOAT16:
        dtype = np.dtype(order + dtype)
    item_size = stored_arrays.item_size(dtype)
    start = (tensor.storage.offset + tensor.offset) * item_size
    num_bytes = _span(tensor) * item_size
    if start + num_bytes > storage_region.num_bytes:
        raise ValueError('a tensor ends behind its storage')
    region = storage_region
    if num_bytes != storage_region.num_bytes:
        region = Region(region.path, region.offset + start, num_bytes)

    def read():
        values = stored_arrays.decode(stored_arrays.read_region(region), dtype)
        strides = [stride * values.itemsize for stride in tensor.strides]
        view = np.lib.stride_tricks.as_strided(values, tensor.shape, strides)
        return np.asarray(view, order='C')
    return StoredArray(tensor.shape, read)

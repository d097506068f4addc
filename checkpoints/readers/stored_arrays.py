"""Arrays in files: checked when the file is opened, read when they are needed."""
import math
import os
import zipfile
import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from common.errors import UserError

# A file may declare at most _MAX_EXPANSION times its size as its weights, or _MIN_MEMORY_LIMIT
# bytes. Trained weights hardly compress; deflate reaches a factor of 1,000 for zeros.
_MAX_EXPANSION, _MIN_MEMORY_LIMIT = 16, 1 << 28
BFLOAT16 = 'bfloat16'   # the upper half of a float32; NumPy has no such dtype
_MAX_RANK, _MAX_SIZE = 32, 1 << 40
_MAX_NAME_LENGTH = 1000


class StoredArray(NamedTuple):
    """An array in a file."""
    shape: tuple
    read: Callable   # () -> array; floats as float32


class Region(NamedTuple):
    """A range of bytes of a file."""
    path: str
    offset: int
    num_bytes: int
    crc: object = None   # CRC-32 of the bytes; None if unknown


def in_memory(array):
    """Return the `StoredArray` of an array that has been read."""
    return StoredArray(array.shape, lambda: array)


def check_memory(path, num_bytes):
    """Check the size that a file declares for its weights, before memory is taken for it.

    Raises:
        UserError: If the file declares a much larger size than its own, as no real weights do.
    """
    if num_bytes > max(_MAX_EXPANSION * os.path.getsize(path), _MIN_MEMORY_LIMIT):
        raise UserError(f'{path} declares {num_bytes:,} bytes of weights, but has only '
                        f'{os.path.getsize(path):,} bytes itself. Download or export it again')


def check_zip(path):
    """Check the declared sizes of the files in a zip archive.

    Raises:
        UserError: If they need too much memory, or a compression that np.savez does not use: its
            decompressor may take memory of a size that the file chooses.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    check_memory(path, sum(member.file_size for member in members))
    if any(member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
           for member in members):
        raise UserError(f'{path} is compressed with an unsupported method. Export it again')


def item_size(dtype):
    """Return the number of bytes of one value of a dtype, which may be `BFLOAT16`."""
    return 2 if dtype == BFLOAT16 else np.dtype(dtype).itemsize


def check_shape(shape):
    """Return a shape as a tuple of int.

    Raises:
        ValueError: If it is no sequence of sizes that an array can have.
    """
    if (not isinstance(shape, (list, tuple)) or len(shape) > _MAX_RANK
            or not all(type(size) is int and 0 <= size <= _MAX_SIZE for size in shape)):
        raise ValueError('an array has an invalid shape')
    return tuple(shape)


def check_name(name):
    """Return a name that is joined of several: a file may join a long one with many others.

    Raises:
        ValueError: If it is longer than that of any variable.
    """
    if len(name) > _MAX_NAME_LENGTH:
        raise ValueError(f'a name has {len(name):,} characters')
    return name


def from_region(region, dtype, shape):
    """Return the `StoredArray` whose values fill a region in row-major order.

    Args:
        region: a `Region`.
        dtype: a NumPy dtype with its byte order, or `BFLOAT16`.
        shape: the shape, as a file declares it.

    Raises:
        ValueError: If the shape is invalid or does not fill the region.
    """
    shape = check_shape(shape)
    if math.prod(shape) * item_size(dtype) != region.num_bytes:
        raise ValueError(f'an array of shape {shape} has {region.num_bytes} bytes')
    return StoredArray(shape, lambda: decode(read_region(region), dtype).reshape(shape))


def read_region(region):
    """Read the bytes of a `Region`.

    Raises:
        ValueError: If the file ends before, or the bytes do not have their checksum.
    """
    with open(region.path, 'rb') as file:
        file.seek(region.offset)
        content = file.read(region.num_bytes)
    if len(content) != region.num_bytes:
        raise ValueError('the file is truncated')
    if region.crc is not None and zlib.crc32(content) != region.crc:
        raise ValueError('a checksum does not match')
    return content


def decode(content, dtype):
    """Convert bytes to an array of one axis: floats become float32, integers keep their size.

    Args:
        content: the bytes.
        dtype: a NumPy dtype with its byte order, or `BFLOAT16` (little-endian).
    """
    if dtype == BFLOAT16:
        return (np.frombuffer(content, '<u2').astype(np.uint32) << 16).view(np.float32)
    array = np.frombuffer(content, dtype)
    native = np.float32 if array.dtype.kind == 'f' else array.dtype.newbyteorder('=')
    with np.errstate(over='ignore'):   # a float64 beyond float32 becomes infinite
        return array.astype(native, copy=False)

"""Checks of TensorFlow checkpoints before TensorFlow reads them.

TensorFlow's C++ code aborts the process for invalid values behind a valid checksum, or takes memory
of a size that the file chooses. The index of a checkpoint is a table of
tensorflow/core/protobuf/tensor_bundle.proto: variable name -> BundleEntryProto. A checkpoint of the
format before 2016 is a single table.
"""
import glob
import math
import os

import tensorflow.compat.v1 as tf
from google.protobuf.message import DecodeError
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import tensor_bundle_pb2

from run_folder import tables

_MAX_RANK, _MAX_ELEMENTS = 254, (1 << 63) - 1   # of TensorFlow
_VALUE_DTYPES = range(1, 100)                   # above: references to variables
_DTYPES = [tf.as_dtype(number) for number in types_pb2.DataType.values()
           if number in _VALUE_DTYPES]
# Number of each numeric dtype in a file -> bytes of a value.
_NUM_BYTES = {dtype.as_datatype_enum: dtype.size for dtype in _DTYPES
              if dtype.is_floating or dtype.is_integer or dtype.is_bool or dtype.is_complex}


def check(prefix):
    """Check the structure of a checkpoint, and that its data files hold the values it declares.

    Raises:
        ValueError: If a file is not a regular file, for example a named pipe, or the structure is
            invalid.
    """
    index_path, data_paths = f'{prefix}.index', glob.glob(f'{glob.escape(prefix)}.data-*')
    for path in filter(os.path.exists, (prefix, index_path, *data_paths)):
        if not os.path.isfile(path) and not os.path.isdir(path):
            raise ValueError(f'{path} is not a regular file')
    if os.path.exists(index_path):
        _check_index(prefix, tables.read_table(index_path))
    else:
        for path in filter(os.path.isfile, glob.glob(prefix)):   # a pattern stands for its shards
            tables.check_table(path)


def _check_index(prefix, table):
    """Check the content of the index, `tables.read_table`; raise ValueError if it is invalid."""
    try:
        header = tensor_bundle_pb2.BundleHeaderProto.FromString(table.pop(b''))
        entries = {name.decode(): tensor_bundle_pb2.BundleEntryProto.FromString(value)
                   for name, value in table.items()}
    except (DecodeError, KeyError) as error:
        raise ValueError('its index is damaged') from error
    shard_bytes = {shard: _file_size(f'{prefix}.data-{shard:05d}-of-{header.num_shards:05d}')
                   for shard in {entry.shard_id for entry in entries.values()}}
    value_bytes = sum(_value_bytes(name, entry) for name, entry in entries.items())
    data_bytes = sum(shard_bytes.values())
    if value_bytes > data_bytes:
        raise ValueError(f'its index has {value_bytes} bytes of values, but the data files have '
                         f'{data_bytes}')
    for name, entry in entries.items():
        if not 0 <= entry.offset <= entry.offset + entry.size <= shard_bytes[entry.shard_id]:
            raise ValueError(f'{name} lies outside of its data file')


def _file_size(path):
    return os.path.getsize(path) if os.path.exists(path) else 0


def _value_bytes(name, entry):
    """Return the size of a variable's values, for dtypes such as strings at least one byte each.

    Args:
        name: of the variable.
        entry: its BundleEntryProto.

    Raises:
        ValueError: If its dtype, shape or size is invalid, or it is partitioned into slices.
    """
    shape = [dim.size for dim in entry.shape.dim]
    if entry.slices:
        raise ValueError(f'{name} is partitioned, which is not supported')
    if (entry.dtype not in _VALUE_DTYPES or entry.shape.unknown_rank or len(shape) > _MAX_RANK
            or min(shape, default=0) < 0
            or math.prod(max(size, 1) for size in shape) > _MAX_ELEMENTS):
        raise ValueError(f'{name} has an invalid shape or dtype')
    num_bytes = math.prod(shape) * _NUM_BYTES.get(entry.dtype, 1)
    if entry.size < num_bytes or entry.size > num_bytes and entry.dtype in _NUM_BYTES:
        raise ValueError(f'{name} of shape {shape} has {entry.size} bytes')
    return num_bytes


def is_numeric(dtype):
    """Return whether a `tf.DType` is numeric. TensorFlow does not check the sizes of others."""
    return dtype.as_datatype_enum in _NUM_BYTES

"""TFRecord files: complete or not written at all, and indexed for random access."""
import os
import shutil
import struct
import tempfile

import numpy as np
import tensorflow.compat.v1 as tf

from common.errors import UserError

# A record is: length (8 bytes, little-endian), checksum of the length (4), content, checksum of the
# content (4).
_HEADER_BYTES, _FOOTER_BYTES = 12, 4
_POLYNOMIAL = 0x82f63b78   # of CRC-32C, reversed
_CHECKSUM_MASK = 0xa282ead8


def shard_name(name, split, shard, num_shards):
    """Return `<name>_<split>_00000-of-00004.tfrecord`, the convention of tf-slim."""
    return f'{name}_{split}_{shard:05d}-of-{num_shards:05d}.tfrecord'


class ShardWriter:
    """Context manager that writes all shards of a split, or none.

    The shards are written to a hidden folder and moved to `output_dir` on exit. If the context is
    left by an error, `output_dir` is unchanged.
    """

    def __init__(self, output_dir, name, split, num_shards):
        self._output_dir = output_dir
        self._names = [shard_name(name, split, shard, num_shards) for shard in range(num_shards)]
        self._counts = dict.fromkeys(self._names, 0)

    def __enter__(self):
        os.makedirs(self._output_dir, exist_ok=True)
        self._folder = tempfile.mkdtemp(prefix='.unfinished-', dir=self._output_dir)
        self._writers = [tf.io.TFRecordWriter(os.path.join(self._folder, name))
                         for name in self._names]
        return self

    def write(self, shard, serialized):
        """Append a serialized record to the shard with this index."""
        self._writers[shard].write(serialized)
        self._counts[self._names[shard]] += 1

    def __exit__(self, error_type, error, traceback):
        try:
            for writer in self._writers:
                writer.close()
            if error_type is None:
                for name in self._names:
                    os.replace(os.path.join(self._folder, name),
                               os.path.join(self._output_dir, name))
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def counts(self):
        """Number of records per shard: {file name: count}."""
        return dict(self._counts)


def _crc_table():
    """Return the CRC-32C of each byte, for `length_checksum`."""
    table = []
    for crc in range(256):
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
        table.append(crc)
    return table


_CRC_TABLE = _crc_table()


def length_checksum(length):
    """Return the checksum that a TFRecord file stores of the 8 bytes of a length."""
    crc = 0xffffffff
    for byte in length:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 255]
    crc ^= 0xffffffff
    return ((crc >> 15 | crc << 17) + _CHECKSUM_MASK) & 0xffffffff


def read_record(path, offset):
    """Return the content of the record at a byte offset, without checking its checksum.

    Raises:
        UserError: If the file ends within the record, or is not a TFRecord file any more.
    """
    with open(path, 'rb') as file:
        content_start = offset + _HEADER_BYTES
        num_bytes = os.fstat(file.fileno()).st_size - content_start
        file.seek(offset)
        header = file.read(8)
        length = struct.unpack('<Q', header)[0] if len(header) == 8 else 0
        if num_bytes < 0 or length > num_bytes:
            raise UserError(f'{path} has no complete record at byte {offset}. Convert the data '
                            f'again')
        file.seek(content_start)
        return file.read(length)


def index_records(path):
    """Return the byte offsets [n] int64 and the content checksums [n] uint32 of all records.

    The checksums are read from the file, not computed: together they identify its content. Those of
    the lengths are computed and compared, so that the first wrong one ends the reading.

    Raises:
        UserError: If the file cannot be read, is not a regular file, or ends within a record.
    """
    if os.path.exists(path) and not os.path.isfile(path):   # opening a pipe waits for its writer
        raise UserError(f'{path} is not a regular file. Convert the data again')
    offsets, checksums, position = [], [], 0
    try:
        with open(path, 'rb') as file:
            size = os.fstat(file.fileno()).st_size
            while position < size:
                file.seek(position)
                end = _end_of_record(position, file.read(_HEADER_BYTES), size)
                if end is None:
                    raise UserError(f'{path} is truncated or not a TFRecord file: record '
                                    f'{len(offsets)} at byte {position} of {size} is not '
                                    f'complete. Convert the data again')
                file.seek(end - _FOOTER_BYTES)
                offsets.append(position)
                checksums.append(struct.unpack('<I', file.read(_FOOTER_BYTES))[0])
                position = end
    except OSError as error:
        raise UserError(f'{path} cannot be read ({error.strerror})') from error
    return np.array(offsets, np.int64), np.array(checksums, np.uint32)


def _end_of_record(position, header, file_size):
    """Return the end of the record that begins at a position, or None if it has no valid end."""
    if len(header) < _HEADER_BYTES:
        return None
    length, checksum = struct.unpack('<QI', header)
    end = position + _HEADER_BYTES + length + _FOOTER_BYTES
    return end if end <= file_size and checksum == length_checksum(header[:8]) else None

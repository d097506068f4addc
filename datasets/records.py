"""Files of TFRecords: written whole or not at all, and indexed so that any record can be read by itself."""
import os
import shutil
import struct
import tempfile

import numpy as np
import tensorflow.compat.v1 as tf

from common.errors import UserError

# A record is: length (8 bytes, little-endian), checksum of it (4), content, checksum of the content (4).
_HEADER, _FOOTER = 12, 4


def shard_name(name, split, shard, num_shards):
    """`<name>_<split>_00000-of-00004.tfrecord`, the slim convention."""
    return f'{name}_{split}_{shard:05d}-of-{num_shards:05d}.tfrecord'


class ShardWriter:
    """Writes the shards of a split into a hidden folder, and moves them into place when all are whole.

    Use in a `with` block: an error in it leaves `output_dir` as it was.
    """

    def __init__(self, output_dir, name, split, num_shards):
        self._output_dir = output_dir
        self._names = [shard_name(name, split, shard, num_shards) for shard in range(num_shards)]
        self._counts = dict.fromkeys(self._names, 0)

    def __enter__(self):
        os.makedirs(self._output_dir, exist_ok=True)
        self._folder = tempfile.mkdtemp(prefix='.unfinished-', dir=self._output_dir)
        self._writers = [tf.io.TFRecordWriter(os.path.join(self._folder, name)) for name in self._names]
        return self

    def write(self, shard, serialized):
        """Appends one record to a shard."""
        self._writers[shard].write(serialized)
        self._counts[self._names[shard]] += 1

    def __exit__(self, error_type, error, traceback):
        try:
            for writer in self._writers:
                writer.close()
            if error_type is None:
                for name in self._names:
                    os.replace(os.path.join(self._folder, name), os.path.join(self._output_dir, name))
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def counts(self):
        """Shard file name -> number of records."""
        return dict(self._counts)


def read_record(path, offset):
    """The bytes of the record at a byte offset of a file, its checksum not tested."""
    with open(path, 'rb') as file:
        file.seek(offset)
        length = struct.unpack('<Q', file.read(8))[0]
        file.seek(offset + _HEADER)
        return file.read(length)


def index_records(path):
    """Byte offset [n] int64 and checksum [n] uint32 of every record; UserError where the file ends within one.

    The checksums are those that stand in the file: together they tell one content from another.
    """
    offsets, checksums, position = [], [], 0
    try:
        with open(path, 'rb') as file:
            size = os.fstat(file.fileno()).st_size
            while position < size:
                file.seek(position)
                header = file.read(8)
                end = position + _HEADER + _FOOTER
                end += struct.unpack('<Q', header)[0] if len(header) == 8 else size
                if end > size:
                    raise UserError(f'{path} is cut short or no TFRecord file: record {len(offsets)} at byte '
                                    f'{position} would end behind its {size} bytes; convert it anew')
                file.seek(end - _FOOTER)
                offsets.append(position)
                checksums.append(struct.unpack('<I', file.read(_FOOTER))[0])
                position = end
    except OSError as error:
        raise UserError(f'{path} cannot be read ({error.strerror})') from error
    return np.array(offsets, np.int64), np.array(checksums, np.uint32)

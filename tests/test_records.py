import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from common.errors import UserError
from datasets import records


def write(folder, contents, num_shards=2, interrupt=False):
    with records.ShardWriter(str(folder), 'pets', 'train', num_shards) as writer:
        for index, content in enumerate(contents):
            writer.write(index % num_shards, content)
        if interrupt:
            raise KeyboardInterrupt
    return writer.counts


def read_all(path):
    return list(tf.io.tf_record_iterator(str(path)))


def test_shards_and_counts(tmp_path):
    counts = write(tmp_path, [b'a', b'bb', b'ccc'])
    first, second = 'pets_train_00000-of-00002.tfrecord', 'pets_train_00001-of-00002.tfrecord'
    assert counts == {first: 2, second: 1}
    assert sorted(path.name for path in tmp_path.iterdir()) == [first, second]
    assert read_all(tmp_path / first) == [b'a', b'ccc']


def test_interrupted_writer_leaves_no_files(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, [b'a', b'bb'], interrupt=True)
    assert list(tmp_path.iterdir()) == []


def test_interrupted_writer_keeps_existing_shards(tmp_path):
    write(tmp_path, [b'old'], num_shards=1)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, [b'new'], num_shards=1, interrupt=True)
    shard, = tmp_path.iterdir()
    assert read_all(shard) == [b'old']


def test_offsets_of_records(tmp_path):
    write(tmp_path, [b'12345', b'', b'678'], num_shards=1)   # 16 more bytes per record
    path = str(next(tmp_path.iterdir()))
    offsets, checksums = records.index_records(path)
    np.testing.assert_array_equal(offsets, [0, 21, 37])
    assert offsets.dtype == np.int64 and len(set(checksums)) == 3
    assert [records.read_record(path, offset) for offset in offsets] == [b'12345', b'', b'678']


@pytest.mark.parametrize('size', [60, 45, 39])
def test_truncated_file(tmp_path, size):
    write(tmp_path, [b'12345', b'', b'x' * 20], num_shards=1)
    path = next(tmp_path.iterdir())
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(UserError, match='truncated or not a TFRecord file: record 2 at byte 37'):
        records.index_records(str(path))


@pytest.mark.parametrize('size', [0, 7, 12, 16])
def test_record_of_a_file_that_was_truncated(tmp_path, size):
    write(tmp_path, [b'12345'], num_shards=1)   # 12 bytes of header before the content
    path = next(tmp_path.iterdir())
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(UserError, match='no complete record at byte 0. Convert the data again'):
        records.read_record(str(path), 0)


def test_empty_file_has_no_records(tmp_path):
    (tmp_path / 'empty').write_bytes(b'')
    assert records.index_records(str(tmp_path / 'empty'))[0].shape == (0,)


def test_pipes_are_not_read(tmp_path):
    os.mkfifo(tmp_path / 'pipe')   # opening it would wait for a writer
    with pytest.raises(UserError, match='pipe is not a regular file. Convert the data again'):
        records.index_records(str(tmp_path / 'pipe'))


def test_checksums_of_lengths_are_those_of_tensorflow(tmp_path):
    write(tmp_path, [b'x' * length for length in (0, 1, 255, 256, 70_000)], num_shards=1)
    path, = tmp_path.iterdir()
    content = path.read_bytes()
    for offset in records.index_records(str(path))[0]:
        stored = int.from_bytes(content[offset + 8:offset + 12], 'little')
        assert records.length_checksum(content[offset:offset + 8]) == stored


@pytest.mark.parametrize('content', [bytes(1 << 20), b'\1' + bytes(15), b'x' * 999, b'\0' * 11])
def test_file_without_records_is_rejected_at_its_first_byte(tmp_path, content):
    """Zeros, which a crashed machine may leave, look like many records without content."""
    (tmp_path / 'zeros').write_bytes(content)
    with pytest.raises(UserError, match='zeros is truncated or not a TFRecord file: record 0 at'):
        records.index_records(str(tmp_path / 'zeros'))

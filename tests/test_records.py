import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from common.errors import UserError
from datasets import records


def write(folder, contents, num_shards=2, fail=False):
    with records.ShardWriter(str(folder), 'pets', 'train', num_shards) as writer:
        for index, content in enumerate(contents):
            writer.write(index % num_shards, content)
        if fail:
            raise KeyboardInterrupt
    return writer.counts


def test_shards_and_counts(tmp_path):
    counts = write(tmp_path, [b'a', b'bb', b'ccc'])
    assert counts == {'pets_train_00000-of-00002.tfrecord': 2, 'pets_train_00001-of-00002.tfrecord': 1}
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(counts)
    first = tmp_path / 'pets_train_00000-of-00002.tfrecord'
    assert list(tf.io.tf_record_iterator(str(first))) == [b'a', b'ccc']


def test_a_conversion_broken_off_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, [b'a', b'bb'], fail=True)
    assert list(tmp_path.iterdir()) == []


def test_a_conversion_broken_off_leaves_what_was_there(tmp_path):
    write(tmp_path, [b'old'], num_shards=1)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, [b'new'], num_shards=1, fail=True)
    shard, = tmp_path.iterdir()
    assert list(tf.io.tf_record_iterator(str(shard))) == [b'old']


def test_offsets_by_hand(tmp_path):
    write(tmp_path, [b'12345', b'', b'678'], num_shards=1)     # 16 bytes of frame around each
    path = str(next(tmp_path.iterdir()))
    offsets, checksums = records.index_records(path)
    np.testing.assert_array_equal(offsets, [0, 21, 37])
    assert offsets.dtype == np.int64 and len(set(checksums)) == 3


@pytest.mark.parametrize('keep', [60, 45, 39])
def test_a_file_cut_short(tmp_path, keep):
    write(tmp_path, [b'12345', b'', b'x' * 20], num_shards=1)
    path = next(tmp_path.iterdir())
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match='cut short or no TFRecord file: record 2 at byte 37'):
        records.index_records(str(path))


def test_an_empty_file_holds_no_records(tmp_path):
    (tmp_path / 'empty').write_bytes(b'')
    assert records.index_records(str(tmp_path / 'empty'))[0].shape == (0,)

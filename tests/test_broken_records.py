import io

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image

from common.errors import UserError
from datasets import broken_records, dataset_factory, dataset_info, records, schema
from datasets.annotation import Annotation


def jpeg(side=16):
    buffer = io.BytesIO()
    Image.fromarray(np.random.RandomState(0).randint(0, 256, [side, side, 3], np.uint8)).save(buffer, 'JPEG')
    return buffer.getvalue()


def example(name, encoded):
    return schema.serialize(Annotation(f'{name}.jpg', encoded, 16, 16, [(0, 0, 1, 1)], ['cat'], [False], [False]),
                            {'cat': 1})


@pytest.fixture
def dataset(tmp_path):
    """Five records in two files: whole, cut short, no picture, no example at all, whole with a flipped bit."""
    contents = [example('whole', jpeg()), example('short', jpeg()[:300]), example('text', b'no picture'), b'junk',
                example('flipped', jpeg())]
    with records.ShardWriter(str(tmp_path), 'pets', 'train', 2) as writer:
        for number, content in enumerate(contents):
            writer.write(number // 3, content)
    dataset_info.write_split(str(tmp_path), 'pets', ['cat'], 'train', writer.counts)
    second = tmp_path / records.shard_name('pets', 'train', 1, 2)
    content = bytearray(second.read_bytes())
    content[-40] ^= 1
    second.write_bytes(content)
    return dataset_factory.get_dataset('', 'train', str(tmp_path))


def test_each_broken_record_is_found_and_named(dataset):
    found = broken_records.find_broken_records(dataset)
    assert [(record.path, record.number, record.picture) for record in found] == [
        (dataset.files[0], 1, 'short.jpg'), (dataset.files[0], 2, 'text.jpg'), (dataset.files[1], 0, ''),
        (dataset.files[1], 1, found[3].picture)]
    assert [reason in record.reason for reason, record in zip(
        ('Invalid JPEG', 'Unknown image', 'image/encoded', 'checksum'), found, strict=True)] == [True] * 4, found
    assert str(found[0]).startswith("record 1 of pets_train_00000-of-00002.tfrecord ('short.jpg'): ")


def test_they_are_left_out_up_to_a_number(dataset, caplog):
    with pytest.raises(UserError, match='4 records are broken, more than --max_broken_records=3: record 1 of'):
        broken_records.remove_broken_records(dataset, 3)
    with caplog.at_level('INFO', 'ssd'):
        left = broken_records.remove_broken_records(dataset, 4)
    assert caplog.text.count('left out: record') == 4
    assert left.num_examples == 1 and [len(offsets) for offsets in left.offsets] == [1, 0]
    assert broken_records.find_broken_records(left) == []


def test_none_left(dataset):
    bad = dataset._replace(offsets=[dataset.offsets[0][1:], dataset.offsets[1]])
    with pytest.raises(UserError, match='no record of pets train can be read'):
        broken_records.remove_broken_records(bad, 9)


def test_an_error_of_the_graph_names_its_records(dataset):
    with pytest.raises(UserError, match="holds broken records: record 1 .*'short.jpg'.*; leave out 4"), \
         broken_records.report_broken_records(dataset, 'leave out {count}'):
        raise tf.errors.DataLossError(None, None, 'corrupted record')


def test_a_record_that_tensorflow_cannot_even_quote(dataset, tmp_path):
    with records.ShardWriter(str(tmp_path), 'pets', 'train', 1) as writer:
        writer.write(0, b'\xff' * 20)
    dataset_info.write_split(str(tmp_path), 'pets', ['cat'], 'train', writer.counts)
    dataset = dataset_factory.get_dataset('', 'train', str(tmp_path))
    assert broken_records.find_broken_records(dataset)[0].reason == 'it is no tf.train.Example'
    with pytest.raises(UserError, match='it is no tf.train.Example; convert'), broken_records.report_broken_records(dataset):
        b'\xff'.decode()


def test_other_errors_pass(dataset):
    whole = dataset._replace(offsets=[dataset.offsets[0][:1], dataset.offsets[1][:0]])
    with pytest.raises(tf.errors.InvalidArgumentError, match='something else'), broken_records.report_broken_records(whole):
        raise tf.errors.InvalidArgumentError(None, None, 'something else')


def test_a_file_that_has_gone(dataset, tmp_path):
    (tmp_path / records.shard_name('pets', 'train', 0, 2)).unlink()
    found = broken_records.find_broken_records(dataset)
    assert [record.number for record in found] == [0, 1, 2, 0, 1] and 'No such file' in found[0].reason

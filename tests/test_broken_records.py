import io
import pathlib

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image

from common.errors import UserError
from datasets import (
    broken_records,
    dataset_factory,
    dataset_info,
    input_pipeline,
    records,
    schema,
)
from datasets.annotation import Annotation


def encode_jpeg(side=16):
    pixels = np.random.RandomState(0).randint(0, 256, [side, side, 3], np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, 'JPEG')
    return buffer.getvalue()


def serialize(name, encoded):
    annotation = Annotation(f'{name}.jpg', encoded, 16, 16, [(0, 0, 1, 1)], ['cat'], [False],
                            [False])
    return schema.serialize(annotation, {'cat': 1})


def write_dataset(folder, contents, num_shards):
    """Write serialized records, three per shard, and return their `Dataset`."""
    with records.ShardWriter(str(folder), 'pets', 'train', num_shards) as writer:
        for index, content in enumerate(contents):
            writer.write(index // 3, content)
    dataset_info.write_split(str(folder), 'pets', ['cat'], 'train', writer.counts)
    return dataset_factory.get_dataset('', 'train', str(folder))


@pytest.fixture
def dataset(tmp_path):
    """Two shards: intact, truncated JPEG, not an image; not an Example, one bit flipped."""
    written = write_dataset(tmp_path, [
        serialize('intact', encode_jpeg()), serialize('truncated', encode_jpeg()[:300]),
        serialize('text', b'not an image'), b'junk', serialize('flipped', encode_jpeg())], 2)
    second = tmp_path / records.shard_name('pets', 'train', 1, 2)
    content = bytearray(second.read_bytes())
    content[-40] ^= 1
    second.write_bytes(content)
    return written


def test_broken_records_are_found_with_name_and_reason(dataset):
    broken = broken_records.find_broken_records(dataset)
    assert [(record.path, record.index) for record in broken] == [
        (dataset.files[0], 1), (dataset.files[0], 2), (dataset.files[1], 0), (dataset.files[1], 1)]
    assert [record.filename for record in broken[:3]] == ['truncated.jpg', 'text.jpg', '']
    reasons = ('Invalid JPEG', 'Unknown image', 'image/encoded', 'checksum')
    for reason, record in zip(reasons, broken, strict=True):
        assert reason in record.reason
    assert str(broken[0]).startswith(
        "record 1 of pets_train_00000-of-00002.tfrecord ('truncated.jpg'): ")


def test_removal_up_to_a_maximum_number(dataset, caplog):
    message = '4 records are broken, more than --max_broken_records=3: record 1 of'
    with pytest.raises(UserError, match=message):
        broken_records.remove_broken_records(dataset, 3)
    with caplog.at_level('INFO', 'ssd'):
        intact = broken_records.remove_broken_records(dataset, 4)
    assert caplog.text.count('skipped: record') == 4
    assert intact.num_examples == 1
    assert [len(offsets) for offsets in intact.offsets] == [1, 0]
    assert broken_records.find_broken_records(intact) == []


def test_removal_fails_without_intact_records(dataset):
    broken = dataset._replace(offsets=[dataset.offsets[0][1:], dataset.offsets[1]])
    with pytest.raises(UserError, match='all records of pets train are broken'):
        broken_records.remove_broken_records(broken, 9)


def test_input_error_is_replaced_by_a_list_of_broken_records(dataset):
    message = "has broken records: record 1 .*'truncated.jpg'.*. Skip 4"
    with pytest.raises(UserError, match=message), \
         broken_records.report_broken_records(dataset, 'Skip {count}'):
        raise tf.errors.DataLossError(None, None, 'corrupted record')


@pytest.mark.parametrize('content', [b'', b'\xff' * 7, b'\xff' * 99, None])
def test_records_that_change_while_they_are_read(dataset, content):
    """Too short for a length, a length of 2**64 - 1 bytes, and a removed file."""
    path = pathlib.Path(dataset.files[0])
    path.unlink() if content is None else path.write_bytes(content)
    message = 'changed or removed while they were read: [^,]*_00000-of-00002.tfrecord. Run the same'
    with pytest.raises(UserError, match=message), broken_records.report_broken_records(dataset):
        raise tf.errors.DataLossError(None, None, 'corrupted record')
    assert [record.filename for record in broken_records.find_broken_records(dataset)][0] == ''


def test_any_error_of_the_iterator_is_an_input_error():
    op = tf.data.make_one_shot_iterator(tf.data.Dataset.range(1)).get_next().op
    for error in (tf.errors.PermissionDeniedError, tf.errors.UnknownError):
        assert broken_records.is_input_error(error(None, op, 'disk'))
        assert not broken_records.is_input_error(error(None, None, 'disk'))


def test_record_whose_error_message_cannot_be_decoded(tmp_path):
    dataset = write_dataset(tmp_path, [b'\xff' * 20], 1)
    reason = 'it is not a tf.train.Example'
    assert broken_records.find_broken_records(dataset)[0].reason == reason
    with pytest.raises(UserError, match=f'{reason}. Convert'), \
         broken_records.report_broken_records(dataset):
        b'\xff'.decode()


def test_other_errors_are_not_changed(dataset):
    intact = dataset._replace(offsets=[dataset.offsets[0][:1], dataset.offsets[1][:0]])
    with pytest.raises(tf.errors.InvalidArgumentError, match='something else'), \
         broken_records.report_broken_records(intact):
        raise tf.errors.InvalidArgumentError(None, None, 'something else')


def test_missing_shard(dataset, tmp_path):
    (tmp_path / records.shard_name('pets', 'train', 0, 2)).unlink()
    broken = broken_records.find_broken_records(dataset)
    assert [record.index for record in broken] == [0, 1, 2, 0, 1]
    assert 'No such file' in broken[0].reason


BBOX = 'image/object/bbox/'
COORDINATES = ('ymin', 'xmin', 'ymax', 'xmax')


def with_features(**values):
    """Return an intact record of one box with some features replaced: lists of int or float."""
    example = tf.train.Example.FromString(serialize('odd', encode_jpeg()))
    for name, replacement in values.items():
        feature = example.features.feature[BBOX + name]
        feature.Clear()
        if not replacement:
            del example.features.feature[BBOX + name]
        elif isinstance(replacement[0], int):
            feature.int64_list.value.extend(replacement)
        else:
            feature.float_list.value.extend(replacement)
    return example.SerializeToString()


@pytest.mark.parametrize('features, reason', [
    ({'label': [0]}, 'it has the label 0, which is the background: its labels seem to be 0-based'),
    ({'label': [-1]}, 'it has the label -1, but labels go from 1 to 1'),
    ({'label': [2]}, 'it has the label 2, but'),
    ({'label': [2**32 + 1]}, 'it has the label 4294967297, but'),   # 1 as int32
    ({'label': [1, 1]}, 'it has 2 labels, but 1, 1, 1, 1 ymin, xmin, ymax, xmax'),
    ({'ymax': []}, 'it has 1 labels, but 1, 1, 0, 1 ymin'),
    ({'xmin': [.1, .2]}, 'it has 1 labels, but 1, 2, 1, 1 ymin'),
    ({'difficult': [0, 1]}, 'it has 1 labels, but 2 values of difficult'),
    ({'area': [1., 2., 3.]}, 'it has 1 labels, but 3 values of area'),
    ({'xmax': [12.]}, r'it has a box .ymin 0, xmin 0, ymax 1, xmax 12. that is not relative'),
    ({'ymin': [-40.]}, 'it has a box .* not in pixels'),
    ({'ymin': [float('nan')]}, 'it has a box .ymin nan'),
    ({'label': [1.]}, 'the values of image/object/bbox/label are not of type int'),
    ({'xmin': [0]}, 'the values of image/object/bbox/xmin are not of type float')])
def test_records_with_invalid_values(tmp_path, features, reason):
    """Training and evaluation fail with the record's name, and training can skip the record."""
    dataset = write_dataset(tmp_path, [serialize('fine', encode_jpeg()),
                                       with_features(**features)], 1)
    batch = input_pipeline.evaluation_batches(dataset, lambda record: record, 2)
    message = f"record 1 of .*tfrecord .'odd.jpg'.: {reason}.*. Convert"
    with tf.Session() as session, pytest.raises(UserError, match=message), \
         broken_records.report_broken_records(dataset):
        session.run(tf.tables_initializer())
        session.run(batch)
    intact = broken_records.remove_broken_records(dataset, 1)
    assert [len(offsets) for offsets in intact.offsets] == [1]


@pytest.mark.parametrize('features', [
    {}, {'label': [], 'difficult': [], **dict.fromkeys(COORDINATES, ())}, {'difficult': []},
    {'xmin': [-1.], 'ymax': [2.]}, {'ymin': [.5], 'ymax': [.5]}])
def test_records_that_are_used(tmp_path, features):
    """An image without boxes, and a box that exceeds its image by less than its size."""
    dataset = write_dataset(tmp_path, [with_features(**features)], 1)
    assert broken_records.find_broken_records(dataset) == []


def test_record_without_an_image(tmp_path):
    example = tf.train.Example.FromString(serialize('odd', encode_jpeg()))
    del example.features.feature['image/encoded']
    dataset = write_dataset(tmp_path, [example.SerializeToString()], 1)
    record, = broken_records.find_broken_records(dataset)
    assert 'image/encoded' in record.reason and record.filename == 'odd.jpg'

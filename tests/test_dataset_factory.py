import json

import pytest

from common.errors import UserError
from datasets import dataset_factory, dataset_info, records


@pytest.fixture
def folder(tmp_path):
    """A converted data set 'pets' with a split 'train' of 3 records in 2 shards, and its facts."""
    with records.ShardWriter(str(tmp_path), 'pets', 'train', 2) as writer:
        for index in range(3):
            writer.write(index % 2, b'record')
    dataset_info.write_labels(tmp_path, ['cat', 'dog'])
    dataset_info.write_split(tmp_path, 'pets', ['cat', 'dog'], 'train', writer.counts)
    return tmp_path


def get(folder, name='', split='train', **options):
    return dataset_factory.get_dataset(name, split, str(folder), **options)


def test_by_its_facts(folder):
    dataset = get(folder)
    assert (dataset.name, dataset.num_examples, dataset.num_classes) == ('pets', 3, 3)
    assert dataset.class_names == ['cat', 'dog'] and len(dataset.files) == 2 and dataset.source_ids is None


def test_what_the_source_calls_the_classes(folder):
    dataset_info.write_split(folder, 'pets', ['cat', 'dog'], 'train', {
        f'pets_train_0000{shard}-of-00002.tfrecord': count for shard, count in ((0, 2), (1, 1))}, source_ids=[17, 18])
    assert get(folder).source_ids == [17, 18]


def test_without_facts_by_name_and_labels(folder):
    (folder / 'dataset.json').unlink()
    assert get(folder, 'pets').class_names == ['cat', 'dog']
    (folder / 'labels.txt').unlink()
    assert get(folder, 'pets', num_classes=4).class_names == ['class_1', 'class_2', 'class_3']
    with pytest.raises(UserError, match='pass --num_classes'):
        get(folder, 'pets')


def test_files_of_public_converters(tmp_path):
    for shard in range(2):
        with records.ShardWriter(str(tmp_path), 'x', 'y', 1) as writer:
            writer.write(0, b'record')
        (tmp_path / 'x_y_00000-of-00001.tfrecord').rename(tmp_path / f'voc_2007_train_{shard:03d}.tfrecord')
    dataset = get(tmp_path, 'pascalvoc_2007')
    assert dataset.num_examples == 2 and dataset.num_classes == 21 and dataset.class_names[14] == 'person'


def test_a_split_whose_name_begins_like_another(folder):
    (folder / 'dataset.json').unlink()
    (folder / 'pets_train_small_00000-of-00001.tfrecord').write_bytes(b'')
    assert get(folder, 'pets').num_examples == 3


@pytest.mark.parametrize('arguments, message', [
    ({'name': 'birds'}, "holds the data set 'pets', not 'birds'"),
    ({'split': 'val'}, "no split 'val'; its splits are: train"),
    ({'num_classes': 21}, '--num_classes=21, but .* has 2 classes, 3 with the background')])
def test_wrong_arguments(folder, arguments, message):
    with pytest.raises(UserError, match=message):
        get(folder, **arguments)


@pytest.mark.parametrize('spoil, message', [
    (lambda f: (f / 'pets_train_00001-of-00002.tfrecord').unlink(), 'is missing, but dataset.json beside it names it'),
    (lambda f: (f / 'pets_train_00001-of-00002.tfrecord').write_bytes(b''), 'holds 0 records, but dataset.json says 1'),
    (lambda f: (f / 'pets_train_00001-of-00002.tfrecord').write_bytes(b'junk'), 'cut short or no TFRecord')])
def test_spoilt_shards(folder, spoil, message):
    spoil(folder)
    with pytest.raises(UserError, match=message):
        get(folder)


def test_folders_that_hold_nothing(tmp_path):
    with pytest.raises(UserError, match='does not exist'):
        get(tmp_path / 'gone')
    with pytest.raises(UserError, match='name the data set with --dataset_name'):
        get(tmp_path)
    with pytest.raises(UserError, match='no file matches .*pets_train_.*holds no .tfrecord'):
        get(tmp_path, 'pets')
    with pytest.raises(UserError, match='no --dataset_dir'):
        get('')


def test_an_incomplete_set_of_shards(folder):
    (folder / 'dataset.json').unlink()
    (folder / 'pets_train_00001-of-00002.tfrecord').unlink()
    with pytest.raises(UserError, match='not one whole set'):
        get(folder, 'pets')


def test_an_empty_split(folder):
    shard = 'pets_val_00000-of-00001.tfrecord'
    (folder / shard).write_bytes(b'')
    content = json.loads((folder / 'dataset.json').read_text())
    content['splits']['val'] = {'examples': 0, 'shards': {shard: 0}}
    (folder / 'dataset.json').write_text(json.dumps(content))
    with pytest.raises(UserError, match="the split 'val' .* holds no records"):
        get(folder, split='val')

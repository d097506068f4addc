import json

import pytest

from common.errors import UserError
from datasets import dataset_factory, dataset_info, records

SECOND_SHARD = 'pets_train_00001-of-00002.tfrecord'


@pytest.fixture
def folder(tmp_path):
    """A converted dataset 'pets' with a split 'train' of 3 records in 2 shards."""
    with records.ShardWriter(str(tmp_path), 'pets', 'train', 2) as writer:
        for index in range(3):
            writer.write(index % 2, b'record')
    dataset_info.write_labels(tmp_path, ['cat', 'dog'])
    dataset_info.write_split(tmp_path, 'pets', ['cat', 'dog'], 'train', writer.counts)
    return tmp_path


def get(folder, name='', split='train', **options):
    return dataset_factory.get_dataset(name, split, str(folder), **options)


def test_dataset_with_dataset_json(folder):
    dataset = get(folder)
    assert (dataset.name, dataset.num_examples, dataset.num_classes) == ('pets', 3, 3)
    assert dataset.class_names == ['cat', 'dog'] and len(dataset.files) == 2
    assert dataset.source_ids is None


def test_source_ids_of_the_classes(folder):
    shards = {'pets_train_00000-of-00002.tfrecord': 2, SECOND_SHARD: 1}
    dataset_info.write_split(folder, 'pets', ['cat', 'dog'], 'train', shards, source_ids=[17, 18])
    assert get(folder).source_ids == [17, 18]


def test_dataset_without_dataset_json(folder):
    (folder / 'dataset.json').unlink()
    assert get(folder, 'pets').class_names == ['cat', 'dog']
    (folder / 'labels.txt').unlink()
    assert get(folder, 'pets', num_classes=4).class_names == ['class_1', 'class_2', 'class_3']
    with pytest.raises(UserError, match='Pass --num_classes'):
        get(folder, 'pets')


def test_files_of_public_converters(tmp_path):
    for shard in range(2):
        with records.ShardWriter(str(tmp_path), 'x', 'y', 1) as writer:
            writer.write(0, b'record')
        path = tmp_path / 'x_y_00000-of-00001.tfrecord'
        path.rename(tmp_path / f'voc_2007_train_{shard:03d}.tfrecord')
    dataset = get(tmp_path, 'pascalvoc_2007')
    assert dataset.num_examples == 2 and dataset.num_classes == 21
    assert dataset.class_names[14] == 'person'
    assert dataset_factory.split_names('pascalvoc_2007', str(tmp_path)) == ['train']


def test_folder_with_the_special_characters_of_globs(folder):
    (folder / 'dataset.json').unlink()
    renamed = folder.rename(folder.with_name('records [1]'))
    assert get(renamed, 'pets').num_examples == 3


def test_split_whose_name_is_a_prefix_of_another(folder):
    (folder / 'dataset.json').unlink()
    (folder / 'pets_train_small_00000-of-00001.tfrecord').write_bytes(b'')
    assert get(folder, 'pets').num_examples == 3


@pytest.mark.parametrize('arguments, message', [
    ({'name': 'birds'}, "contains the dataset 'pets', not 'birds'"),
    ({'split': 'val'}, "no split 'val'; its splits are: train"),
    ({'num_classes': 21}, '--num_classes=21, but .* has 2 classes, 3 with the background')])
def test_arguments_that_contradict_the_files(folder, arguments, message):
    with pytest.raises(UserError, match=message):
        get(folder, **arguments)


@pytest.mark.parametrize('damage, message', [
    (lambda path: path.unlink(), 'is missing, but dataset.json lists it'),
    (lambda path: path.write_bytes(b''), 'has 0 records, but 1 according to dataset.json'),
    (lambda path: path.write_bytes(b'junk'), 'truncated or not a TFRecord')])
def test_damaged_shards(folder, damage, message):
    damage(folder / SECOND_SHARD)
    with pytest.raises(UserError, match=message):
        get(folder)


def test_folders_without_records(tmp_path):
    with pytest.raises(UserError, match='does not exist'):
        get(tmp_path / 'gone')
    with pytest.raises(UserError, match='has no dataset.json. Pass --dataset_name'):
        get(tmp_path)
    with pytest.raises(UserError, match='no file matches .*pets_train_.*no .tfrecord files'):
        get(tmp_path, 'pets')
    with pytest.raises(UserError, match='--dataset_dir is missing'):
        get('')


def test_incomplete_set_of_shards(folder):
    (folder / 'dataset.json').unlink()
    (folder / SECOND_SHARD).unlink()
    with pytest.raises(UserError, match='not one complete set of shards'):
        get(folder, 'pets')


@pytest.mark.parametrize('shard', ['pets_val_00000-of-00001.tfrecord', None])
def test_empty_split(folder, shard):
    if shard:
        (folder / shard).write_bytes(b'')
    content = json.loads((folder / 'dataset.json').read_text())
    content['splits']['val'] = {'examples': 0, 'shards': {shard: 0} if shard else {}}
    (folder / 'dataset.json').write_text(json.dumps(content))
    with pytest.raises(UserError, match="the split 'val' .* has no records"):
        get(folder, split='val')


@pytest.mark.parametrize('names, expected', [
    (['train', 'val', 'test'], 'test'), (['train', 'val'], 'val'), (['train', 'valid'], 'valid'),
    (['train'], 'test')])
def test_split_for_evaluation(tmp_path, names, expected):
    for name in names:
        dataset_info.write_split(tmp_path, 'pets', ['cat'], name, {'x': 1})
    assert dataset_factory.evaluation_split('', str(tmp_path)) == expected
    assert dataset_factory.evaluation_split('', str(tmp_path / 'gone')) == 'test'

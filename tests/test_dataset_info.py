import pytest

from common.errors import UserError
from datasets import dataset_info


def test_labels_are_written_and_read(tmp_path):
    dataset_info.write_labels(tmp_path, ['cat', 'dog'])
    assert (tmp_path / 'labels.txt').read_text() == '0:background\n1:cat\n2:dog\n'
    assert dataset_info.read_labels(tmp_path / 'labels.txt') == ['cat', 'dog']


@pytest.mark.parametrize('text', [
    'cat\ndog\n', '2:dog\n1:cat\n', '\ufeff1:cat\r\n\r\n2: dog \r\n', 'background\ncat\ndog'])
def test_variants_of_labels_files(tmp_path, text):
    (tmp_path / 'classes.txt').write_text(text, encoding='utf-8')
    assert dataset_info.read_labels(tmp_path / 'classes.txt') == ['cat', 'dog']


@pytest.mark.parametrize('text, message', [
    ('', 'has no class names'), ('1:cat\n3:dog\n', r'the labels \[1, 3\] have gaps'),
    ('cat\ncat\n', 'duplicate class names: cat'),
    ('a' * (1 << 24) + '\n', 'cannot be read .more than 16777216 bytes')])
def test_invalid_labels(tmp_path, text, message):
    (tmp_path / 'classes.txt').write_text(text)
    with pytest.raises(UserError, match=message):
        dataset_info.read_labels(tmp_path / 'classes.txt')


def test_unreadable_labels(tmp_path):
    (tmp_path / 'latin').write_bytes('1:Hündin'.encode('latin-1'))
    with pytest.raises(UserError, match='not UTF-8'):
        dataset_info.read_labels(tmp_path / 'latin')
    with pytest.raises(UserError, match='cannot be read'):
        dataset_info.read_labels(tmp_path / 'gone')
    with pytest.raises(UserError, match='/dev/zero cannot be read .not a regular file'):
        dataset_info.read_labels('/dev/zero')


def test_only_decimal_labels_are_numbers(tmp_path):
    """'²' is a digit, but int() does not accept it."""
    (tmp_path / 'classes.txt').write_text('²:cat\n', encoding='utf-8')
    assert dataset_info.read_labels(tmp_path / 'classes.txt') == ['²:cat']


def test_splits_are_added_to_one_file(tmp_path):
    dataset_info.write_split(tmp_path, 'pets', ['cat'], 'train', {'a': 2, 'b': 3}, boxes=9)
    dataset_info.write_split(tmp_path, 'pets', ['cat'], 'val', {'c': 1})
    assert dataset_info.read_info(tmp_path) == {
        'name': 'pets', 'classes': ['cat'],
        'splits': {'train': {'examples': 5, 'shards': {'a': 2, 'b': 3}, 'boxes': 9},
                   'val': {'examples': 1, 'shards': {'c': 1}}}}


def test_split_without_source_ids_keeps_existing_ones(tmp_path):
    classes = ['cat', 'dog']
    dataset_info.write_split(tmp_path, 'pets', classes, 'train', {'a': 2}, source_ids=[17, 18])
    dataset_info.write_split(tmp_path, 'pets', classes, 'val', {'b': 2})
    assert dataset_info.read_info(tmp_path)['source_ids'] == [17, 18]


def test_missing_or_invalid_dataset_json(tmp_path):
    assert dataset_info.read_info(tmp_path) is None
    for text in ('{"name": "other"}', '[]', '0', '{"name": "a", "classes": [1], "splits": {}}',
                 '{"name": "a", "classes": ["b"], "splits": {"train": {"shards": ["c"]}}}'):
        (tmp_path / 'dataset.json').write_text(text)
        with pytest.raises(UserError, match='is not written by tf_convert_data.py'):
            dataset_info.read_info(tmp_path)
    (tmp_path / 'dataset.json').write_text('{')
    with pytest.raises(UserError, match='Convert the data again'):
        dataset_info.read_info(tmp_path)


@pytest.mark.parametrize('name', ['../other.tfrecord', '/etc/passwd', 'a/b.tfrecord', '..', '',
                                  '..\\\\other.tfrecord'])
def test_shards_outside_the_folder_are_rejected(tmp_path, name):
    """Conversion with --overwrite removes the shards that dataset.json lists."""
    dataset_info.write_split(tmp_path, 'pets', ['cat'], 'train', {name: 2})
    with pytest.raises(UserError, match='which is not the name of a file in its folder. Convert'):
        dataset_info.read_info(tmp_path)

import pytest

from common.errors import UserError
from datasets import splits


@pytest.mark.parametrize('paths, expected', [
    (['x/instances_train2017.json', 'x/instances_val2017.json'],
     {'train2017': 'x/instances_train2017.json', 'val2017': 'x/instances_val2017.json'}),
    (['train_labels.csv', 'test_labels.csv'],
     {'train': 'train_labels.csv', 'test': 'test_labels.csv'}),
    (['a.csv', 'b.csv'], {'a': 'a.csv', 'b': 'b.csv'}), (['train.csv'], {'train': 'train.csv'}),
    (['image_info_test-dev2017.json'], {'test-dev2017': 'image_info_test-dev2017.json'}),
    (['valid_small.csv'], {'valid_small': 'valid_small.csv'}),
    (['trainer.csv'], {'': 'trainer.csv'}), (['annotations.json'], {'': 'annotations.json'}),
    (['instances_default.json'], {'': 'instances_default.json'}),
    (['train.csv', 'train_labels.csv'], {'train': 'train.csv', 'train_labels': 'train_labels.csv'}),
    ([], {})])
def test_splits_from_file_names(paths, expected):
    assert splits.files_by_name(paths) == expected


def test_valid_ratios():
    assert splits.parse_ratio('train=0.8,val=0.2') == {'train': .8, 'val': .2}
    assert splits.parse_ratio('all=1') == {'all': 1}


@pytest.mark.parametrize('text', [
    'train', 'train=0.8', '0.8,0.2', 'train=0.8,val=0.3', 'train=1.2,val=-0.2',
    'train=0.5,train=0.5', 'train=x,val=1', 'train=0.8,val=0.2,', 'a/b=1', 'train=nan', '=1',
    'train=1,val=0'])
def test_invalid_ratios(text):
    with pytest.raises(UserError, match='must be positive and sum to 1. Pass .*train=0.8,val=0.2'):
        splits.parse_ratio(text)


def test_each_image_is_in_exactly_one_split():
    names = [f'{i:03d}.jpg' for i in range(103)]
    assigned = splits.assign_to_splits(names, {'train': .7, 'val': .2, 'test': .1}, 0)
    # .7 * 103 = 72.1 -> 72, .9 * 103 = 92.7 -> 93
    assert [len(part) for part in assigned.values()] == [72, 21, 10]
    assert sorted(name for part in assigned.values() for name in part) == names
    assert all(part == sorted(part) for part in assigned.values())


def test_assignment_depends_on_the_seed_and_not_on_the_order():
    names, shares = [f'{i}.jpg' for i in range(50)], {'train': .5, 'val': .5}
    assigned = splits.assign_to_splits(names, shares, 0)
    assert assigned == splits.assign_to_splits(names[::-1], shares, 0)
    assert assigned != splits.assign_to_splits(names, shares, 1)


def test_assignment_by_hash():
    # The hashes of 0/a, 0/b and 0/c begin with d3, 7d and 28: c comes first.
    assigned = splits.assign_to_splits('abc', {'x': .34, 'y': .66}, 0)
    assert assigned == {'x': ['c'], 'y': ['a', 'b']}


def test_additional_images_move_few_others():
    shares = {'train': .8, 'val': .2}
    before = splits.assign_to_splits([str(i) for i in range(1000)], shares, 0)
    after = splits.assign_to_splits([str(i) for i in range(1010)], shares, 0)
    assert len(set(before['val']) - set(after['val'])) < 20


def test_empty_split_fails():
    with pytest.raises(UserError, match='leaves the split val without any of the 3 images'):
        splits.assign_to_splits('abc', {'train': .9, 'val': .1}, 0)


def test_identical_images_are_in_the_same_split():
    """The hashes order c, b, a, as above; c repeats a and moves to its place."""
    shares = {'x': .34, 'y': .66}
    assert splits.assign_to_splits('abc', shares, 0, {'c': 'a'}) == {'x': ['b'], 'y': ['a', 'c']}
    # a and c come last; the border between them moves to the end.
    shares = {'x': .67, 'y': .33}
    with pytest.raises(UserError, match='split y without any of the 3 images, 1 of which repeat'):
        splits.assign_to_splits('abc', shares, 0, {'c': 'a'})
    names = [f'{i}' for i in range(40)]
    same_as = {name: str(int(name) % 20) for name in names[20:]}   # 20 pairs
    for seed in range(5):
        assigned = splits.assign_to_splits(names, {'train': .8, 'val': .2}, seed, same_as)
        assert {int(name) % 20 for name in assigned['train']}.isdisjoint(
            int(name) % 20 for name in assigned['val'])
        assert len(assigned['train']) in (32, 33) and len(names) == 40


def test_files_with_the_same_content(tmp_path):
    for name, content in {'a': 'x', 'b': 'y', 'c': 'x', 'd': 'xx', 'e': 'x'}.items():
        (tmp_path / name).write_text(content)
    paths = {name: str(tmp_path / name) for name in 'abcdefg'}   # f and g do not exist
    assert splits.find_identical(paths) == {'c': 'a', 'e': 'a'}


def test_names_of_splits():
    assert all(map(splits.is_exact_split_name, ('train', 'Test', 'valid')))
    assert not any(map(splits.is_exact_split_name, ('train2017', 'testing', 'cam1')))

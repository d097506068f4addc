import pytest

from common.errors import UserError
from datasets import splits


@pytest.mark.parametrize('paths, expected', [
    (['x/instances_train2017.json', 'x/instances_val2017.json'],
     {'train2017': 'x/instances_train2017.json', 'val2017': 'x/instances_val2017.json'}),
    (['train_labels.csv', 'test_labels.csv'], {'train': 'train_labels.csv', 'test': 'test_labels.csv'}),
    (['a.csv', 'b.csv'], {'a': 'a.csv', 'b': 'b.csv'}), (['train.csv'], {'train': 'train.csv'}),
    (['image_info_test-dev2017.json'], {'test-dev2017': 'image_info_test-dev2017.json'}),
    (['valid_small.csv'], {'valid_small': 'valid_small.csv'}), (['trainer.csv'], {'': 'trainer.csv'}),
    (['annotations.json'], {'': 'annotations.json'}), (['instances_default.json'], {'': 'instances_default.json'}),
    (['train.csv', 'train_labels.csv'], {'train': 'train.csv', 'train_labels': 'train_labels.csv'}), ([], {})])
def test_what_names_of_files_say(paths, expected):
    assert splits.by_name(paths) == expected


def test_shares():
    assert splits.parse_ratio('train=0.8,val=0.2') == {'train': .8, 'val': .2}
    assert splits.parse_ratio('all=1') == {'all': 1}


@pytest.mark.parametrize('text', [
    'train', 'train=0.8', '0.8,0.2', 'train=0.8,val=0.3', 'train=1.2,val=-0.2', 'train=0.5,train=0.5', 'train=x,val=1',
    'train=0.8,val=0.2,', 'a/b=1', 'train=nan', '=1', 'train=1,val=0'])
def test_wrong_shares(text):
    with pytest.raises(UserError, match='no shares that sum to 1; write it like train=0.8,val=0.2'):
        splits.parse_ratio(text)


def test_every_picture_is_in_exactly_one_split():
    names = [f'{i:03d}.jpg' for i in range(103)]
    found = splits.divide(names, {'train': .7, 'val': .2, 'test': .1}, 0)
    assert [len(part) for part in found.values()] == [72, 21, 10]     # .7 * 103 = 72.1, .9 * 103 = 92.7 -> 93
    assert sorted(name for part in found.values() for name in part) == names
    assert all(part == sorted(part) for part in found.values())


def test_the_same_seed_divides_alike_whatever_the_order():
    names, shares = [f'{i}.jpg' for i in range(50)], {'train': .5, 'val': .5}
    assert splits.divide(names, shares, 0) == splits.divide(names[::-1], shares, 0)
    assert splits.divide(names, shares, 0) != splits.divide(names, shares, 1)
    # The digests of 0/a, 0/b and 0/c begin with d3, 7d and 28: c is dealt out first.
    assert splits.divide('abc', {'x': .34, 'y': .66}, 0) == {'x': ['c'], 'y': ['a', 'b']}


def test_more_pictures_move_few_others():
    shares = {'train': .8, 'val': .2}
    before = set(splits.divide([str(i) for i in range(1000)], shares, 0)['val'])
    after = set(splits.divide([str(i) for i in range(1010)], shares, 0)['val'])
    assert len(before - after) < 20


def test_a_split_that_would_be_empty():
    with pytest.raises(UserError, match='leaves no picture of 3 to val'):
        splits.divide('abc', {'train': .9, 'val': .1}, 0)

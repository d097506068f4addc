import pytest

from datasets.class_names import canonical_name, match, mirrored_pairs


def test_spellings_and_synonyms_of_a_class():
    assert {canonical_name(name) for name in ('tvmonitor', 'TV monitor', 'tv', 'tv_monitor')} == {
        'tvmonitor'}
    assert canonical_name('dining table') == canonical_name('diningtable') == 'diningtable'
    assert canonical_name('cat') != canonical_name('cats')


def test_pairs_are_in_the_order_of_the_first_names():
    assert match(['dog', 'aeroplane', 'cow'], ['airplane', 'cat', 'dog']) == [(0, 2), (1, 0)]
    assert match([], ['dog']) == match(['dog'], []) == match(['dog'], ['cat']) == []


def test_equal_names_are_preferred_and_used_once():
    assert match(['Dog', 'dog'], ['dog', 'DOG']) == [(0, 1), (1, 0)]
    assert match(['dog', 'Dog'], ['dog']) == [(0, 0)]


@pytest.mark.parametrize('names, pairs', [
    (['left_hand', 'right_hand', 'head'], [('left_hand', 'right_hand')]),
    (['Turn Left', 'Turn Right', 'keep right'], [('Turn Left', 'Turn Right')]),
    (['arrow-L-left', 'left', 'bright'], []), (['links', 'rechts'], [('links', 'rechts')]),
    (['左转', '右转', 'stop'], [('左转', '右转')]), ([], [])])
def test_pairs_that_a_flip_exchanges(names, pairs):
    assert mirrored_pairs(names) == pairs

from datasets.class_names import canonical_name, match


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

import pytest

from common.structure import has_structure


@pytest.mark.parametrize('content, template', [
    (1, int), (1, (int, float)), ({}, dict), (None, object),
    ([], [str]), (['a', 'b'], [str]),
    ({'a': 1, 'b': None}, {'a': int}),
    ({}, {str: int}), ({'a': 1, 'b': 2}, {str: int}),
    ({'splits': {'train': {'shards': {'x': 3}}}}, {'splits': {str: {'shards': {str: int}}}})])
def test_content_with_the_structure(content, template):
    assert has_structure(content, template)


@pytest.mark.parametrize('content, template', [
    ('1', int), (None, dict),
    ('a', [str]), (['a', 1], [str]), ({}, [str]),
    ([], {'a': int}), ({}, {'a': int}), ({'a': '1'}, {'a': int}),
    ({'a': 1, 'b': 'c'}, {str: int}), (None, {str: int}),
    ({'splits': {'train': {'shards': ['x']}}}, {'splits': {str: {'shards': {str: int}}}})])
def test_content_with_another_structure(content, template):
    assert not has_structure(content, template)

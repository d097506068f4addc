import pytest

from common.text import one_line


@pytest.mark.parametrize('text, expected', [
    ('naïve 图 🙂 a/b', 'naïve 图 🙂 a/b'),
    ('a\nb\tc\0', r'a\nb\tc\x00'),
    ('\x1b[31mred', r'\x1b[31mred'),
    ('gpj.\u202etxt', r'gpj.\u202etxt'),       # would be shown as gpj.txt reversed
    ('\udcff.jpg', r'\udcff.jpg')])            # a byte that is not UTF-8, from os.listdir
def test_control_characters_are_escaped(text, expected):
    assert one_line(text) == expected

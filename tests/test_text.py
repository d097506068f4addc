import pytest

from common.text import counted, one_line


@pytest.mark.parametrize('text, expected', [
    ('naïve 图 🙂 a/b', 'naïve 图 🙂 a/b'),
    ('a\nb\tc\0', r'a\nb\tc\x00'),
    ('\x1b[31mred', r'\x1b[31mred'),
    ('gpj.\u202etxt', r'gpj.\u202etxt'),       # would be shown as gpj.txt reversed
    ('\udcff.jpg', r'\udcff.jpg')])            # a byte that is not UTF-8, from os.listdir
def test_control_characters_are_escaped(text, expected):
    assert one_line(text) == expected


@pytest.mark.parametrize('number, noun, text', [
    (0, 'image', '0 images'), (1, 'image', '1 image'), (2, 'image', '2 images'),
    (1, 'class', '1 class'), (21, 'class', '21 classes'), (1, 'process', '1 process'),
    (3, 'process', '3 processes'), (1, 'box', '1 box'), (0, 'box', '0 boxes')])
def test_the_noun_agrees_with_the_number(number, noun, text):
    assert counted(number, noun) == text

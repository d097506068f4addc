"""XML in other encodings, and hostile XML."""
import os

import pytest

from common.errors import UserError
from datasets.annotation_xml import read_xml, stripped


def read(folder, content):
    (folder / 'a.xml').write_bytes(content)
    return read_xml(str(folder / 'a.xml'))


def name_in(folder, name, encoding, declared):
    text = f'<?xml version="1.0" encoding="{declared}"?>\n<a><name>{name}</name></a>'
    return read(folder, text.encode(encoding)).findtext('name')


@pytest.mark.parametrize('name, encoding, declared', [
    ('猫', 'gb2312', 'gb2312'), ('猫', 'gbk', 'GBK'), ('鎔', 'gbk', 'gb2312'),
    ('貓', 'big5', 'Big5'), ('猫', 'shift_jis', 'Shift_JIS'), ('①', 'cp932', 'Shift_JIS'),
    ('고양이', 'euc-kr', 'euc-kr'),
    ('猫', 'utf-8', 'utf-8-sig'), ('猫', 'utf-8', 'UTF-16'), ('猫', 'utf-16', 'UTF-16'),
    ('café', 'latin-1', 'ISO-8859-1'), ('кот', 'cp1251', 'windows-1251'),
    ('кот', 'koi8-r', 'koi8-r'), ('猫', 'utf-8-sig', 'utf-8')])
def test_encodings(tmp_path, name, encoding, declared):
    assert name_in(tmp_path, name, encoding, declared) == name


@pytest.mark.parametrize('encoding', ['klingon', 'idna', 'zlib', 'hex', 'rot13', 'undefined'])
def test_unknown_encodings(tmp_path, encoding):
    with pytest.raises(UserError, match=f"a.xml declares the unknown encoding '{encoding}'. Save"):
        name_in(tmp_path, 'cat', 'utf-8', encoding)


@pytest.mark.parametrize('content, message', [
    ('<a>café</a>'.encode('latin-1'), 'is not UTF-8 text. Save it as UTF-8, or declare'),
    (b'<?xml version="1.0" encoding="gbk"?><a>\xff\xff</a>', 'is not GB18030 text'),
    (b'', 'not well-formed'), (b'<a>', 'not well-formed'), (b'\0' * 99, 'not well-formed'),
    (b'<a>' * 100 + b'</a>' * 100, 'nested more than 64 levels deep'),
    (b'<a>' * 10 ** 6, 'nested more than 64 levels deep'),
    (b'<!DOCTYPE a [<!ENTITY b "bbb"><!ENTITY c "&b;&b;">]><a>&c;</a>', 'declares XML entities'),
    (b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', 'declares XML entities'),
    (b'<a>&b;</a>', 'not well-formed'), (b'<a x="1" x="2"/>', 'not well-formed')])
def test_invalid_files_are_one_sentence(tmp_path, content, message):
    with pytest.raises(UserError, match=message) as error:
        read(tmp_path, content)
    assert '\n' not in str(error.value) and 'a.xml' in str(error.value)


def test_files_that_are_none(tmp_path):
    os.mkfifo(tmp_path / 'pipe.xml')
    for name in ('pipe.xml', 'gone.xml', ''):
        with pytest.raises(UserError, match='cannot be read'):
            read_xml(str(tmp_path / name))


def test_names_of_elements_are_plain(tmp_path):
    root = read(tmp_path, b'\n\xef\xbb\xbf<x:A xmlns:x="y"><x:Name>1</x:Name></x:A>')
    assert root.tag == 'a' and root.findtext('name') == '1'


@pytest.mark.parametrize('text, expected', [
    (None, ''), (' \ufeff21 ', '21'), ('traffic\n  light', 'traffic light'),
    ('a\u3000b', 'a\u3000b')])
def test_text_of_an_element(text, expected):
    assert stripped(text) == expected

import os

import pytest

from common.errors import UserError
from datasets.split_files import SplitFiles


class Texts(SplitFiles):
    """`<split>.txt` in a folder, or one file that nobody has divided."""
    kind, layout = 'texts', 'TXT (<split>.txt)'
    times_read = 0

    @staticmethod
    def find(path):
        if os.path.isfile(path):
            return {'': path}
        return {name.removesuffix('.txt'): os.path.join(path, name) for name in os.listdir(path)}

    @staticmethod
    def read(path):
        Texts.times_read += 1
        with open(path) as file:
            return file.read()


def test_a_file_for_each_split(tmp_path):
    (tmp_path / 'val.txt').write_text('two')
    (tmp_path / 'train.txt').write_text('one')
    source = Texts(str(tmp_path))
    assert source.split_names() == ['train', 'val'] and Texts.recognises(str(tmp_path))
    before = Texts.times_read
    assert source.content('val') == source.content('val') == (str(tmp_path / 'val.txt'), 'two')
    assert Texts.times_read == before + 1
    with pytest.raises(UserError, match="has no split 'test'; its splits are: train, val"):
        source.content('test')
    with pytest.raises(UserError, match="has no split 'None'"):
        source.content(None)


def test_one_file_that_is_not_divided(tmp_path):
    (tmp_path / 'all.txt').write_text('three')
    source = Texts(str(tmp_path / 'all.txt'))
    assert source.split_names() == [] and source.content(None)[1] == 'three'
    with pytest.raises(UserError, match=f"{tmp_path} has no split 'train'; its splits are: none"):
        source.content('train')


def test_nothing_there(tmp_path):
    assert not Texts.recognises(str(tmp_path))
    with pytest.raises(UserError, match=r'holds no texts; TXT \(<split>.txt\)'):
        Texts(str(tmp_path))

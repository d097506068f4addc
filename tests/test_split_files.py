import os

import pytest

from common.errors import UserError
from datasets.split_files import SplitFileSource


class TextSource(SplitFileSource):
    """`<split>.txt` in a folder, or one file that is not split."""
    file_type, layout = '.txt', 'TXT (<split>.txt)'
    num_reads = 0

    @staticmethod
    def find_files(path):
        if os.path.isfile(path):
            return {'': path}
        return {name.removesuffix('.txt'): os.path.join(path, name) for name in os.listdir(path)}

    @staticmethod
    def read_file(path):
        TextSource.num_reads += 1
        with open(path) as file:
            return file.read()

    def image_readers(self, split):
        return {split: None}

    def listed_images(self, split):
        return [self.load_split(split)[1]]

    def categories(self, split):
        return {self.load_split(split)[1]: None}


def test_one_file_per_split_is_read_once(tmp_path):
    (tmp_path / 'val.txt').write_text('two')
    (tmp_path / 'train.txt').write_text('one')
    source = TextSource(str(tmp_path))
    assert source.split_names() == ['train', 'val'] and TextSource.matches(str(tmp_path))
    reads_before = TextSource.num_reads
    for _ in range(2):
        assert source.load_split('val') == (str(tmp_path / 'val.txt'), 'two')
    assert TextSource.num_reads == reads_before + 1
    assert source.class_names(['val', 'train']) == ['one', 'two']
    with pytest.raises(UserError, match="has no split 'test'; its splits are: train, val"):
        source.load_split('test')
    with pytest.raises(UserError, match="has no split 'None'"):
        source.load_split(None)


def test_single_file_is_not_split(tmp_path):
    (tmp_path / 'all.txt').write_text('three')
    source = TextSource(str(tmp_path / 'all.txt'))
    assert source.split_names() == [] and source.load_split(None)[1] == 'three'
    with pytest.raises(UserError, match=f"{tmp_path} has no split 'train'; its splits are: none"):
        source.load_split('train')


def test_folder_without_files(tmp_path):
    assert not TextSource.matches(str(tmp_path))
    with pytest.raises(UserError, match=r'has no .txt file; expected layout: TXT \(<split>.txt\)'):
        TextSource(str(tmp_path))

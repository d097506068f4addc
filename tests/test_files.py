import json

import pytest

from common import files
from common.errors import UserError


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    files.write_atomically(tmp_path / 'x', 'old')
    with pytest.raises(UnicodeEncodeError):
        files.write_atomically(tmp_path / 'x', '\ud800')
    assert [path.read_text() for path in tmp_path.iterdir()] == ['old']


def test_bytes_and_what_cannot_be_written(tmp_path):
    files.write_atomically(tmp_path / 'x', b'\xff')
    assert (tmp_path / 'x').read_bytes() == b'\xff'
    with pytest.raises(OSError) as caught, files.named('a/b'):
        raise OSError(28, 'No space left on device')
    assert caught.value.filename == 'a/b'


def test_a_dict_is_kept_whatever_ends_its_filling(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(files.log, 'info', lambda text, *values: said.append(text % values))
    with pytest.raises(KeyboardInterrupt), files.filled_json(f'{tmp_path}/a.json', 'pictures') as content:
        content['x'] = 1
        raise KeyboardInterrupt
    assert json.loads((tmp_path / 'a.partial.json').read_text()) == {'x': 1} and not (tmp_path / 'a.json').exists()
    with pytest.raises(OSError, match='first'), files.filled_json('/no/such/a.json', 'pictures') as content:
        content['x'] = 1
        raise OSError('first')
    assert said == [f'what was found in the first 1 pictures is kept in {tmp_path}/a.partial.json',
                    '1 pictures were done, but /no/such/a.partial.json cannot be written (No such file or directory)']
    with files.filled_json(f'{tmp_path}/a.json', 'pictures') as content:
        content['y'] = 2
    assert [path.name for path in tmp_path.iterdir()] == ['a.json'] and files.read_json(tmp_path / 'a.json', '') == {
        'y': 2}


def test_nothing_filled_in_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), files.filled_json(f'{tmp_path}/a.json', 'pictures'):
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_json_there_and_back(tmp_path):
    assert files.read_json(tmp_path / 'x', '') is None
    files.write_json(tmp_path / 'x', {'a': [1, None]})
    assert files.read_json(tmp_path / 'x', '') == {'a': [1, None]}


def test_broken_json_says_what_to_do(tmp_path):
    (tmp_path / 'x').write_text('{')
    with pytest.raises(UserError, match='x cannot be read .*; try again'):
        files.read_json(tmp_path / 'x', 'try again')


def test_a_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    files.make_folder(str(tmp_path / 'a/b'), 'output_dir')
    assert (tmp_path / 'a/b').is_dir()
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='file cannot be written to .File exists.; choose another --eval_dir'):
        files.make_folder(str(tmp_path / 'file'), 'eval_dir')
    monkeypatch.setattr(files.os, 'access', lambda *_: False)
    with pytest.raises(UserError, match='a cannot be written to .not writable.; choose another --output_dir'):
        files.make_folder(str(tmp_path / 'a'), 'output_dir')

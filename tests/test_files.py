import json
import os

import pytest

from common import files
from common.errors import UserError


def test_failed_write_keeps_the_old_file(tmp_path):
    files.write_atomically(tmp_path / 'x', 'old')
    with pytest.raises(UnicodeEncodeError):
        files.write_atomically(tmp_path / 'x', '\ud800')
    with pytest.raises(TypeError):
        files.write_json(tmp_path / 'x', object())
    assert [path.read_text() for path in tmp_path.iterdir()] == ['old']


def test_failed_rename_removes_the_temporary_file(tmp_path):
    (tmp_path / 'x').mkdir()
    with pytest.raises(IsADirectoryError):
        files.write_atomically(tmp_path / 'x', 'new')
    assert [path.name for path in tmp_path.iterdir()] == ['x']


def test_write_atomically_takes_bytes(tmp_path):
    files.write_atomically(tmp_path / 'x', b'\xff')
    assert (tmp_path / 'x').read_bytes() == b'\xff'


def test_write_errors_get_the_file_name():
    with pytest.raises(OSError) as caught, files.add_path_to_errors('a/b'):
        raise OSError(28, 'No space left on device')
    assert caught.value.filename == 'a/b'


@pytest.fixture
def log_lines(monkeypatch):
    lines = []
    monkeypatch.setattr(files.log, 'info', lambda text, *values: lines.append(text % values))
    return lines


def test_write_json_on_exit_keeps_partial_results_after_an_interrupt(tmp_path, log_lines):
    path, partial = tmp_path / 'a.json', tmp_path / 'a.partial.json'
    with pytest.raises(KeyboardInterrupt), files.write_json_on_exit(str(path), 'image') as content:
        content['x'] = 1
        raise KeyboardInterrupt
    assert json.loads(partial.read_text()) == {'x': 1} and not path.exists()
    assert log_lines == [f'results of 1 image saved to {partial}']
    with files.write_json_on_exit(str(path), 'image') as content:
        content['y'] = 2
    assert list(tmp_path.iterdir()) == [path] and files.read_json(path, '') == {'y': 2}


def test_write_json_on_exit_raises_the_first_error_if_partial_results_cannot_be_written(log_lines):
    with pytest.raises(OSError, match='first'), \
            files.write_json_on_exit('/no/such/a.json', 'image') as content:
        content['x'] = 1
        raise OSError('first')
    assert log_lines == ['results of 1 image are lost: cannot write '
                         '/no/such/a.partial.json (No such file or directory)']


def test_write_json_on_exit_writes_no_empty_partial_file(tmp_path):
    with pytest.raises(KeyboardInterrupt), files.write_json_on_exit(f'{tmp_path}/a.json', 'image'):
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_json_round_trip(tmp_path):
    assert files.read_json(tmp_path / 'x', '') is None
    files.write_json(tmp_path / 'x', {'a': [1, None]})
    assert files.read_json(tmp_path / 'x', '') == {'a': [1, None]}


def test_read_json_of_a_broken_file_gives_the_advice(tmp_path):
    (tmp_path / 'x').write_text('{')
    with pytest.raises(UserError, match='x cannot be read .*. Try again'):
        files.read_json(tmp_path / 'x', 'Try again')


def test_make_output_folder(tmp_path, monkeypatch):
    files.make_output_folder(str(tmp_path / 'a/b'), 'output_dir')
    assert (tmp_path / 'a/b').is_dir()
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='^cannot write to .*file .File exists.. '
                                        'Choose another --eval_dir'):
        files.make_output_folder(str(tmp_path / 'file'), 'eval_dir')
    monkeypatch.setattr(files.os, 'access', lambda *_: False)
    with pytest.raises(UserError, match='^cannot write to .*a .not writable.. '
                                        'Choose another --output_dir'):
        files.make_output_folder(str(tmp_path / 'a'), 'output_dir')


def test_make_output_folder_without_a_flag(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='file .File exists.. Make it writable$'):
        files.make_output_folder(str(tmp_path / 'file'))


@pytest.mark.parametrize('mode', ['wb', 'a+'])
def test_outputs_do_not_follow_links(tmp_path, mode):
    (tmp_path / 'other').write_text('content')
    (tmp_path / 'link').symlink_to(tmp_path / 'other')
    with pytest.raises(OSError, match='link') as caught:
        files.open_output(tmp_path / 'link', mode)
    assert caught.value.strerror == 'is a symbolic link, which is not followed. Remove it'
    os.mkfifo(tmp_path / 'pipe')
    with pytest.raises(OSError, match='pipe'):
        files.open_output(tmp_path / 'pipe', mode)
    with files.open_output(tmp_path / 'new', mode):
        assert (tmp_path / 'new').exists()
    assert (tmp_path / 'other').read_text() == 'content'


def test_write_atomically_does_not_follow_links(tmp_path):
    (tmp_path / 'other').write_text('content')
    for path in (tmp_path / 'x', files.temporary_path(tmp_path / 'x')):
        os.symlink(tmp_path / 'other', path)
    files.write_atomically(tmp_path / 'x', 'new')
    assert (tmp_path / 'other').read_text() == 'content'
    assert (tmp_path / 'x').read_text() == 'new' and not (tmp_path / 'x').is_symlink()


def test_read_text(tmp_path):
    (tmp_path / 'x').write_bytes(b'\xef\xbb\xbfa\r\nb\rc')
    assert files.read_text(tmp_path / 'x', 9) == 'a\nb\nc'
    with pytest.raises(OSError, match='more than 8 bytes'):
        files.read_text(tmp_path / 'x', 8)


@pytest.mark.parametrize('name', ['pipe', '/dev/zero'])
def test_only_regular_files_are_read(tmp_path, name):
    os.mkfifo(tmp_path / 'pipe')   # opening it to read would wait for a writer
    with pytest.raises(OSError, match='not a regular file'):
        files.read_text(tmp_path / name)


def test_read_json_that_is_nested_too_deeply(tmp_path):
    (tmp_path / 'x').write_text('[' * 100000)
    with pytest.raises(UserError, match='x cannot be read'):
        files.read_json(tmp_path / 'x', '')


@pytest.mark.parametrize('stem, extension, expected', [
    ('cat/dog\0', '.txt', 'cat_dog_.txt'),
    ('x' * 251, '.jpg', 'x' * 251 + '.jpg'),
    ('x' * 252, '.jpg', 'x' * 251 + '.jpg'),
    ('é' * 127, '_2.jpg', 'é' * 124 + '_2.jpg')])   # 248 of 249 bytes
def test_file_names_have_at_most_255_bytes(stem, extension, expected):
    assert files.file_name(stem, extension) == expected


def test_a_name_of_255_bytes_can_be_written(tmp_path):
    path = tmp_path / ('x' * 251 + '.jpg')
    files.write_atomically(path, b'1')
    assert list(tmp_path.iterdir()) == [path]

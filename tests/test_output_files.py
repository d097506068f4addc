import pytest

from common.errors import UserError
from exporting import output_files


def write(path, *names):
    """A file of this path, or a folder with files of these names."""
    with output_files.atomic_output(str(path)) as unfinished:
        made = path.parent / unfinished
        if names:
            made.mkdir()
        for one in [made / name for name in names] or [made]:
            one.write_text('new')


def test_files_and_folders(tmp_path):
    write(tmp_path / 'file')
    write(tmp_path / 'folder', 'a', 'b')
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob('*')) == [
        'file', 'folder', 'folder/a', 'folder/b']
    assert output_files.total_bytes(tmp_path / 'file') == 3 and writing.size(tmp_path / 'folder') == 6


def test_what_was_there_is_replaced(tmp_path):
    for _ in range(2):
        write(tmp_path / 'file')
        write(tmp_path / 'folder', 'a')
        (tmp_path / 'folder/old').write_text('old')
        (tmp_path / 'file').write_text('old')
    write(tmp_path / 'folder', 'a')
    assert sorted(path.name for path in tmp_path.rglob('*')) == ['a', 'file', 'folder']


def test_a_broken_off_export_leaves_what_was_there(tmp_path):
    write(tmp_path / 'folder', 'a')
    for error in (OSError, KeyboardInterrupt):
        with pytest.raises(error), output_files.atomic_output(str(tmp_path / 'folder')) as unfinished:
            (tmp_path / unfinished).mkdir()
            raise error
    assert sorted(path.name for path in tmp_path.rglob('*')) == ['a', 'folder']


def test_what_cannot_take_its_place_leaves_what_was_there(tmp_path):
    write(tmp_path / 'folder', 'a')
    with pytest.raises(FileNotFoundError), output_files.atomic_output(str(tmp_path / 'folder')):
        pass   # nothing was made
    assert sorted(path.name for path in tmp_path.rglob('*')) == ['a', 'folder']


def test_what_is_there_is_asked_about(tmp_path):
    write(tmp_path / 'one')
    paths = [str(tmp_path / 'one'), str(tmp_path / 'two')]
    output_files.check_overwrite(paths, overwrite=True)
    output_files.check_overwrite(paths[1:], overwrite=False)
    with pytest.raises(UserError, match='one is there already; pass --overwrite'):
        output_files.check_overwrite(paths, overwrite=False)

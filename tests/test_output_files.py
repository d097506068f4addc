import pytest

from common.errors import UserError
from exporting import output_files


def write(path, *names):
    """Write a file atomically, or a folder with files of these names."""
    with output_files.atomic_output(str(path)) as temporary_path:
        output = path.parent / temporary_path
        if names:
            output.mkdir()
        for file in [output / name for name in names] or [output]:
            file.write_text('new')


def names_in(folder):
    """Return the names of all files and folders in a folder, sorted."""
    return sorted(path.name for path in folder.rglob('*'))


def test_atomic_output_of_files_and_folders(tmp_path):
    write(tmp_path / 'file')
    write(tmp_path / 'folder', 'a', 'b')
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob('*')) == [
        'file', 'folder', 'folder/a', 'folder/b']
    assert output_files.total_bytes(tmp_path / 'file') == 3
    assert output_files.total_bytes(tmp_path / 'folder') == 6


def test_atomic_output_replaces_existing_output(tmp_path):
    for _ in range(2):
        write(tmp_path / 'file')
        write(tmp_path / 'folder', 'a')
        (tmp_path / 'folder/old').write_text('old')
        (tmp_path / 'file').write_text('old')
    write(tmp_path / 'folder', 'a')
    assert names_in(tmp_path) == ['a', 'file', 'folder']


@pytest.mark.parametrize('error', [OSError, KeyboardInterrupt])
def test_error_keeps_existing_output(tmp_path, error):
    write(tmp_path / 'folder', 'a')
    with pytest.raises(error), output_files.atomic_output(str(tmp_path / 'folder')) as temporary:
        (tmp_path / temporary).mkdir()
        raise error
    assert names_in(tmp_path) == ['a', 'folder']


def test_missing_output_keeps_existing_output(tmp_path):
    write(tmp_path / 'folder', 'a')
    with pytest.raises(FileNotFoundError), output_files.atomic_output(str(tmp_path / 'folder')):
        pass   # writes nothing
    assert names_in(tmp_path) == ['a', 'folder']


def test_existing_output_requires_overwrite(tmp_path):
    write(tmp_path / 'one')
    paths = [str(tmp_path / 'one'), str(tmp_path / 'two')]
    output_files.check_overwrite(paths, overwrite=True)
    output_files.check_overwrite(paths[1:], overwrite=False)
    with pytest.raises(UserError, match='one already exists. Pass --overwrite'):
        output_files.check_overwrite(paths, overwrite=False)


@pytest.mark.parametrize('file', ['', 'part'])
def test_errors_name_the_output(tmp_path, file):
    """`write` does not name a file, and the temporary folder does not exist any more."""
    path = str(tmp_path / 'net.onnx')
    with pytest.raises(OSError) as caught, output_files.atomic_output(path) as temporary_path:
        raise OSError(28, 'No space left on device', file and f'{temporary_path}/{file}')
    assert caught.value.filename == path

import pytest

from run_folder.open_folder import OpenFolder


@pytest.fixture
def run(tmp_path):
    """An open folder a/run, whose configuration is an empty file."""
    path = tmp_path / 'a/run'
    path.mkdir(parents=True)
    return OpenFolder(str(path), (path / 'config.json').touch)


def test_folder_in_place(run):
    assert run.is_in_place()


@pytest.mark.parametrize('old, new', [('a/run', 'b'), ('a', 'b')])   # the folder or its parent
def test_renamed_folder(run, tmp_path, old, new):
    (tmp_path / old).rename(tmp_path / new)
    assert not run.is_in_place()
    path, problem, remedy = run.find_substitute()
    assert path == str(tmp_path / ('b' if old == 'a/run' else 'b/run'))
    assert problem == f'{run.path} was renamed to {path} during the run'
    assert remedy == f'Pass --train_dir={path} to continue'


def test_renamed_and_replaced_folder(run, tmp_path):
    (tmp_path / 'a/run').rename(tmp_path / 'b')
    (tmp_path / 'a/run').mkdir()
    assert not run.is_in_place() and run.find_substitute()[0] == str(tmp_path / 'b')


def test_deleted_folder_is_created_again(run, tmp_path):
    (tmp_path / 'a/run').rmdir()
    assert not run.is_in_place()
    path, problem, _ = run.find_substitute()
    assert path == run.path and (tmp_path / 'a/run/config.json').exists()
    assert problem == f'{path} was deleted during the run and has been created again'


def test_replaced_folder_is_left_alone(run, tmp_path):
    (tmp_path / 'a/run').rmdir()
    (tmp_path / 'a/run').mkdir()
    assert not run.is_in_place()
    path, problem, _ = run.find_substitute()
    assert path is None and 'was replaced during the run' in problem
    assert not list((tmp_path / 'a/run').iterdir())

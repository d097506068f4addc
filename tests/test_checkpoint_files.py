import pytest

from common.errors import UserError
from run_folder import checkpoint_files


@pytest.mark.parametrize('path', ['a [1]', 'a]', 'a\\b'])
def test_check_path_rejects_paths_that_tensorflow_globs(path):
    with pytest.raises(UserError, match='cannot read checkpoints from a path with brackets or'):
        checkpoint_files.check_path(path)


def test_check_path_accepts_other_special_characters():
    checkpoint_files.check_path('runs/a b*?{}')


def test_list_checkpoints_sorts_by_step_and_needs_one_file_of_each(tmp_path):
    for name in ('model.ckpt-9.index', 'model.ckpt-10.data-00000-of-00001', 'model.ckpt-8.meta',
                 'model.ckpt-7.data-00000-of-00001.tempstate1', 'other.ckpt-11.index'):
        (tmp_path / name).write_bytes(b'')
    assert checkpoint_files.list_checkpoints(str(tmp_path)) == [
        str(tmp_path / 'model.ckpt-10'), str(tmp_path / 'model.ckpt-9')]
    assert checkpoint_files.list_any_checkpoints(str(tmp_path)) == [
        str(tmp_path / 'model.ckpt-9'), str(tmp_path / 'other.ckpt-11')]


@pytest.mark.parametrize('prefix, step', [
    ('run/model.ckpt-1200', 1200), ('ssd.ckpt', 0), ('run-3/ssd.ckpt', 0)])
def test_step_of(prefix, step):
    assert checkpoint_files.step_of(prefix) == step


def test_only_decimal_steps_are_numbers():
    """'²' is a digit, but int() does not accept it."""
    assert checkpoint_files.step_of('run/model.ckpt-20') == 20
    assert checkpoint_files.step_of('run/model.ckpt-²') == checkpoint_files.step_of('run/ssd') == 0

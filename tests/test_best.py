import json
import os

import pytest
from small_checkpoints import delete_checkpoint, listed_value, write_checkpoints

from common.errors import UserError
from run_folder import best, saved_checkpoints

EVALUATED_ON = {'data': 'pets val ab'}


@pytest.fixture
def train_dir(tmp_path):
    """A train_dir with checkpoints of steps 10, 20 and 30."""
    return write_checkpoints(tmp_path / 'run', 10, 20, 30)


@pytest.fixture
def open_best(train_dir):
    """A function (metric, evaluated_on) that returns the `BestCheckpoint` of the train_dir."""
    opened = []

    def open_best(metric='VOC07', evaluated_on=EVALUATED_ON):
        for earlier in opened:
            earlier.close()
        opened.append(best.BestCheckpoint(str(train_dir), metric, evaluated_on))
        return opened[-1]
    yield open_best
    for each in opened:
        each.close()


def add(best_checkpoint, train_dir, step, value):
    """Stage a checkpoint and return whether it is the new best."""
    assert best_checkpoint.stage(str(train_dir / f'model.ckpt-{step}'))
    return best_checkpoint.keep_if_better(step, value)


def test_the_best_is_kept_in_a_folder_like_any_other(train_dir, open_best):
    best_checkpoint = open_best()
    assert best_checkpoint.info is None
    assert add(best_checkpoint, train_dir, 10, .2)
    assert add(best_checkpoint, train_dir, 20, .5)
    assert not add(best_checkpoint, train_dir, 30, .5)
    best_checkpoint.close()
    folder = train_dir / 'best'
    assert saved_checkpoints.find_checkpoint(str(folder)) == str(folder / 'model.ckpt-20')
    assert listed_value(folder) == 20
    assert json.loads((folder / 'best.json').read_text()) == {
        'checkpoint': 'model.ckpt-20', 'step': 20, 'metric': 'VOC07', 'value': .5,
        'evaluated_on': EVALUATED_ON}
    assert {path.name for path in folder.iterdir()} == {
        'checkpoint', 'config.json', 'best.json', '.lock', 'model.ckpt-20.index',
        'model.ckpt-20.meta', 'model.ckpt-20.data-00000-of-00001'}


def test_the_best_survives_when_the_run_deletes_its_checkpoint(train_dir, open_best):
    best_checkpoint = open_best()
    candidate = best_checkpoint.stage(str(train_dir / 'model.ckpt-10'))
    delete_checkpoint(train_dir, 10)
    assert saved_checkpoints.open_variables(candidate)[1]('value') == 10
    assert best_checkpoint.keep_if_better(10, .1)
    assert listed_value(train_dir / 'best') == 10 and listed_value(train_dir) == 30


def test_the_best_is_read_again_by_the_next_process(train_dir, open_best):
    add(open_best(), train_dir, 10, .4)
    reopened = open_best()
    assert reopened.info['value'] == .4 and not add(reopened, train_dir, 20, .3)


@pytest.mark.parametrize('change', [
    {'metric': 'COCO'}, {'evaluated_on': {'data': 'pets val cd'}}])
def test_a_best_of_another_metric_or_dataset_is_ignored(train_dir, open_best, change):
    add(open_best(), train_dir, 10, .9)
    other = open_best(**change)
    assert other.info is None and add(other, train_dir, 20, .1)


def test_a_deleted_checkpoint_cannot_be_staged(train_dir, open_best):
    delete_checkpoint(train_dir, 10)
    assert open_best().stage(str(train_dir / 'model.ckpt-10')) is None


def test_a_file_system_without_hard_links(train_dir, open_best, monkeypatch):
    def link(*_):
        raise PermissionError('no links')
    monkeypatch.setattr(os, 'link', link)
    assert add(open_best(), train_dir, 20, .2)
    assert listed_value(train_dir / 'best') == 20


def test_one_process_at_a_time(train_dir, open_best):
    open_best().stage(str(train_dir / 'model.ckpt-10'))
    other = best.BestCheckpoint(str(train_dir), 'VOC07', EVALUATED_ON)
    message = 'best is in use by another evaluation with --watch .process .*. Wait for it'
    with pytest.raises(UserError, match=message):
        other.stage(str(train_dir / 'model.ckpt-20'))


def test_links_are_not_followed(tmp_path, train_dir, open_best):
    other = write_checkpoints(tmp_path / 'other', 5)
    (train_dir / 'best').symlink_to(other)
    with pytest.raises(UserError, match='best is a symbolic link, which is not followed. Remove'):
        open_best().stage(str(train_dir / 'model.ckpt-10'))
    (train_dir / 'best').unlink()
    (train_dir / 'best').mkdir()
    (train_dir / 'best/.candidate').symlink_to(other)
    assert add(open_best(), train_dir, 10, .5)
    assert len(list(other.iterdir())) == 5   # a checkpoint, its list and config.json


def test_a_folder_that_cannot_be_created_is_reported(train_dir, open_best):
    (train_dir / 'best').write_text('')
    with pytest.raises(UserError, match='cannot write to .*best .File exists.. Make it writable'):
        open_best().stage(str(train_dir / 'model.ckpt-10'))


@pytest.mark.parametrize('change', [
    lambda info: [info], lambda info: info['metric'], lambda info: {**info, 'value': 'high'},
    lambda info: {key: value for key, value in info.items() if key != 'value'}])
def test_a_best_json_of_another_structure_counts_as_none(train_dir, open_best, change):
    add(open_best(), train_dir, 10, .9)
    path = train_dir / 'best/best.json'
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    best_checkpoint = open_best()
    assert best_checkpoint.info is None
    assert add(best_checkpoint, train_dir, 20, .1)
    assert best_checkpoint.info['value'] == .1

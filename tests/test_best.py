import json
import os

import pytest
from small_checkpoints import delete, value_in, write_checkpoints

from common.errors import UserError
from run_folder import best, saved_checkpoints

DATA = {'data': 'pets val ab'}


@pytest.fixture
def train_dir(tmp_path):
    """A train_dir with checkpoints of steps 10, 20 and 30."""
    return write_checkpoints(tmp_path / 'run', 10, 20, 30)


def keeper(train_dir, metric='VOC07', data=DATA):
    return best.BestCheckpoint(str(train_dir), metric, data)


def offer(found, train_dir, step, value):
    assert found.hold(str(train_dir / f'model.ckpt-{step}'))
    return found.offer(step, value)


def test_the_best_is_kept_and_a_folder_like_any_other(train_dir):
    found = keeper(train_dir)
    assert found.facts is None
    assert [offer(found, train_dir, step, value) for step, value in ((10, .2), (20, .5), (30, .5))] == [
        True, True, False]
    found.close()
    assert saved_checkpoints.find_checkpoint(str(train_dir / 'best')) == str(train_dir / 'best/model.ckpt-20')
    assert value_in(train_dir / 'best') == 20
    assert json.loads((train_dir / 'best/best.json').read_text()) == {
        'checkpoint': 'model.ckpt-20', 'step': 20, 'metric': 'VOC07', 'value': .5, 'evaluated_on': DATA}
    there = {path.name for path in (train_dir / 'best').iterdir()}
    assert there == {'checkpoint', 'config.json', 'best.json', '.lock', 'model.ckpt-20.index', 'model.ckpt-20.meta',
                     'model.ckpt-20.data-00000-of-00001'}


def test_the_best_outlives_its_training(train_dir):
    found = keeper(train_dir)
    held = found.hold(str(train_dir / 'model.ckpt-10'))
    delete(train_dir, 10)
    assert saved_checkpoints.read_variable(held, 'value') == 10
    assert found.offer(10, .1)
    found.close()
    assert value_in(train_dir / 'best') == 10 and value_in(train_dir) == 30


def test_the_best_so_far_is_known_again(train_dir):
    first = keeper(train_dir)
    offer(first, train_dir, 10, .4)
    first.close()
    again = keeper(train_dir)
    assert again.facts['value'] == .4 and not offer(again, train_dir, 20, .3)
    again.close()


@pytest.mark.parametrize('other', [{'metric': 'COCO'}, {'data': {'data': 'pets val cd'}}])
def test_numbers_of_another_kind_do_not_count(train_dir, other):
    first = keeper(train_dir)
    offer(first, train_dir, 10, .9)
    first.close()
    another = keeper(train_dir, **other)
    assert another.facts is None and offer(another, train_dir, 20, .1)
    another.close()


def test_a_checkpoint_that_is_gone(train_dir):
    delete(train_dir, 10)
    found = keeper(train_dir)
    assert found.hold(str(train_dir / 'model.ckpt-10')) is None
    found.close()


def test_a_file_system_without_links(train_dir, monkeypatch):
    def refuse(*_):
        raise PermissionError('no links')
    monkeypatch.setattr(os, 'link', refuse)
    found = keeper(train_dir)
    assert offer(found, train_dir, 20, .2)
    found.close()
    assert value_in(train_dir / 'best') == 20


def test_one_process_at_a_time(train_dir):
    found = keeper(train_dir)
    found.hold(str(train_dir / 'model.ckpt-10'))
    with pytest.raises(UserError, match='best is in use by another evaluation with --watch .process .*; wait for it'):
        keeper(train_dir).hold(str(train_dir / 'model.ckpt-20'))
    found.close()

import json
import logging

import pytest
from small_checkpoints import delete, value_in, write_checkpoints

from common.errors import UserError
from run_folder import run_lock, saved_checkpoints, watching


@pytest.fixture
def said(monkeypatch):
    """The list of lines that are logged."""
    lines = []
    monkeypatch.setattr(logging.getLogger('ssd'), 'info', lambda text, *values: lines.append(text % values))
    return lines


def look(folder, **options):
    return watching.new_checkpoints(str(folder), poll_secs=.01, **options)


def steps(prefixes):
    return [int(prefix.rpartition('-')[2]) for prefix in prefixes]


def test_of_a_training_that_has_ended_all_in_order(tmp_path, said):
    write_checkpoints(tmp_path, 9, 10, 100, max_number_of_steps=100)
    assert steps(look(tmp_path)) == [9, 10, 100]
    assert said == [f'the training in {tmp_path} has ended at step 100, its last']
    assert steps(look(tmp_path, done=[str(tmp_path / 'model.ckpt-10')])) == [9, 100]


def test_new_ones_come_while_it_runs(tmp_path, said):
    lock = run_lock.acquire(str(tmp_path))
    write_checkpoints(tmp_path, 1)
    found = look(tmp_path)
    assert steps([next(found)]) == [1]
    write_checkpoints(tmp_path, 2)
    assert steps([next(found)]) == [2]
    write_checkpoints(tmp_path, 3, max_number_of_steps=9)
    lock.close()              # killed: what it had written is still looked at
    assert steps(found) == [3]
    assert len(said) == 1 and 'nobody trains' in said[0] and 'stopped or killed' in said[0] and 'step 3 of 9' in said[0]


def test_what_is_deleted_before_its_turn(tmp_path, said):
    write_checkpoints(tmp_path, 1, 2, 3)
    found = look(tmp_path)
    next(found)
    delete(tmp_path, 2)
    assert steps(found) == [3]
    assert said[0] == f'{tmp_path}/model.ckpt-2 was deleted before its turn and is passed over'


def test_a_broken_one_is_passed_over(tmp_path, said):
    write_checkpoints(tmp_path, 1, 2)
    (tmp_path / 'model.ckpt-1.data-00000-of-00001').write_bytes(b'')
    assert steps(look(tmp_path)) == [2]
    assert 'model.ckpt-1 is broken (' in said[0] and said[0].endswith('and is passed over')


@pytest.mark.parametrize('mended', [True, False])
def test_a_half_copied_one_is_waited_for(tmp_path, said, monkeypatch, mended):
    write_checkpoints(tmp_path, 1, 2)
    index = tmp_path / 'model.ckpt-1.index'
    content = index.read_bytes()
    index.unlink()
    looks, really = [], saved_checkpoints.corruption

    def corruption(prefix):
        looks.append(prefix)
        if len(looks) == 3 and mended:
            index.write_bytes(content)
        return really(prefix)
    monkeypatch.setattr(saved_checkpoints, 'corruption', corruption)
    with run_lock.acquire(str(tmp_path)):
        found = look(tmp_path)
        assert steps([next(found)]) == [1 if mended else 2]
    assert len(looks) == (3 if mended else 6) and bool(said) != mended


def test_a_training_that_has_not_begun_is_waited_for(tmp_path, said):
    with pytest.raises(UserError, match='no training has begun in .*run within 0.05 seconds'):
        next(look(tmp_path / 'run', timeout_secs=.05))
    assert said == [f'no training has begun in {tmp_path}/run yet; waiting for it']
    assert not (tmp_path / 'run').exists()


def test_a_training_that_ends_without_a_checkpoint(tmp_path, said, monkeypatch):
    lock = run_lock.acquire(str(tmp_path))
    monkeypatch.setattr(watching.time, 'sleep', lambda _: lock.close())
    assert list(look(tmp_path)) == []
    assert said == [f'the training in {tmp_path} ended, or was killed, before it wrote a checkpoint']


def test_a_training_that_was_killed_may_go_on(tmp_path, said, monkeypatch):
    write_checkpoints(tmp_path, 1, max_number_of_steps=9)
    lock, sleeps = run_lock.acquire(str(tmp_path)), []
    found = look(tmp_path, restart_secs=3600.)
    next(found)

    def sleep(_):
        sleeps.append(lock.closed)
        if len(sleeps) == 1:
            lock.close()
        elif len(sleeps) == 4:
            write_checkpoints(tmp_path, 9, max_number_of_steps=9)
            sleeps.append(run_lock.acquire(str(tmp_path)))
        elif len(sleeps) > 5:
            sleeps[4].close()   # at its last step, so nobody waits for more
    monkeypatch.setattr(watching.time, 'sleep', sleep)
    assert steps(found) == [9]
    assert said == [f'nobody trains in {tmp_path} now; waiting 3600 seconds for it to go on',
                    f'the training in {tmp_path} has ended at step 9, its last']


def watch(tmp_path, metric='VOC07'):
    return watching.CheckpointWatcher(str(tmp_path / 'run'), str(tmp_path / 'eval'), metric, 'val', poll_secs=.01)


def test_a_watch_keeps_the_best_and_goes_on_where_it_was(tmp_path, said):
    write_checkpoints(tmp_path / 'run', 1, 2, 3)
    values = {1: .2, 2: .6, 3: .4}
    with watch(tmp_path) as watcher:
        for _, held in watcher.checkpoints():
            step = int(saved_checkpoints.read_variable(held, 'value'))
            watcher.add_result(held, step, {'VOC07': values[step], 'COCO': 0.})
            if step == 2:
                break      # Ctrl-C, say
    assert said == ['step 1: mAP VOC07 0.200, COCO 0.000; the best so far',
                    'step 2: mAP VOC07 0.600, COCO 0.000; the best so far']
    with watch(tmp_path) as watcher:
        for _, held in watcher.checkpoints():
            watcher.add_result(held, 3, {'VOC07': .4, 'COCO': 0.})
        assert watcher.best_summary() == f'the best by VOC07 is that of step 2 with 0.600, kept in {tmp_path}/run/best'
    assert said[2:4] == ['2 checkpoints here have been evaluated before', 'step 3: mAP VOC07 0.400, COCO 0.000']
    assert value_in(tmp_path / 'run/best') == 2 and not (tmp_path / 'run/best/.candidate').exists()


def test_by_another_number_another_is_the_best(tmp_path, said):
    write_checkpoints(tmp_path / 'run', 1, 2)
    for metric in ('VOC07', 'COCO', 'COCO'):
        with watch(tmp_path, metric) as watcher:
            for _, held in watcher.checkpoints():
                step = int(saved_checkpoints.read_variable(held, 'value'))
                watcher.add_result(held, step, {'VOC07': step / 10, 'COCO': 1 - step / 10})
        assert value_in(tmp_path / 'run/best') == {'VOC07': 2, 'COCO': 1}[metric]
    assert [line for line in said if 'evaluated' in line] == [
        'which is the best by COCO is not known yet, so those that are still here are evaluated again',
        '2 checkpoints here have been evaluated before']
    assert len(json.loads((tmp_path / 'eval/history.json').read_text())['checkpoints']) == 2


def test_a_watch_of_nothing(tmp_path, said):
    write_checkpoints(tmp_path / 'run', 1)
    (tmp_path / 'run/model.ckpt-1.index').write_bytes(b'')
    with watch(tmp_path) as watcher:
        assert list(watcher.checkpoints()) == [] and watcher.best_summary() == 'no checkpoint was evaluated'
    assert 'is broken' in said[0]

import json
import logging

import pytest
from small_checkpoints import delete_checkpoint, listed_value, write_checkpoints

from common.errors import UserError
from run_folder import checkpoint_files, run_lock, saved_checkpoints, watching


@pytest.fixture
def log_lines(monkeypatch):
    """The list of logged lines."""
    lines = []
    monkeypatch.setattr(
        logging.getLogger('ssd'), 'info', lambda text, *values: lines.append(text % values))
    return lines


def new_checkpoints(folder, **options):
    return watching.new_checkpoints(str(folder), poll_secs=.01, **options)


def steps(prefixes):
    return [checkpoint_files.step_of(prefix) for prefix in prefixes]


def test_checkpoints_of_a_finished_run_come_in_order(tmp_path, log_lines):
    write_checkpoints(tmp_path, 9, 10, 100, max_number_of_steps=100)
    assert steps(new_checkpoints(tmp_path)) == [9, 10, 100]
    assert log_lines == [f'the training in {tmp_path} has finished at step 100']
    assert steps(new_checkpoints(tmp_path, done=[str(tmp_path / 'model.ckpt-10')])) == [9, 100]


def test_new_checkpoints_appear_while_the_run_trains(tmp_path, log_lines):
    lock = run_lock.acquire(str(tmp_path))
    write_checkpoints(tmp_path, 1)
    prefixes = new_checkpoints(tmp_path)
    assert steps([next(prefixes)]) == [1]
    write_checkpoints(tmp_path, 2)
    assert steps([next(prefixes)]) == [2]
    write_checkpoints(tmp_path, 3, max_number_of_steps=9)
    lock.close()   # as if killed; its last checkpoint is still evaluated
    assert steps(prefixes) == [3]
    line, = log_lines
    assert 'no process trains' in line and 'stopped or killed' in line and 'step 3 of 9' in line


def test_a_checkpoint_deleted_before_its_turn_is_skipped(tmp_path, log_lines):
    write_checkpoints(tmp_path, 1, 2, 3)
    prefixes = new_checkpoints(tmp_path)
    next(prefixes)
    delete_checkpoint(tmp_path, 2)
    assert steps(prefixes) == [3]
    expected = f'{tmp_path}/model.ckpt-2 was deleted before its evaluation, so it is skipped'
    assert log_lines[0] == expected


def test_a_broken_checkpoint_is_skipped(tmp_path, log_lines):
    write_checkpoints(tmp_path, 1, 2)
    (tmp_path / 'model.ckpt-1.data-00000-of-00001').write_bytes(b'')
    assert steps(new_checkpoints(tmp_path)) == [2]
    assert 'model.ckpt-1 is broken (' in log_lines[0]
    assert log_lines[0].endswith(', so it is skipped')


@pytest.mark.parametrize('is_completed', [True, False])
def test_an_incomplete_checkpoint_of_a_running_training_is_checked_again(
        tmp_path, log_lines, monkeypatch, is_completed):
    write_checkpoints(tmp_path, 1, 2)
    index = tmp_path / 'model.ckpt-1.index'
    content = index.read_bytes()
    index.unlink()
    checked, original = [], saved_checkpoints.corruption

    def corruption(prefix):
        checked.append(prefix)
        if len(checked) == 3 and is_completed:
            index.write_bytes(content)
        return original(prefix)
    monkeypatch.setattr(saved_checkpoints, 'corruption', corruption)
    with run_lock.acquire(str(tmp_path)):
        prefixes = new_checkpoints(tmp_path)
        assert steps([next(prefixes)]) == [1 if is_completed else 2]
    assert len(checked) == (3 if is_completed else 6) and bool(log_lines) != is_completed


def test_waits_for_a_training_to_start_until_the_timeout(tmp_path, log_lines):
    with pytest.raises(UserError, match='no training has started in .*run within 0.05 seconds'):
        next(new_checkpoints(tmp_path / 'run', timeout_secs=.05))
    assert log_lines == [f'no training has started in {tmp_path}/run; waiting for it']
    assert not (tmp_path / 'run').exists()


def test_a_training_that_ends_without_a_checkpoint(tmp_path, log_lines, monkeypatch):
    lock = run_lock.acquire(str(tmp_path))
    monkeypatch.setattr(watching.time, 'sleep', lambda _: lock.close())
    assert list(new_checkpoints(tmp_path)) == []
    assert log_lines == [
        f'the training in {tmp_path} ended or was killed before it saved a checkpoint']


def test_waits_for_a_killed_training_to_be_resumed(tmp_path, log_lines, monkeypatch):
    write_checkpoints(tmp_path, 1, max_number_of_steps=9)
    lock, sleeps = run_lock.acquire(str(tmp_path)), []
    prefixes = new_checkpoints(tmp_path, restart_secs=3600.)
    next(prefixes)

    def sleep(_):
        sleeps.append(lock.closed)
        if len(sleeps) == 1:
            lock.close()
        elif len(sleeps) == 4:
            write_checkpoints(tmp_path, 9, max_number_of_steps=9)
            sleeps.append(run_lock.acquire(str(tmp_path)))
        elif len(sleeps) > 5:
            sleeps[4].close()   # at its last step, so the watch ends at once
    monkeypatch.setattr(watching.time, 'sleep', sleep)
    assert steps(prefixes) == [9]
    assert log_lines == [
        f'no process trains in {tmp_path}; waiting 3600 seconds for the run to be resumed',
        f'the training in {tmp_path} has finished at step 9']


def make_watcher(tmp_path, metric='VOC07'):
    return watching.CheckpointWatcher(
        str(tmp_path / 'run'), str(tmp_path / 'eval'), metric, 'val', poll_secs=.01)


def test_a_watcher_keeps_the_best_and_skips_evaluated_checkpoints(tmp_path, log_lines):
    write_checkpoints(tmp_path / 'run', 1, 2, 3)
    values = {1: .2, 2: .6, 3: .4}
    with make_watcher(tmp_path) as watcher:
        for _, candidate in watcher.checkpoints():
            step = int(saved_checkpoints.open_variables(candidate)[1]('value'))
            watcher.add_result(candidate, step, {'VOC07': values[step], 'COCO': 0.})
            if step == 2:
                break   # for example Ctrl-C
    assert log_lines == ['step 1: mAP VOC07 0.200, COCO 0.000; the best so far',
                         'step 2: mAP VOC07 0.600, COCO 0.000; the best so far']
    with make_watcher(tmp_path) as watcher:
        for _, candidate in watcher.checkpoints():
            watcher.add_result(candidate, 3, {'VOC07': .4, 'COCO': 0.})
        assert watcher.best_summary() == (
            f'the best checkpoint by VOC07 is that of step 2 with 0.600, '
            f'saved in {tmp_path}/run/best')
    assert log_lines[2:4] == ['2 existing checkpoints have been evaluated before',
                              'step 3: mAP VOC07 0.400, COCO 0.000']
    assert listed_value(tmp_path / 'run/best') == 2
    assert not (tmp_path / 'run/best/.candidate').exists()


def test_another_metric_evaluates_all_checkpoints_again(tmp_path, log_lines):
    write_checkpoints(tmp_path / 'run', 1, 2)
    for metric in ('VOC07', 'COCO', 'COCO'):
        with make_watcher(tmp_path, metric) as watcher:
            for _, candidate in watcher.checkpoints():
                step = int(saved_checkpoints.open_variables(candidate)[1]('value'))
                watcher.add_result(candidate, step, {'VOC07': step / 10, 'COCO': 1 - step / 10})
        assert listed_value(tmp_path / 'run/best') == {'VOC07': 2, 'COCO': 1}[metric]
    assert [line for line in log_lines if 'evaluated' in line] == [
        'the best checkpoint by COCO is not known, so the existing checkpoints are evaluated again',
        '2 existing checkpoints have been evaluated before']
    history = json.loads((tmp_path / 'eval/history.json').read_text())
    assert len(history['checkpoints']) == 2


def test_a_watcher_without_any_intact_checkpoint(tmp_path, log_lines):
    write_checkpoints(tmp_path / 'run', 1)
    (tmp_path / 'run/model.ckpt-1.index').write_bytes(b'')
    with make_watcher(tmp_path) as watcher:
        assert list(watcher.checkpoints()) == []
        assert watcher.best_summary() == 'no checkpoint was evaluated'
    assert 'is broken' in log_lines[0]

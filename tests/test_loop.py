import os
import re
import signal

import pytest
import tensorflow.compat.v1 as tf

from common.errors import UserError
from deployment import model_deploy, process_group
from run_folder.saved_checkpoints import CheckpointSaver
from training.graph import TrainOp
from training.loop import TrainStep, _Speed
from training.options import RunOptions
from training.stop_signals import StopSignals


class SummaryWriter:
    """Records the steps of the summaries that it gets."""

    def __init__(self):
        self.steps = []

    def add_summary(self, _, step):
        self.steps.append(step)


class Run:
    """A training whose loss at step k is losses[k]; calling it runs a step."""

    def __init__(self, folder, losses, signals=None, num_unmatched=(0, 0, 0), **options):
        self.num_unmatched = num_unmatched
        options = RunOptions(**{
            'train_dir': str(folder), 'log_every_n_steps': 1, 'save_interval_secs': 9999,
            'save_summaries_secs': 9999, **options})
        self.global_step, self.writer = tf.train.get_or_create_global_step(), SummaryWriter()
        loss = tf.gather(tf.constant(losses, tf.float32), self.global_step)
        with tf.control_dependencies([loss]), \
             tf.control_dependencies([tf.assign_add(self.global_step, 1)]):
            self.train_tensor = tf.identity(loss)
        self.written_batches = {}
        train_op = TrainOp(self.train_tensor, tf.summary.scalar('loss', loss),
                           {'confidence': loss}, tf.constant(.5))
        self.train_step = TrainStep(
            options, train_op, self._batch(), self.written_batches.__setitem__, CheckpointSaver(),
            signals or StopSignals(), process_group.ProcessGroup(
                model_deploy.make_deployment_config(1, True, 0), tf.ConfigProto()))
        self.session = tf.Session()
        self.session.run(tf.global_variables_initializer())
        self.session.run(tf.tables_initializer())

    def _batch(self):
        batches = tf.data.Dataset.range(tf.cast(self.global_step, tf.int64), 9).map(
            lambda k: {'filename': tf.constant(['a.jpg', 'b.jpg', '']), 'k': k,
                       'num_unmatched': tf.constant(self.num_unmatched)})
        iterator = tf.data.make_initializable_iterator(batches)
        tf.add_to_collection(tf.GraphKeys.TABLE_INITIALIZERS, iterator.initializer)
        return iterator.get_next()

    def __call__(self):
        return self.train_step(self.session, self.train_tensor, self.global_step,
                               {'summary_writer': self.writer})


def test_stops_after_the_last_step(tmp_path):
    run = Run(tmp_path, [3., 2., 1.], max_number_of_steps=2)
    assert [run(), run()] == [(3., False), (2., True)]


def test_finished_run_trains_no_further_step(tmp_path):
    run = Run(tmp_path, [3., 2.], max_number_of_steps=1)
    run.session.run(tf.assign(run.global_step, 1))
    assert run() == (None, True) and run.session.run(run.global_step) == 1


def test_finished_run_names_the_remedy(tmp_path, caplog):
    run = Run(tmp_path, [3., 2.], max_number_of_steps=1)
    run.session.run(tf.assign(run.global_step, 1))
    with caplog.at_level('INFO', 'ssd'):
        run()
    assert caplog.messages[0] == (
        'step 1 of 1 reached. Increase --max_number_of_steps to train longer')


def test_log_lines(tmp_path, caplog):
    with caplog.at_level('INFO', 'ssd'):
        run = Run(tmp_path, [3., 2., 1., 0.], max_number_of_steps=4, log_every_n_steps=2)
        for _ in range(4):
            run()
    lines = caplog.text.splitlines()
    assert len(lines) == 3 and 'step 4: saved' in lines[2]
    assert 'step 2/4: loss 2.000 (confidence 2.000), learning rate 0.5, ' in lines[0]
    assert 'images/s' in lines[0] and lines[1].endswith('0:00:00 left')


def test_boxes_without_an_anchor_are_counted(tmp_path, caplog):
    with caplog.at_level('INFO', 'ssd'):
        run = Run(tmp_path, [3., 2., 1., 0.], num_unmatched=(0, 5, 2), max_number_of_steps=3,
                  log_every_n_steps=2)
        for _ in range(3):
            run()
    explanation, first_line, last_line, _ = caplog.messages
    assert explanation.startswith('b.jpg has more ground-truth boxes than the net has anchors, 5 ')
    assert first_line.startswith('step 2/3: ')
    assert first_line.endswith(', 14 boxes without an anchor')
    assert last_line.endswith(', 7 boxes without an anchor')


def test_status_line_replaces_log_lines_on_a_terminal(tmp_path, caplog, monkeypatch):
    shown = []
    monkeypatch.setattr('cli.console.show_status', shown.append)
    monkeypatch.setattr('cli.console.log_progress', lambda line: shown.append(('log', line[:8])))
    monkeypatch.setattr('training.loop._STATUS_SECS', 0)
    with caplog.at_level('INFO', 'ssd'):
        run = Run(tmp_path, [3., 2., 1.], max_number_of_steps=3, log_every_n_steps=2)
        for _ in range(3):
            run()
    first, log_line, second, *end = shown
    assert first == 'step 1/3, 33%, loss 3.000' and log_line == ('log', 'step 2/3')
    assert re.fullmatch(r'step 2/3, 66%, 0:00:00 left, loss 2.000, [\d.]+ images/s', second)
    assert set(end) == {''}
    assert caplog.messages[0].startswith('step 3/3: loss 1.000 (confidence 1.000), ')


def test_summaries_are_written_when_due(tmp_path):
    run = Run(tmp_path, [3., 2., 1.])
    for _ in range(3):
        run()
    # Two at the first step, those of the graph and of the speed; the next after 9999 seconds.
    assert run.writer.steps == [1, 1]


def test_summaries_are_written_at_the_last_step(tmp_path):
    run = Run(tmp_path, [3., 2., 1.], max_number_of_steps=3)
    for _ in range(3):
        run()
    assert sorted(set(run.writer.steps)) == [1, 3]


def test_checkpoints_are_written_between_steps(tmp_path):
    run = Run(tmp_path, [3., 2., 1.], save_interval_secs=0)
    for _ in range(2):
        run()
    assert tf.train.latest_checkpoint(str(tmp_path)).endswith('-2')
    assert tf.train.load_variable(str(tmp_path), 'global_step') == 2


def test_last_checkpoint_is_written_before_slim_stops(tmp_path):
    run = Run(tmp_path, [3., 2.], max_number_of_steps=1)
    (tmp_path / 'model.ckpt-1.index').mkdir()   # makes the path unwritable
    with pytest.raises(UserError, match='the checkpoint of step 1 could not be written'):
        run()


def test_input_error_saves_the_steps_so_far(tmp_path):
    run = Run(tmp_path, [3.])
    run()
    with pytest.raises(tf.errors.InvalidArgumentError):   # there is no second loss
        run()
    assert tf.train.latest_checkpoint(str(tmp_path)).endswith('-1')


def test_input_error_at_the_first_step_saves_nothing(tmp_path):
    run = Run(tmp_path, [])
    with pytest.raises(tf.errors.InvalidArgumentError):
        run()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_loss_that_is_not_finite_stops_the_run(tmp_path, bad):
    run = Run(tmp_path, [3., bad], save_interval_secs=0)
    run()
    with pytest.raises(UserError) as error:
        run()
    for part in ('step 2: the loss is not finite', f'confidence {bad:g}', 'a.jpg, b.jpg',
                 'record without a file name', 'model.ckpt-1',
                 f'they are in {tmp_path}/not_finite_step_2 as the net saw them'):
        assert part in str(error.value)
    # The batch of the failed step, not the next one.
    assert run.written_batches[f'{tmp_path}/not_finite_step_2']['k'] == 1
    assert tf.train.latest_checkpoint(str(tmp_path)).endswith('-1')


def test_failure_to_write_the_batch_does_not_hide_the_error(tmp_path):
    run = Run(tmp_path, [float('nan')])
    run.train_step._write_batch = lambda *_: (tmp_path / 'no/such/folder').mkdir()
    with pytest.raises(UserError, match='step 1: the loss is not finite .* could not be written '
                                        'to .*No such file'):
        run()


@pytest.mark.parametrize('number, code', [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_stops_after_the_running_step(tmp_path, number, code):
    with StopSignals() as signals:
        run = Run(tmp_path, [3., 2., 1.], signals)
        assert run() == (3., False)
        os.kill(os.getpid(), number)
        assert run() == (None, True) and signals.exit_code() == code


def test_unsaved_steps_are_reported_to_the_signals(tmp_path):
    """A signal ends the process at once before the first step, and right after a checkpoint."""
    signals = StopSignals()
    run = Run(tmp_path, [3., 2.], signals, max_number_of_steps=2)
    assert signals.nothing_to_save
    run()
    assert not signals.nothing_to_save and not signals.is_saving and signals.step_secs > 0
    run()
    assert signals.nothing_to_save and signals.is_saving


def test_speed_over_a_window(monkeypatch):
    times = iter([10., 10.5, 11.])
    monkeypatch.setattr('time.monotonic', lambda: next(times))
    speed = _Speed(images_per_step=8)
    speed.count(1)
    assert speed.images_per_second() is None and not speed.summary().value
    speed.count(2)
    speed.count(3)
    assert speed.images_per_second() == 16   # 2 steps of 8 images in a second
    value, = speed.summary().value
    assert value.tag == 'training/images_per_second' and tf.make_ndarray(value.tensor) == 16

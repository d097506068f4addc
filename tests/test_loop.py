import os
import re
import signal
import subprocess
import sys
import types

import pytest
import tensorflow.compat.v1 as tf
from conftest import ROOT

from common.errors import UserError
from run_folder.saved_checkpoints import CheckpointSaver
from training.loop import StopSignals, TrainStep, _Speed


class Writer:
    """Gathers summaries."""

    def __init__(self):
        self.steps = []

    def add_summary(self, summary, step):
        del summary
        self.steps.append(step)


class Run:
    """A loop over a graph whose loss at step k is losses[k]."""

    def __init__(self, folder, losses, signals=None, number_of_steps=None, **options):
        step = tf.train.get_or_create_global_step()
        at = tf.gather(tf.constant(losses, tf.float32), step)
        with tf.control_dependencies([at]), tf.control_dependencies([tf.assign_add(step, 1)]):
            self.train = tf.identity(at)
        self.step, self.folder, self.writer = step, folder, Writer()
        flags = types.SimpleNamespace(**{
            'train_dir': str(folder), 'max_number_of_steps': number_of_steps, 'log_every_n_steps': 1,
            'save_interval_secs': 9999, 'save_summaries_secs': 9999, **options})
        batches = tf.data.Dataset.range(tf.cast(step, tf.int64), 9).map(
            lambda k: {'filename': tf.constant(['a.jpg', 'b.jpg', '']), 'k': k})
        iterator = tf.data.make_initializable_iterator(batches)
        tf.add_to_collection(tf.GraphKeys.TABLE_INITIALIZERS, iterator.initializer)
        self.kept = {}
        self.loop = TrainStep(flags, {'confidence': at}, tf.constant(.5), iterator.get_next(), self.kept.__setitem__,
                              tf.summary.scalar('loss', at), CheckpointSaver(), signals or StopSignals())
        self.session = tf.Session()
        self.session.run(tf.global_variables_initializer())
        self.session.run(tf.tables_initializer())

    def __call__(self):
        return self.loop(self.session, self.train, self.step, {'summary_writer': self.writer})


def test_it_counts_to_the_last_step(tmp_path):
    run = Run(tmp_path, [3., 2., 1.], number_of_steps=2)
    assert [run(), run()] == [(3., False), (2., True)]


def test_a_run_that_is_already_done_trains_no_further(tmp_path):
    run = Run(tmp_path, [3., 2.], number_of_steps=1)
    run.session.run(tf.assign(run.step, 1))
    assert run() == (None, True) and run.session.run(run.step) == 1


def test_lines(tmp_path, caplog):
    with caplog.at_level('INFO', 'ssd'):
        run = Run(tmp_path, [3., 2., 1., 0.], number_of_steps=4, log_every_n_steps=2)
        for _ in range(4):
            run()
    lines = caplog.text.splitlines()
    assert len(lines) == 3 and "step 4: saved" in lines[2]
    assert 'step 2/4: loss 2.000 (confidence 2.000), learning rate 0.5, ' in lines[0]
    assert 'images/s' in lines[0] and lines[1].endswith('0:00:00 left')


def test_on_a_terminal_the_status_takes_the_place_of_lines(tmp_path, caplog, monkeypatch):
    seen = []
    monkeypatch.setattr('cli.console.show_status', seen.append)
    monkeypatch.setattr('cli.console.log_progress', lambda line: seen.append(('to the file', line[:8])))
    monkeypatch.setattr('training.loop._REFRESH_SECS', 0)
    with caplog.at_level('INFO', 'ssd'):
        run = Run(tmp_path, [3., 2., 1.], number_of_steps=3, log_every_n_steps=2)
        for _ in range(3):
            run()
    first, note, second, *end = seen
    assert first == 'step 1/3, 33%, loss 3.000' and note == ('to the file', 'step 2/3') and set(end) == {''}
    assert re.fullmatch(r'step 2/3, 66%, 0:00:00 left, loss 2.000, [\d.]+ images/s', second)
    assert caplog.messages[0].startswith('step 3/3: loss 1.000 (confidence 1.000), ')


def test_summary_ops_come_with_the_step_that_is_due(tmp_path):
    run = Run(tmp_path, [3., 2., 1.])
    for _ in range(3):
        run()
    assert run.writer.steps == [1, 1]        # the graph's and the speed, at the first step; the next in 9999 s


def test_summary_ops_come_with_the_last_step_too(tmp_path):
    run = Run(tmp_path, [3., 2., 1.], number_of_steps=3)
    for _ in range(3):
        run()
    assert sorted(set(run.writer.steps)) == [1, 3]


def test_checkpoints_come_between_steps(tmp_path):
    run = Run(tmp_path, [3., 2., 1.], save_interval_secs=0)
    for _ in range(2):
        run()
    assert tf.train.latest_checkpoint(str(tmp_path)).endswith('-2')
    assert tf.train.load_variable(str(tmp_path), 'global_step') == 2


def test_the_last_checkpoint_is_written_before_slim_is_told_to_stop(tmp_path):
    run = Run(tmp_path, [3., 2.], number_of_steps=1)
    (tmp_path / 'model.ckpt-1.index').mkdir()       # nothing can be written there
    with pytest.raises(UserError, match='the checkpoint of step 1 could not be written'):
        run()


def test_when_the_input_breaks_what_was_trained_is_kept(tmp_path):
    run = Run(tmp_path, [3.])
    run()
    with pytest.raises(tf.errors.InvalidArgumentError):     # there is no second loss
        run()
    assert tf.train.latest_checkpoint(str(tmp_path)).endswith('-1')


def test_when_the_input_breaks_at_the_start_nothing_is_kept(tmp_path):
    run = Run(tmp_path, [])
    with pytest.raises(tf.errors.InvalidArgumentError):
        run()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_a_loss_that_is_not_finite_stops_and_names_what_is_known(tmp_path, bad):
    run = Run(tmp_path, [3., bad], save_interval_secs=0)
    run()
    with pytest.raises(UserError) as error:
        run()
    for part in ('step 2: the loss is not finite', f'confidence {bad:g}', 'a.jpg, b.jpg', 'no name in the record',
                 'model.ckpt-1', f'they are in {tmp_path}/not_finite_step_2, as the net saw them'):
        assert part in str(error.value)
    assert run.kept[f'{tmp_path}/not_finite_step_2']['k'] == 1   # the second example, not the next one
    assert tf.train.latest_checkpoint(str(tmp_path)).endswith('-1')


def test_a_batch_that_cannot_be_written_does_not_hide_the_error(tmp_path):
    run = Run(tmp_path, [float('nan')])
    run.loop._write_batch = lambda *_: (tmp_path / 'no/such/folder').mkdir()
    with pytest.raises(UserError, match='step 1: the loss is not finite .* could not be written to .*No such file'):
        run()


@pytest.mark.parametrize('number, code', [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_after_the_step(tmp_path, number, code):
    before = signal.getsignal(number)
    with StopSignals() as signals:
        run = Run(tmp_path, [3., 2., 1.], signals)
        assert run() == (3., False)
        os.kill(os.getpid(), number)
        assert run() == (None, True) and signals.exit_code() == code
    assert signal.getsignal(number) == before


def test_a_second_signal_ends_even_a_running_step():
    # In a process of its own: the main thread sits in one long call, as a step of TensorFlow is one.
    code = ('import hashlib, os, signal, threading\n'
            'from cli import console\n'
            'from training.loop import StopSignals\n'
            'console.set_up()\n'
            'with StopSignals():\n'
            '    for delay in (.5, 1.):\n'
            '        threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT)).start()\n'
            '    hashlib.pbkdf2_hmac("sha256", b"x", b"y", 10 ** 9)\n')
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 130 and 'SIGINT: stopping after this step' in done.stdout, done.stderr


def test_no_signal_is_success():
    with StopSignals() as signals:
        assert signals.exit_code() == 0


def test_speed_over_a_window(monkeypatch):
    times = iter([10., 10.5, 11.])
    monkeypatch.setattr('time.monotonic', lambda: next(times))
    speed = _Speed(8)
    speed.count(1)
    assert speed.images_per_second() is None and not speed.summary().value
    speed.count(2)
    speed.count(3)
    assert speed.images_per_second() == 16      # 2 steps of 8 in a second
    shown, = speed.summary().value
    assert shown.tag == 'training/images_per_second' and tf.make_ndarray(shown.tensor) == 16

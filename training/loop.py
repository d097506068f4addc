"""What happens around each step of `slim.learning.train`: lines, summaries, checkpoints, stops.

The supervisor's own timer threads stay off: its checkpoint thread writes variables of several steps into one
file, and its summary thread eats a batch. All is done here, between two steps, on the main thread.
"""
import datetime
import math
import os
import signal
import socket
import threading
import time

import tensorflow.compat.v1 as tf

from cli import console
from common.errors import UserError
from common.log import log
from datasets import broken_records
from deployment.cluster import Cluster
from deployment.process_group import ProcessGroup
from visualization import summary_ops

_REFRESH_SECS = 1   # of what a terminal shows between two lines


class StopSignals:
    """In its `with` block SIGINT and SIGTERM ask for a stop after the running step; a second one stops at once.

    Python's own handlers wait while a step runs inside TensorFlow. The wakeup descriptor does not: a thread reads
    from it, so that an answer comes at once, and the second signal can end a step that takes minutes.
    """

    def __init__(self):
        self.received = None

    def __enter__(self):
        self._old = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        self._old_descriptor = signal.set_wakeup_fd(self._writer.fileno())
        threading.Thread(target=self._answer, daemon=True).start()
        return self

    def __exit__(self, *error):
        signal.set_wakeup_fd(self._old_descriptor)
        for number, handler in self._old.items():
            signal.signal(number, handler)
        self._writer.close()   # which ends the thread

    def exit_code(self):
        """0, or 128 and the number of the signal, as shells count (130: SIGINT, 143: SIGTERM)."""
        return 128 + self.received if self.received else 0

    def _note(self, number, frame):
        del frame
        self.received = self.received or number

    def _answer(self):
        """Runs in the thread; each signal arrives as a byte with its number."""
        asked = False
        with self._reader:
            for number in iter(lambda: self._reader.recv(1), b''):
                if number[0] not in self._old:
                    continue
                if asked:
                    console.show_status('')
                    os._exit(128 + number[0])   # the last checkpoint stands as it is
                asked = True
                log.warning('%s: stopping after this step; once more stops at once', signal.Signals(number[0]).name)


class TrainStep:
    """The `train_step_fn` of a run."""

    def __init__(self, flags, parts, learning_rate, batch, write_batch, summary_op, saver, signals, group=None):
        """parts: name -> [] tensor, the loss by part. batch: name -> tensor, 'filename' [n] string among them.

        write_batch: function (folder, name -> array) that writes a batch for a look. Reads of flags: train_dir,
        max_number_of_steps (None trains without end), log_every_n_steps, save_interval_secs and
        save_summaries_secs. The batch of this process is as long as 'filename'. group: the `ProcessGroup` that trains;
        in it one process alone has a saver, and all stop after the same step.
        """
        self._group = group or ProcessGroup(Cluster())
        self._fetches = {'parts': parts, 'learning_rate': learning_rate, 'filenames': batch['filename']}
        self._asked = tf.placeholder_with_default(0., [], 'asked_to_stop')
        self._fetches['asked'], = self._group.sum([self._asked])
        self._batch, self._write_batch = batch, write_batch
        self._summary_op, self._saver, self._signals = summary_op, saver, signals
        self._path = os.path.join(flags.train_dir, 'model.ckpt')
        self._number_of_steps, self._log_every_n_steps = flags.max_number_of_steps, flags.log_every_n_steps
        self._save = _Timer(flags.save_interval_secs)
        self._summarize = _Timer(flags.save_summaries_secs, due_at_start=True)
        self._images_per_step = batch['filename'].shape[0] * self._group.size
        self._speed = _Speed(self._images_per_step)
        self._refresh = _Timer(_REFRESH_SECS, due_at_start=True)
        self._step = None

    def __call__(self, sess, train_op, global_step, kwargs):
        """One step; returns (loss, whether to stop)."""
        if self._step is None:
            self._begin(sess, global_step)
        # In a group, whoever is asked to stop says so in the next step, so that all stop after it.
        if self._is_last() or self._asked_alone():
            self._end(sess)
            return None, True

        writer = kwargs.get('summary_writer')
        summarize = writer is not None and (self._summarize.is_due() or self._step + 1 == self._number_of_steps)
        fetches = {'loss': train_op, **self._fetches, **({'summary': self._summary_op} if summarize else {})}
        try:
            with self._group.watched():
                values = sess.run(fetches, {self._asked: float(self._signals.received is not None)})
        except broken_records.INPUT_ERRORS:
            # The input broke, before anything of this step was changed: what was trained so far is not lost. A run
            # that never trained (wrong --num_classes, say) leaves nothing that would bind the next one. In a group it
            # may be another's input, and moments of batch norm here have moved: the last checkpoint stands.
            if self._step and self._group.size == 1:
                self._save_checkpoint(sess)
            raise
        self._step += 1
        self._speed.count(self._step)
        if not math.isfinite(values['loss']):
            self._refuse_not_finite(values, sess, global_step)
        if summarize:
            writer.add_summary(values['summary'], self._step)
            writer.add_summary(self._speed.summary(), self._step)
        if values['asked']:
            self._signals.received = self._signals.received or signal.SIGTERM   # by way of another process
        stop = self._is_last() or values['asked'] > 0 or self._asked_alone()
        self._report(values, stop)
        # At a stop too: slim saves once more after it, but drops what goes wrong then, a full disk say.
        if stop:
            self._end(sess)
        elif self._save.is_due():
            self._save_checkpoint(sess)
        return values['loss'], stop

    def _begin(self, sess, global_step):
        """Before the first step: in a group, all begin with the variables of one."""
        self._group.begin(sess)
        self._step = int(sess.run(global_step))
        latest = tf.train.latest_checkpoint(os.path.dirname(self._path))
        if self._saver and latest and latest.endswith(f'-{self._step}'):
            self._saver.already_saved(self._step)

    def _asked_alone(self):
        return self._group.size == 1 and self._signals.received is not None

    def _end(self, sess):
        console.show_status('')
        self._save_checkpoint(sess)
        self._group.end(sess)

    def _save_checkpoint(self, sess):
        if self._saver:
            self._saver.save(sess, self._path, global_step=self._step)

    def _is_last(self):
        return self._number_of_steps is not None and self._step >= self._number_of_steps

    def _report(self, values, last):
        """A line every n steps and at the end; beside that, on a terminal, where the run stands."""
        if last:
            log.info(self._line(values))
        elif self._step % self._log_every_n_steps == 0:
            console.note(self._line(values))
        if not last and self._refresh.is_due():
            console.show_status(self._status(values))

    def _line(self, values):
        parts = ' '.join(f'{name} {value:.3f}' for name, value in values['parts'].items())
        return ', '.join([f'{self._place()}: loss {values["loss"]:.3f} ({parts})',
                          f'learning rate {values["learning_rate"]:.2g}', *self._rate(), *self._left()])

    def _status(self, values):
        """What matters most comes first: a narrow terminal cuts the rest."""
        share = [f'{100 * self._step // self._number_of_steps}%'] if self._number_of_steps else []
        return ', '.join([self._place(), *share, *self._left(), f'loss {values["loss"]:.3f}', *self._rate()])

    def _place(self):
        return f'step {self._step}{f"/{self._number_of_steps}" if self._number_of_steps else ""}'

    def _rate(self):
        """['37.2 images/s'], or [] while that is not known."""
        rate = self._speed.images_per_second()
        return [f'{rate:.{1 if rate >= 10 else 2}f} images/s'] if rate else []

    def _left(self):
        """['1:02:03 left'], or [] while that is not known."""
        rate = self._speed.images_per_second()
        if not rate or not self._number_of_steps:
            return []
        left = (self._number_of_steps - self._step) * self._images_per_step / rate
        return [f'{datetime.timedelta(seconds=round(left))} left']

    def _refuse_not_finite(self, values, sess, global_step):
        parts = ', '.join(f'{name} {value:g}' for name, value in values['parts'].items())
        names = ', '.join(sorted({name.decode(errors='replace') or '(no name in the record)'
                                  for name in values['filenames']}))
        last = tf.train.latest_checkpoint(os.path.dirname(self._path))
        good = f'the last good checkpoint is {last}' if last else 'there is no checkpoint yet' \
            if self._group.is_chief else 'worker 0 has the checkpoints'
        raise UserError(f'step {self._step}: the loss is not finite ({parts}); the pictures of the batch: {names}; '
                        f'{self._keep_batch(sess, global_step)}; {good}; '
                        f'lower --learning_rate, or look for broken annotations in these pictures')

    def _keep_batch(self, sess, global_step):
        """Writes the batch of the step that has just failed, which is made again: the weights are lost anyway."""
        worker = '' if self._group.is_chief else f'_worker_{self._group.rank}'
        folder = os.path.join(os.path.dirname(self._path), f'not_finite_step_{self._step}{worker}')
        try:
            global_step.load(self._step - 1, sess)
            sess.run(tf.get_collection(tf.GraphKeys.TABLE_INITIALIZERS))
            self._write_batch(folder, sess.run(self._batch))
        except (OSError, tf.errors.OpError) as error:
            return f'they could not be written to {folder} ({str(error).partition(chr(10))[0]})'
        return f'they are in {folder}, as the net saw them'


class _Timer:
    """Says once every so many seconds that it is time."""

    def __init__(self, seconds, due_at_start=False):
        self._seconds = seconds
        self._next = time.monotonic() + (0 if due_at_start else seconds)

    def is_due(self):
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True


class _Speed:
    """Images a second over the last steps; the first step, which warms things up, does not count."""
    _WINDOW = 50

    def __init__(self, images_per_step):
        self._images_per_step = images_per_step
        self._times = []

    def count(self, step):
        """Notes the end of a step."""
        self._times = (self._times + [(step, time.monotonic())])[-self._WINDOW:]

    def images_per_second(self):
        """None until two steps have been seen."""
        (first, start), (last, end) = self._times[0], self._times[-1]
        return (last - first) * self._images_per_step / (end - start) if end > start else None

    def summary(self):
        """The speed for TensorBoard; nothing while it is not known."""
        rate = self.images_per_second()
        about = f'Pictures of all clones and processes, over the last {self._WINDOW} steps.'
        return summary_ops.scalar_now('training/images_per_second', rate, about) if rate else tf.Summary()

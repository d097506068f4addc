"""The loop around the session: log lines, summaries, checkpoints and stops between two steps.

`TrainStep` is the `train_step_fn` of `slim.learning.train`. The supervisor's timer threads stay
off: its checkpoint thread would save variables of different steps in one file, and its summary
thread would consume a batch. Everything happens on the main thread, between two steps.
"""
import datetime
import math
import os
import signal
import time

import tensorflow.compat.v1 as tf

from cli import console
from common.errors import UserError
from common.log import log
from common.text import counted
from datasets import broken_records
from run_folder import saved_checkpoints
from training import file_limit
from visualization import summary_ops

_STATUS_SECS = 1   # between two updates of the status line on a terminal


class TrainStep:
    """One training step with everything around it, called by `slim.learning.train`."""

    def __init__(self, options, train_op, batch, write_batch, saver, signals, group):
        """Create the step.

        Args:
            options: `training.options.RunOptions`. Training is endless if max_number_of_steps is
                None.
            train_op: `training.graph.TrainOp`.
            batch: name -> tensor of this process; 'filename' is [B] string, 'num_unmatched' [B]
                int32.
            write_batch: function (folder, name -> array) that writes a batch for inspection.
            saver: as returned by `run_start.create_saver`.
            signals: `StopSignals`.
            group: `ProcessGroup`. All its processes stop after the same step.
        """
        self._options, self._write_batch = options, write_batch
        self._saver, self._signals, self._group = saver, signals, group
        self._batch, self._summary_op = batch, train_op.summary_op
        # The processes agree on stops, and on checkpoints, which may need all of them.
        self._stop_request = tf.placeholder_with_default(0., [], 'stop_request')
        self._save_request = tf.placeholder_with_default(0., [], 'save_request')
        num_stop_requests, num_save_requests = group.sum([self._stop_request, self._save_request])
        self._fetches = {
            'parts': train_op.loss_parts, 'learning_rate': train_op.learning_rate,
            'filenames': batch['filename'], 'num_unmatched': batch['num_unmatched'],
            'num_stop_requests': num_stop_requests, 'num_save_requests': num_save_requests}
        self._checkpoint_path = os.path.join(options.train_dir, 'model.ckpt')
        self._save_timer = _Timer(options.save_interval_secs)
        self._summary_timer = _Timer(options.save_summaries_secs, due_at_start=True)
        self._status_timer = _Timer(_STATUS_SECS, due_at_start=True)
        self._speed = _Speed(batch['filename'].shape[0] * group.num_processes)
        self._unmatched = _UnmatchedBoxes()
        self._step = None
        # The processes of a group stop together, so that none reports that it lost another.
        self._may_exit_at_once = group.num_processes == 1
        signals.nothing_to_save = self._may_exit_at_once

    def __call__(self, sess, train_tensor, global_step, kwargs):
        """Run one step; return (loss, whether to stop).

        kwargs: arguments that `slim.learning.train` adds, such as 'summary_writer'.
        """
        if self._step is None:
            self._begin(sess, global_step)
        # A process of a group passes a stop request on with its next step, so that all stop
        # together.
        if self._is_last_step() or self._single_process_stop_requested():
            self._end(sess)
            return None, True

        writer, start = kwargs.get('summary_writer'), time.monotonic()
        values = self._run_step(sess, train_tensor, writer)
        self._step += 1
        self._signals.nothing_to_save = False
        self._signals.step_secs = time.monotonic() - start
        self._speed.count(self._step)
        self._unmatched.count(values['num_unmatched'], values['filenames'])
        if not math.isfinite(values['loss']):
            self._fail_not_finite(values, sess, global_step)
        if 'summary' in values:
            self._write_summary(values['summary'], writer)
        if values['num_stop_requests']:
            self._signals.is_agreed = True
            # Without a signal of its own, another process received one.
            self._signals.received = self._signals.received or signal.SIGTERM
        stop = (self._is_last_step() or values['num_stop_requests'] > 0
                or self._single_process_stop_requested())
        self._log(values, stop)
        # Save here also before a stop: slim saves once more afterwards, but drops errors such as a
        # full disk.
        if stop:
            self._end(sess)
        elif values['num_save_requests']:
            self._save(sess)
            self._save_timer.restart()   # so that slow saves do not follow each other
        return values['loss'], stop

    def _begin(self, sess, global_step):
        """Prepare for the first step: all processes start with the variables of process 0."""
        self._group.broadcast_variables(sess)
        self._step = int(sess.run(global_step))
        if self._saver and self._step:   # resumed from the checkpoint of this step
            self._saver.mark_as_saved(self._step)
        if self._is_last_step():
            log.info('step %d of %d reached. Increase --max_number_of_steps to train longer',
                     self._step, self._options.max_number_of_steps)

    def _run_step(self, sess, train_tensor, writer):
        """Run the train op; return name -> value of everything fetched."""
        self._signals.is_saving = False
        runs_last_step = self._step + 1 == self._options.max_number_of_steps
        summarize = writer is not None and (self._summary_timer.is_due() or runs_last_step)
        fetches = {'loss': train_tensor, **self._fetches,
                   **({'summary': self._summary_op} if summarize else {})}
        requests = {
            self._stop_request: float(self._signals.received is not None),
            self._save_request: float(self._group.is_chief and self._save_timer.is_due())}
        try:
            with self._group.detect_lost_processes():
                return sess.run(fetches, requests)
        except (tf.errors.OpError, UnicodeDecodeError) as error:
            # The input failed before this step changed anything, so the steps so far can be saved.
            # Do not save before step 1: a run that never trained, for example because of a wrong
            # --num_classes, must not leave a checkpoint that later runs have to fit. Do not save
            # in a multi-process run either: the input of another process may have failed, and this
            # one has already updated its batch norm moments.
            if (self._step and self._group.num_processes == 1
                    and broken_records.is_input_error(error)):
                self._save(sess)
            raise

    def _write_summary(self, summary, writer):
        """Write a summary, or end the run at the next step if the folder is not in place."""
        if not self._saver.is_in_place():
            self._save_timer.expire()   # saving reports it
            return
        with file_limit.report_large_files(self._options.train_dir):
            writer.add_summary(summary, self._step)
            writer.add_summary(self._speed.summary(), self._step)

    def _end(self, sess):
        console.show_status('')
        self._save(sess)
        self._group.barrier(sess)

    def _save(self, sess):
        self._signals.is_saving = True
        if self._saver:
            self._saver.save(sess, self._checkpoint_path, global_step=self._step)
        self._signals.nothing_to_save = self._may_exit_at_once

    def _is_last_step(self):
        last = self._options.max_number_of_steps
        return last is not None and self._step >= last

    def _single_process_stop_requested(self):
        return self._group.num_processes == 1 and self._signals.received is not None

    def _log(self, values, stop):
        """Log a line every log_every_n_steps and at the end; update the status line."""
        if stop:
            log.info(self._line(values))
        elif self._step % self._options.log_every_n_steps == 0:
            console.log_progress(self._line(values))
        if not stop and self._status_timer.is_due():
            console.show_status(self._status(values))

    def _line(self, values):
        parts = ' '.join(f'{name} {value:.3f}' for name, value in values['parts'].items())
        return ', '.join([f'{self._progress()}: loss {values["loss"]:.3f} ({parts})',
                          f'learning rate {values["learning_rate"]:.2g}',
                          *self._images_per_second(), *self._time_left(),
                          *self._unmatched.since_last_line()])

    def _status(self, values):
        """Return the status line, the most important first: a narrow terminal cuts the end."""
        last = self._options.max_number_of_steps
        percent = [f'{100 * self._step // last}%'] if last else []
        return ', '.join([self._progress(), *percent, *self._time_left(),
                          f'loss {values["loss"]:.3f}', *self._images_per_second()])

    def _progress(self):
        last = self._options.max_number_of_steps
        return f'step {self._step}{f"/{last}" if last else ""}'

    def _images_per_second(self):
        """Return ['37.2 images/s'], or [] if the speed is not known yet."""
        speed = self._speed.images_per_second()
        return [f'{speed:.{1 if speed >= 10 else 2}f} images/s'] if speed else []

    def _time_left(self):
        """Return ['1:02:03 left'], or [] if it is not known."""
        last, steps_per_second = self._options.max_number_of_steps, self._speed.steps_per_second()
        if not steps_per_second or not last:
            return []
        seconds = round((last - self._step) / steps_per_second)
        return [f'{datetime.timedelta(seconds=seconds)} left']

    def _fail_not_finite(self, values, sess, global_step):
        parts = ', '.join(f'{name} {value:g}' for name, value in values['parts'].items())
        names = ', '.join(sorted(set(map(_readable_name, values['filenames']))))
        raise UserError(
            f'step {self._step}: the loss is not finite ({parts}). Images of the batch: {names}; '
            f'{self._write_failed_batch(sess, global_step)}; {self._last_good_checkpoint()}. '
            f'Lower --learning_rate, or check the annotations of these images')

    def _last_good_checkpoint(self):
        if not self._group.is_chief:
            return 'process 0 has the checkpoints'
        latest = saved_checkpoints.listed_checkpoint(self._options.train_dir)
        return f'the last good checkpoint is {latest}' if latest else 'there is no checkpoint yet'

    def _write_failed_batch(self, sess, global_step):
        """Write the batch of the step that has just failed; return a clause that says where.

        Resets the global step to compute the batch again. The weights are not finite, so changing
        the state of the session does no harm.
        """
        suffix = '' if self._group.is_chief else f'_worker_{self._group.rank}'
        folder = os.path.join(self._options.train_dir, f'not_finite_step_{self._step}{suffix}')
        try:
            global_step.load(self._step - 1, sess)
            sess.run(tf.get_collection(tf.GraphKeys.TABLE_INITIALIZERS))
            self._write_batch(folder, sess.run(self._batch))
        except (OSError, tf.errors.OpError) as error:
            return f'they could not be written to {folder} ({str(error).partition(chr(10))[0]})'
        return f'they are in {folder} as the net saw them'


class _Timer:
    """Fires at most once per interval."""

    def __init__(self, seconds, due_at_start=False):
        self._seconds = seconds
        self._next = time.monotonic() + (0 if due_at_start else seconds)

    def is_due(self):
        """Return whether the interval is over; if so, start the next one."""
        if time.monotonic() < self._next:
            return False
        self.restart()
        return True

    def expire(self):
        """End the interval now."""
        self._next = time.monotonic()

    def restart(self):
        """Start an interval now."""
        self._next = time.monotonic() + self._seconds


def _readable_name(filename):
    """Return the file name of a record (bytes) as text."""
    return filename.decode(errors='replace') or '(record without a file name)'


class _UnmatchedBoxes:
    """Counter of ground truths without an anchor, in images with more of them than anchors."""

    def __init__(self):
        self._since_last_line, self._explained = 0, False

    def count(self, num_unmatched, filenames):
        """Count those of a batch, both [B]; log the first image."""
        self._since_last_line += num_unmatched.sum()
        if num_unmatched.any() and not self._explained:
            self._explained = True
            log.info('%s has more ground-truth boxes than the net has anchors, %d too many. The '
                     'net does not learn these; log lines count them. Choose a net with more '
                     'anchors, or cut the image into parts',
                     _readable_name(filenames[num_unmatched.argmax()]), num_unmatched.max())

    def since_last_line(self):
        """Return ['24 boxes without an anchor'] and start again, or [] if there are none."""
        number, self._since_last_line = self._since_last_line, 0
        return [f'{counted(number, "box")} without an anchor'] if number else []


class _Speed:
    """Training speed over the last steps, without the first step, which includes warm-up."""
    _WINDOW = 50

    def __init__(self, images_per_step):
        self._images_per_step = images_per_step
        self._times = []   # (step, end time) of the last steps

    def count(self, step):
        """Record the end of a step."""
        self._times = (self._times + [(step, time.monotonic())])[-self._WINDOW:]

    def steps_per_second(self):
        """Return the speed, or None before the end of the second step."""
        (first, start), (last, end) = self._times[0], self._times[-1]
        return (last - first) / (end - start) if end > start else None

    def images_per_second(self):
        """Return the speed over all clones and processes, or None before step 2 has ended."""
        steps = self.steps_per_second()
        return steps * self._images_per_step if steps else None

    def summary(self):
        """Return a tf.Summary of the speed, empty if it is not known yet."""
        speed = self.images_per_second()
        if not speed:
            return tf.Summary()
        description = (f'Images per second of all clones and processes, over the last '
                       f'{self._WINDOW - 1} steps.')
        return summary_ops.scalar_proto('training/images_per_second', speed, description)

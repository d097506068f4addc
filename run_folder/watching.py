"""Evaluate the checkpoints of a run while it trains: each checkpoint once, until the run ends."""
import os
import time

from common.errors import UserError
from common.log import log
from run_folder import checkpoint_files, history, run_config, run_lock, saved_checkpoints
from run_folder.best import BestCheckpoint

_POLL_SECS = 2.
# A broken checkpoint may still be being copied: while the run trains, it is checked this often.
_MAX_CHECKS = 5


class CheckpointWatcher:
    """Iterate over the checkpoints of a run, and keep their metrics and the best checkpoint.

    Use it in a `with` block. Checkpoints that an earlier watcher has evaluated are skipped.
    """

    def __init__(self, train_dir, eval_dir, metric, evaluated_on, **options):
        """Open the history of earlier evaluations.

        Args:
            train_dir: the folder of the run; it need not exist yet.
            eval_dir: folder of the history.
            metric: name of the metric that decides which checkpoint is the best.
            evaluated_on: a JSON value that identifies the data and the settings of the evaluation.
            **options: timeout_secs, restart_secs and poll_secs of `new_checkpoints`.
        """
        self._train_dir, self._metric, self._options = train_dir, metric, options
        history_path = os.path.join(eval_dir, 'history.json')
        self._history = history.EvaluationHistory(history_path, evaluated_on)
        self._best = BestCheckpoint(train_dir, metric, evaluated_on)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._best.close()

    def checkpoints(self):
        """Yield each checkpoint to evaluate, until the run ends.

        Yields:
            (prefix, candidate): the prefix in the train_dir, and the prefix of a link to the same
            checkpoint that the run cannot delete.
        """
        existing = checkpoint_files.list_checkpoints(self._train_dir)
        evaluated = [prefix for prefix in existing if self._history.contains(prefix)]
        if evaluated and not self._best.info:
            log.info('the best checkpoint by %s is not known, so the existing checkpoints are '
                     'evaluated again', self._metric)
            evaluated = []
        elif evaluated:
            log.info('%d existing checkpoints have been evaluated before', len(evaluated))
        for prefix in new_checkpoints(self._train_dir, evaluated, **self._options):
            candidate = self._best.stage(prefix)
            if candidate:
                yield prefix, candidate
            else:
                _log_skipped(prefix)

    def add_result(self, candidate, step, mean_average_precisions, **metrics):
        """Log and store the metrics of a checkpoint, and keep it if it is the best so far.

        Args:
            candidate: the second value that `checkpoints` yielded.
            step: the training step of the checkpoint.
            mean_average_precisions: name -> mAP, one of them the metric of this watcher.
            **metrics: further JSON values for the history.
        """
        digest = history.index_digest(candidate)   # before the candidate is moved
        is_best = self._best.keep_if_better(step, mean_average_precisions[self._metric])
        self._history.add(content=digest, step=step, mAP=mean_average_precisions, **metrics)
        values = ', '.join(f'{name} {value:.3f}' for name, value in mean_average_precisions.items())
        log.info('step %d: mAP %s%s', step, values, '; the best so far' if is_best else '')

    def best_summary(self):
        """Return one line about the best checkpoint: metric, value, step and folder."""
        info = self._best.info
        if not info:
            return 'no checkpoint was evaluated'
        return (f'the best checkpoint by {self._metric} is that of step {info["step"]} with '
                f'{info["value"]:.3f}, saved in {self._best.folder}')


def new_checkpoints(folder, done=(), timeout_secs=0., restart_secs=0., poll_secs=_POLL_SECS):
    """Yield the checkpoints of a run in ascending order of steps, also those still to be written.

    Logs and skips checkpoints that are deleted before their turn, and broken ones. Returns when
    the run has saved its last step, or when no process trains for `restart_secs`.

    Args:
        folder: the train_dir; it need not exist yet.
        done: prefixes to leave out.
        timeout_secs: how long to wait for the run to start; 0 waits forever.
        restart_secs: how long to wait for a run that was stopped or killed, or that never held the
            lock while this function looked, to be resumed.
        poll_secs: pause between two looks at the folder.

    Yields:
        Prefixes of checkpoints that are intact.

    Raises:
        UserError: If the run has not started after `timeout_secs`.
    """
    run = _WatchedRun(folder, timeout_secs, restart_secs)
    done, known, num_checks = set(done), set(), 0
    while True:
        checkpoints = run.update()
        for prefix in sorted(known - done - set(checkpoints), key=checkpoint_files.step_of):
            _log_skipped(prefix)
            done.add(prefix)
            num_checks = 0
        known.update(checkpoints)
        prefix = next((prefix for prefix in checkpoints if prefix not in done), None)
        if prefix:
            num_checks += 1
            reason = saved_checkpoints.corruption(prefix)
            if not (reason and run.is_running and num_checks < _MAX_CHECKS):
                num_checks = 0
                done.add(prefix)
                if reason:
                    _log_skipped(prefix, reason)
                else:
                    yield prefix
                continue
        elif run.is_over():
            log.info('%s', run.describe_end())
            return
        time.sleep(poll_secs)


def _log_skipped(prefix, reason=''):
    """Log that a checkpoint is not evaluated: it was deleted, or it is broken for this reason."""
    if os.path.exists(f'{prefix}.index'):
        log.info('%s is broken (%s), so it is skipped', prefix, reason)
    else:
        log.info('%s was deleted before its evaluation, so it is skipped', prefix)


class _WatchedRun:
    """The state of a run in another process: not started, running, idle or over."""

    def __init__(self, folder, timeout_secs, restart_secs):
        self._folder, self._timeout_secs, self._restart_secs = folder, timeout_secs, restart_secs
        self._checkpoints = []
        self.is_running = self._has_run = self._has_started = False
        self._waiting_since = self._idle_since = None

    def update(self):
        """Look at the folder; return the prefixes of its checkpoints, in ascending order."""
        # The lock first: a checkpoint that is written just before the run ends is not missed.
        self.is_running = run_lock.is_locked(self._folder)
        self._checkpoints = checkpoint_files.list_checkpoints(self._folder)[::-1]
        self._has_run = self._has_run or self.is_running
        self._has_started = self._has_started or self.is_running or bool(self._checkpoints)
        if self.is_running:
            self._idle_since = None
        return self._checkpoints

    def is_over(self):
        """Return whether no more checkpoints will be written. Call it after `update`.

        Raises:
            UserError: If the run has not started within its timeout.
        """
        if self.is_running:
            return False
        if not self._has_started:
            self._check_start()
            return False
        if self._has_run and self._is_at_last_step():
            return True
        if self._idle_since is None:
            self._idle_since = time.monotonic()
            if self._restart_secs:
                log.info('no process trains in %s; waiting %g seconds for the run to be resumed',
                         self._folder, self._restart_secs)
        return time.monotonic() - self._idle_since >= self._restart_secs

    def _check_start(self):
        if self._waiting_since is None:
            log.info('no training has started in %s; waiting for it', self._folder)
            self._waiting_since = time.monotonic()
        if self._timeout_secs and time.monotonic() - self._waiting_since > self._timeout_secs:
            raise UserError(f'no training has started in {self._folder} within '
                            f'{self._timeout_secs:g} seconds. Start it, or pass a larger '
                            f'--watch_timeout_secs')

    def _max_steps(self):
        """Return the `max_number_of_steps` of the run; None if it is not limited or not known."""
        config = run_config.read(self._folder) or {'flags': {}}
        return config['flags'].get('max_number_of_steps')

    def _last_step(self):
        return checkpoint_files.step_of(self._checkpoints[-1])

    def _is_at_last_step(self):
        return bool(self._checkpoints) and self._last_step() == self._max_steps()

    def describe_end(self):
        """Return a line that says how the run ended."""
        if not self._checkpoints:
            return (f'the training in {self._folder} ended or was killed before it saved a '
                    f'checkpoint')
        step, max_steps = self._last_step(), self._max_steps()
        if step == max_steps:
            return f'the training in {self._folder} has finished at step {step}'
        progress = f'{step} of {max_steps}' if max_steps else f'{step}'
        return (f'no process trains in {self._folder}: the training was stopped or killed after '
                f'the checkpoint of step {progress}. If you resume it, run this command again, too')

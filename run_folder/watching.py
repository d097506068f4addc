"""The checkpoints of a training that runs in another process: each once, in order, until it ends."""
import os
import time

from common.errors import UserError
from common.log import log
from run_folder import checkpoint_files, history, run_config, run_lock, saved_checkpoints
from run_folder.best import BestCheckpoint

_POLL_SECS = 2.
_PATIENCE = 5   # looks at a checkpoint that is not whole, while somebody trains, until it is given up


class CheckpointWatcher:
    """Use it in a `with` block; what was evaluated in an earlier one is not evaluated again."""

    def __init__(self, train_dir, eval_dir, metric, evaluated_on, **patience):
        """metric: name of the number by which one is the best. evaluated_on: what the numbers depend on beside the
        checkpoint, as `json` has it. patience: timeout_secs and the like, as of `new_checkpoints`."""
        self._train_dir, self._metric = train_dir, metric
        self._patience = patience
        self._history = history.EvaluationHistory(os.path.join(eval_dir, 'history.json'), evaluated_on)
        self._best = BestCheckpoint(train_dir, metric, evaluated_on)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._best.close()

    def checkpoints(self):
        """(prefix, prefix of the same checkpoint where nobody deletes it) of each that is to be evaluated."""
        done = list(filter(self._history.has, checkpoint_files.list_checkpoints(self._train_dir)))
        if done and not self._best.facts:
            log.info('which is the best by %s is not known yet, so those that are still here are evaluated again',
                     self._metric)
            done = []
        elif done:
            log.info('%d checkpoints here have been evaluated before', len(done))
        for prefix in new_checkpoints(self._train_dir, done, **self._patience):
            held = self._best.hold(prefix)
            if held:
                yield prefix, held
            else:
                pass_over(prefix)

    def add_result(self, held, step, mean_average_precisions, **more):
        """Keeps the checkpoint if it is the best so far, and its numbers, with a line.

        held: as `checkpoints` gave it. mean_average_precisions: name -> value; more: further numbers for the history.
        """
        numbers = ', '.join(f'{name} {value:.3f}' for name, value in mean_average_precisions.items())
        content = history.index_digest(held)   # before it is moved
        is_best = self._best.offer(step, mean_average_precisions[self._metric])
        self._history.add(content=content, step=step, mAP=mean_average_precisions, **more)
        log.info('step %d: mAP %s%s', step, numbers, '; the best so far' if is_best else '')

    def best_summary(self):
        """A sentence on the best checkpoint."""
        facts = self._best.facts
        return (f'the best by {self._metric} is that of step {facts["step"]} with {facts["value"]:.3f}, kept in '
                f'{self._best.folder}' if facts else 'no checkpoint was evaluated')


def new_checkpoints(folder, done=(), timeout_secs=0., restart_secs=0., poll_secs=_POLL_SECS):
    """Prefixes of the checkpoints of a train_dir, the earliest first, as they come; ends when nobody trains there.

    done: prefixes that are not wanted. What is deleted before its turn, or never becomes whole, is passed over with a
    line. timeout_secs: how long a training that has not begun is waited for until that is a UserError; 0: without end.
    restart_secs: how long one is waited for to go on that was stopped or killed, or that nobody was seen to run.
    """
    done, seen, looks, begun, start = set(done), set(), 0, False, None
    ran, idle_since = False, None
    while True:
        running = run_lock.is_locked(folder)   # first: what a training writes before it ends is still found
        there = checkpoint_files.list_checkpoints(folder)[::-1]
        begun, ran = begun or running or bool(there), ran or running
        if running:
            idle_since = None
        for prefix in sorted(seen - done - set(there), key=_step):
            pass_over(prefix)
            done.add(prefix)
            looks = 0
        seen.update(there)
        prefix = next((prefix for prefix in there if prefix not in done), None)
        if prefix:
            looks += 1
            why = saved_checkpoints.corruption(prefix)
            still_written = why and running and looks < _PATIENCE
            if not still_written:
                looks = 0
                done.add(prefix)
                if why:
                    pass_over(prefix, why)
                else:
                    yield prefix
                continue
        elif begun and not running:
            finished = ran and _is_last(folder, there)
            if not finished and idle_since is None:
                idle_since = _say_idle(folder, restart_secs)
            if finished or time.monotonic() - idle_since >= restart_secs:
                log.info('%s', _end(folder, there))
                return
        elif not begun:
            start = start or _say_waiting(folder)
            if timeout_secs and time.monotonic() - start > timeout_secs:
                raise UserError(f'no training has begun in {folder} within {timeout_secs:g} seconds; start it, or pass '
                                f'a larger --watch_timeout_secs')
        time.sleep(poll_secs)


def pass_over(prefix, why=''):
    """Says that a checkpoint is not evaluated. why: what is wrong with it, if it is still there."""
    what = f'is broken ({why})' if os.path.exists(f'{prefix}.index') else 'was deleted before its turn'
    log.info('%s %s and is passed over', prefix, what)


def _say_waiting(folder):
    log.info('no training has begun in %s yet; waiting for it', folder)
    return time.monotonic()


def _say_idle(folder, restart_secs):
    if restart_secs:
        log.info('nobody trains in %s now; waiting %g seconds for it to go on', folder, restart_secs)
    return time.monotonic()


def _last_step(folder):
    """Where the training wants to end, None if nowhere."""
    return (run_config.read(folder) or {'flags': {}})['flags'].get('max_number_of_steps')


def _is_last(folder, there):
    return bool(there) and _step(there[-1]) == _last_step(folder)


def _end(folder, there):
    """What to say when nobody trains any more. there: the prefixes of its checkpoints."""
    if not there:
        return f'the training in {folder} ended, or was killed, before it wrote a checkpoint'
    last, step = _last_step(folder), _step(there[-1])
    if step == last:
        return f'the training in {folder} has ended at step {step}, its last'
    return (f'nobody trains in {folder} any more: the training was stopped or killed, its last checkpoint is that of '
            f'step {step}{f" of {last}" if last else ""}; when it goes on, start this command again, too')


def _step(prefix):
    return int(prefix.rpartition('-')[2])

"""Checkpoints on disk: found, described, and written only when they are worth it."""
import contextlib
import glob
import os

import tensorflow.compat.v1 as tf

from common.errors import UserError, op_error_message
from common.log import log
from run_folder import checkpoint_files

AVERAGE = '/ExponentialMovingAverage'   # follows the name of a variable in that of its moving average


def find(path):
    """The prefix of a checkpoint from a prefix, any of its files, or a folder (its latest); UserError if none."""
    if os.path.basename(path) == 'checkpoint' and os.path.isfile(path):
        path = os.path.dirname(path) or '.'
    if os.path.isdir(path):
        return _in_folder(path)
    checkpoint_files.check_path(path)
    prefix = path
    for ending in ('.index', '.meta'):
        prefix = prefix.removesuffix(ending)
    if '.data-' in os.path.basename(prefix):
        prefix = prefix[:prefix.rindex('.data-')]
    if not tf.train.checkpoint_exists(prefix):
        raise UserError(f'there is no checkpoint {path}')
    # One file without an index may be a checkpoint of the format before 2016, or any other file.
    if not os.path.exists(f'{prefix}.index') and broken(prefix):
        raise UserError(f'{path} is not a TensorFlow checkpoint; convert it with python '
                        f'checkpoints/import_weights.py')
    return prefix


def _in_folder(folder):
    """The latest checkpoint, or the only one where neither a list nor a step says which is."""
    latest = _listed(folder) or next(iter(checkpoint_files.list_checkpoints(folder)), None)
    if latest:
        return latest
    unlisted = checkpoint_files.list_any_checkpoints(folder)
    if len(unlisted) > 1:
        raise UserError(f'the folder {folder} holds several checkpoints and no list of them: name one of '
                        f'{", ".join(map(os.path.basename, unlisted))}')
    if not unlisted:
        raise UserError(f'the folder {folder} holds no TensorFlow checkpoint; name the file if it is of another kind')
    return unlisted[0]


def shapes(prefix):
    """Name -> shape (list) of every variable of a checkpoint; UserError where it cannot be read."""
    with _readable(prefix):
        return tf.train.NewCheckpointReader(prefix).get_variable_to_shape_map()


def read(prefix, name):
    """The value of a variable of a checkpoint; UserError where it cannot be read."""
    with _readable(prefix):
        return tf.train.NewCheckpointReader(prefix).get_tensor(name)


@contextlib.contextmanager
def _readable(prefix):
    """Turns what a broken checkpoint raises into a UserError."""
    try:
        yield
    except (tf.errors.OpError, RuntimeError, ValueError, IndexError) as error:
        raise UserError(f'the checkpoint {prefix} cannot be read ({str(error).partition(chr(10))[0]})') from error


def _listed(folder):
    """What the folder's list of checkpoints says is the latest, or None, also where the list is broken."""
    try:
        return tf.train.latest_checkpoint(folder)
    except ValueError:
        return None


def write_list(folder, names):
    """Writes the folder's list of checkpoints by their names, the latest last, so that the folder can be moved."""
    # From a folder that is named relative to this process, TensorFlow would make `../../name`.
    tf.train.update_checkpoint_state(os.path.abspath(folder), names[-1], names)


def broken(prefix):
    """Why a checkpoint cannot be restored, '' where it can: every value is read, which tests its checksum."""
    try:
        reader = tf.train.NewCheckpointReader(prefix)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except (tf.errors.OpError, RuntimeError, ValueError, IndexError) as error:
        return str(error).partition(chr(10))[0]
    return ''


def pass_over_broken(folder):
    """The latest checkpoint of a train_dir that is whole, or None where it has none.

    Broken ones (cut short, a disk that was full) get another name, so that nobody takes them for whole, and a
    line each; the folder's list then ends with the whole one, which is where the supervisor goes on. What a
    killed process left half written is removed. UserError where checkpoints are there, but none is whole.
    """
    for path in glob.glob(os.path.join(glob.escape(folder), 'model.ckpt-*tempstate*')):
        os.remove(path)
    found = {}
    for prefix in checkpoint_files.list_checkpoints(folder):
        why = broken(prefix)
        if not why:
            _set_aside(found, f'going on from {prefix}')
            if _listed(folder) != prefix:
                there = [os.path.basename(other) for other in reversed(checkpoint_files.list_checkpoints(folder))]
                write_list(folder, there)
            return prefix
        found[prefix] = why
    if found:
        listed = ', '.join(f'{os.path.basename(prefix)} ({why})' for prefix, why in found.items())
        raise UserError(f'no checkpoint in {folder} is whole: {listed}; move them away to start anew')
    return None


def _set_aside(broken, instead):
    """Renames broken checkpoints, prefix -> reason, with a line for each."""
    for prefix, why in broken.items():
        folder, name = os.path.split(prefix)
        aside = os.path.join(folder, name.replace('model.', 'broken.', 1))
        for path in glob.glob(f'{glob.escape(prefix)}.*'):
            os.replace(path, aside + path[len(prefix):])
        log.info('%s is broken (%s) and passed over, it is now %s; %s', prefix, why, aside, instead)


class CheckpointSaver(tf.train.Saver):
    """A Saver that writes no step twice, no weights that are not finite, and says what it wrote."""

    def __init__(self, **kwargs):
        super().__init__(save_relative_paths=True, **kwargs)
        with tf.name_scope('checkpoint_is_finite'):
            self._finite = tf.reduce_all(tf.stack([tf.constant(True)] + [
                tf.reduce_all(tf.is_finite(variable)) for variable in tf.global_variables()
                if variable.dtype.base_dtype.is_floating]))
        self._last_step = None

    def already_saved(self, step):
        """Tells that a checkpoint of this step exists, so that it is not written again."""
        self._last_step = step

    def save(self, sess, save_path, global_step=None, **kwargs):
        """As tf.train.Saver; global_step may be a tensor. UserError where it cannot or should not be written."""
        step = global_step if isinstance(global_step, int) else int(sess.run(global_step))
        if step == self._last_step:
            return None
        if not sess.run(self._finite):
            raise UserError(f'step {step}: a weight is not finite, so no checkpoint is written and the last one '
                            f'stays as it is; lower the learning rate or look for broken annotations')
        try:
            written = super().save(sess, save_path, global_step=step, **kwargs)
        except (tf.errors.OpError, OSError, ValueError) as error:   # ValueError: the folder is gone
            for path in filter(os.path.isfile, glob.glob(f'{glob.escape(save_path)}-{step}.*')):
                os.remove(path)   # nobody shall take what was written for a checkpoint
            why = op_error_message(error) if isinstance(error, tf.errors.OpError) else str(error)
            raise UserError(f'the checkpoint of step {step} could not be written to '
                            f'{os.path.dirname(save_path)} ({why}); the one before it is untouched') from error
        self._last_step = step
        log.info('step %d: saved %s', step, written)
        return written

"""Checkpoints on disk: found, described, and written only when they are worth it."""
import os

import tensorflow.compat.v1 as tf

from deployment.console import log
from deployment.errors import UserError


def find(path):
    """The prefix of a checkpoint from a prefix, any of its files, or a folder (its latest); UserError if none."""
    if os.path.isdir(path):
        latest = tf.train.latest_checkpoint(path)
        if not latest:
            raise UserError(f'the folder {path} holds no checkpoint')
        return latest
    prefix = path
    for ending in ('.index', '.meta'):
        prefix = prefix.removesuffix(ending)
    if '.data-' in os.path.basename(prefix):
        prefix = prefix[:prefix.rindex('.data-')]
    if not tf.train.checkpoint_exists(prefix):
        raise UserError(f'there is no checkpoint {path}')
    return prefix


def shapes(prefix):
    """Name -> shape (list) of every variable of a checkpoint; UserError where it cannot be read."""
    try:
        return tf.train.NewCheckpointReader(prefix).get_variable_to_shape_map()
    except (tf.errors.OpError, RuntimeError, ValueError) as error:
        raise UserError(f'the checkpoint {prefix} cannot be read ({str(error).partition(chr(10))[0]})') from error


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
            reason = getattr(error, 'message', str(error)).partition('\n')[0]
            raise UserError(f'the checkpoint of step {step} could not be written to '
                            f'{os.path.dirname(save_path)} ({reason}); the one before it is untouched') from error
        self._last_step = step
        log.info('step %d: saved %s', step, written)
        return written

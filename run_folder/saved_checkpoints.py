"""TensorFlow checkpoints on disk: find, read, check and write them."""
import contextlib
import glob
import os

import numpy as np
import tensorflow.compat.v1 as tf

from common.errors import UserError, op_error_message
from common.log import log
from common.text import counted
from run_folder import checkpoint_files, checkpoint_index

# `tf.train.ExponentialMovingAverage` appends this to the name of a variable.
MOVING_AVERAGE_SUFFIX = '/ExponentialMovingAverage'

# Errors of a checkpoint reader for truncated or corrupt files.
_READ_ERRORS = (tf.errors.OpError, RuntimeError, ValueError, IndexError, TypeError)


def find_checkpoint(path):
    """Return the prefix of the checkpoint at a path.

    Args:
        path: a prefix, any file of a checkpoint, or a folder. A folder stands for the latest
            checkpoint in its checkpoint list, without a list for the highest step, and without
            steps in the names for its only checkpoint.

    Raises:
        UserError: If there is no checkpoint at the path, or the choice is ambiguous.
    """
    if os.path.basename(path) == 'checkpoint' and os.path.isfile(path):
        path = os.path.dirname(path) or '.'
    if os.path.isdir(path):
        return _find_in_folder(path)
    checkpoint_files.check_path(path)
    prefix = path
    for extension in ('.index', '.meta'):
        prefix = prefix.removesuffix(extension)
    if '.data-' in os.path.basename(prefix):
        prefix = prefix[:prefix.rindex('.data-')]
    if not tf.train.checkpoint_exists(prefix):
        raise UserError(f'there is no checkpoint {path}. Correct the path')
    # A file without an index is a checkpoint of the format before 2016, or not a checkpoint.
    if not os.path.exists(f'{prefix}.index'):
        try:
            read_shapes(prefix)
        except UserError as error:
            raise UserError(f'{path} is not a TensorFlow checkpoint. Convert it with '
                            f'python checkpoints/import_weights.py') from error
    return prefix


def _find_in_folder(folder):
    """Return the prefix of the latest, or the only, checkpoint in a folder."""
    latest = listed_checkpoint(folder) or next(
        iter(checkpoint_files.list_checkpoints(folder)), None)
    if latest:
        return latest
    prefixes = checkpoint_files.list_any_checkpoints(folder)
    if len(prefixes) > 1:
        raise UserError(f'the folder {folder} holds several checkpoints, but no list of them. '
                        f'Pass one of {", ".join(map(os.path.basename, prefixes))}')
    if not prefixes:
        raise UserError(f'the folder {folder} holds no TensorFlow checkpoint. '
                        f'Pass the file itself if it has another format')
    return prefixes[0]


def _read_checkpoint_list(folder):
    """Return the prefixes in the checkpoint list of a folder, the latest last; [] without a list.

    They need not exist, and may be in other folders. A list that is not a regular file is ignored.
    """
    if not os.path.isfile(os.path.join(folder, 'checkpoint')):   # a pipe or device may never end
        return []
    try:
        state = tf.train.get_checkpoint_state(folder)
    except ValueError:   # the list cannot be parsed
        return []
    if not state:
        return []
    latest = state.model_checkpoint_path
    return [prefix for prefix in state.all_model_checkpoint_paths if prefix != latest] + [latest]


def listed_checkpoint(folder):
    """Return the latest checkpoint in the folder's checkpoint list; None if it does not exist."""
    latest = next(reversed(_read_checkpoint_list(folder)), None)
    return latest if latest and tf.train.checkpoint_exists(latest) else None


def write_checkpoint_list(folder, names):
    """Write the file `checkpoint`, the folder's checkpoint list.

    Args:
        folder: the folder of the checkpoints.
        names: base names of the checkpoints, the latest last. Without a path in them, the folder
            can be moved.
    """
    # For a relative folder, TensorFlow would write `../../name`.
    tf.train.update_checkpoint_state(os.path.abspath(folder), names[-1], names)


def read_shapes(prefix):
    """Return the shapes of all numeric variables of a checkpoint: name -> list of int.

    Raises:
        UserError: If the checkpoint cannot be read.
    """
    return open_variables(prefix)[0]


def open_variables(prefix):
    """Open a checkpoint to read its variables.

    Returns:
        (shapes, read): see `read_shapes`, and a function (name) that returns the value of a
        numeric variable, a NumPy array.

    Raises:
        UserError: If the checkpoint cannot be read, also by `read`.
    """
    with _convert_read_errors(prefix):
        reader, shapes = _open_reader(prefix)

    def read(name):
        with _convert_read_errors(prefix):
            return reader.get_tensor(name)
    return shapes, read


@contextlib.contextmanager
def _convert_read_errors(prefix):
    """Raise UserError instead of the errors of a checkpoint reader."""
    try:
        yield
    except _READ_ERRORS as error:
        raise UserError(f'the checkpoint {prefix} cannot be read ({_first_line(error)})') from error


def _open_reader(prefix):
    """Return a checkpoint reader, and the shapes of all numeric variables: name -> list of int.

    Raises:
        ValueError: If the structure of the checkpoint is invalid, see `checkpoint_index.check`.
        tf.errors.OpError: If TensorFlow cannot read it.
    """
    checkpoint_index.check(prefix)
    reader = tf.train.NewCheckpointReader(prefix)
    dtypes = reader.get_variable_to_dtype_map()
    return reader, {name: shape for name, shape in reader.get_variable_to_shape_map().items()
                    if checkpoint_index.is_numeric(dtypes[name])}


def corruption(prefix):
    """Return why a checkpoint is of no use, in one line; '' if it is intact.

    Reads every numeric value, so that TensorFlow verifies their checksums. Values that are not
    finite, as other programs may save them, count as corrupt.
    """
    try:
        reader, shapes = _open_reader(prefix)
        for name in sorted(shapes):
            value = reader.get_tensor(name)
            if value.dtype.kind == 'f' and not np.isfinite(value).all():
                return f'{name} is not finite'
    except _READ_ERRORS as error:
        return _first_line(error)
    return ''


def _first_line(error):
    return str(error).partition('\n')[0]


def latest_checkpoint(train_dir):
    """Return the prefix of the checkpoint that a run in `train_dir` resumes from; None without one.

    It is the latest of the folder's checkpoint list, which TensorFlow's supervisor restores.
    Changes no file and does not verify checksums: see `set_aside_broken_checkpoints`.

    Raises:
        UserError: If the list does not name the checkpoints of the folder, so that the supervisor
            would start from step 0 and overwrite them, or restore and later delete other ones.
    """
    latest, listed = listed_checkpoint(train_dir), _read_checkpoint_list(train_dir)
    if latest and all(_is_inside(prefix, train_dir) for prefix in listed):
        return latest
    if listed or checkpoint_files.list_checkpoints(train_dir):
        raise UserError(
            f'the checkpoint list of {train_dir} does not name the checkpoints there. Call '
            f'saved_checkpoints.set_aside_broken_checkpoints(train_dir) to correct it')
    return None


def _is_inside(prefix, folder):
    return os.path.realpath(os.path.dirname(prefix)) == os.path.realpath(folder)


def set_aside_broken_checkpoints(train_dir):
    """Make the latest intact checkpoint of a `train_dir` the one that the next run resumes from.

    Renames broken checkpoints with a higher step, for example truncated ones, to
    `broken.ckpt-<step>`, removes temporary files of a killed process, and corrects the checkpoint
    list: TensorFlow restores its latest entry and deletes old ones, so it may name only checkpoints
    in the folder itself. Logs each renamed checkpoint. Call it only while no other process writes
    to the folder.

    Raises:
        UserError: If the folder has checkpoints, but none is intact. Nothing is renamed then.
    """
    for path in glob.glob(os.path.join(glob.escape(train_dir), 'model.ckpt-*tempstate*')):
        os.remove(path)
    broken = {}   # prefix -> reason
    for prefix in checkpoint_files.list_checkpoints(train_dir):
        reason = corruption(prefix)
        if not reason:
            _rename_broken(broken)
            _correct_checkpoint_list(train_dir, os.path.basename(prefix))
            return
        broken[prefix] = reason
    if broken:
        reasons = ', '.join(
            f'{os.path.basename(prefix)} ({reason})' for prefix, reason in broken.items())
        raise UserError(f'no checkpoint in {train_dir} is intact: {reasons}. '
                        f'Move them away to start from step 0')
    _correct_checkpoint_list(train_dir)


def _correct_checkpoint_list(folder, latest=None):
    """Rewrite the folder's checkpoint list if it names missing checkpoints or other folders.

    Entries of other folders are replaced by checkpoints of the same name in this folder, or left
    out. A list without entries is removed; a lost one names all `model.ckpt-<step>`.

    Args:
        folder: the folder.
        latest: base name of the checkpoint that the list must end with. Default: as listed.
    """
    listed = _read_checkpoint_list(folder)
    names = [name for name in dict.fromkeys(map(os.path.basename, listed))
             if tf.train.checkpoint_exists(os.path.join(folder, name))]
    if latest and not names:
        names = list(map(os.path.basename, reversed(checkpoint_files.list_checkpoints(folder))))
    if latest:
        names = [name for name in names if name != latest] + [latest]
    foreign = [prefix for prefix in listed if not _is_inside(prefix, folder)]
    if names == list(map(os.path.basename, listed)) and not foreign:
        return
    if foreign:
        log.info('the checkpoint list of %s named %s of other folders, such as %s; they are '
                 'neither used nor changed', folder,
                 counted(len(foreign), 'checkpoint'), foreign[-1])
    if names:
        write_checkpoint_list(folder, names)
        return
    with contextlib.suppress(FileNotFoundError):
        os.remove(os.path.join(folder, 'checkpoint'))


def _rename_broken(reasons):
    """Rename broken checkpoints from `model.ckpt-<step>` to `broken.ckpt-<step>` and log each.

    Args:
        reasons: prefix -> reason, as `corruption` returns it.
    """
    for prefix, reason in reasons.items():
        folder, name = os.path.split(prefix)
        new_prefix = os.path.join(folder, name.replace('model.', 'broken.', 1))
        for path in glob.glob(f'{glob.escape(prefix)}.*'):
            os.replace(path, new_prefix + path[len(prefix):])
        log.info('%s is broken (%s); renamed it to %s', prefix, reason, new_prefix)


class CheckpointSaver(tf.train.Saver):
    """A Saver that writes each step once and never writes non-finite weights."""

    def __init__(self, folder=None, prepare=lambda *_: None, derived=(), var_list=None, **kwargs):
        """Create the saver and its finiteness check; call this when all variables exist.

        Args:
            folder: `OpenFolder` of the checkpoints, or None for a folder that stays in place.
            prepare: function (session, step, last_saved_step), called before a checkpoint is
                written. last_saved_step is that of the previous checkpoint, or 0.
            derived: variables besides the global ones to save, set by `prepare`. They are not
                restored, so checkpoints without them can be resumed.
            var_list: variables to save and restore; None: all global variables.
            **kwargs: further arguments of `tf.train.Saver`.
        """
        var_list = var_list or tf.global_variables()
        variables = [*var_list, *derived]
        super().__init__(variables, save_relative_paths=True, **kwargs)
        self._prepare, self._restorer = prepare, tf.train.Saver(var_list) if derived else super()
        self._folder = folder
        with tf.name_scope('checkpoint_is_finite'):
            self._is_finite = tf.reduce_all(tf.stack([tf.constant(True)] + [
                tf.reduce_all(tf.is_finite(variable)) for variable in variables
                if variable.dtype.base_dtype.is_floating]))
        self._last_step = None

    def restore(self, sess, save_path):
        """Restore all saved variables except the derived ones."""
        self._restorer.restore(sess, save_path)

    def mark_as_saved(self, step):
        """Tell the saver that a checkpoint of this step exists, so that `save` skips the step."""
        self._last_step = step

    def save(self, sess, save_path, global_step=None, **kwargs):
        """Write the checkpoint `<save_path>-<global_step>` and log its path.

        Args:
            sess: the session.
            save_path: prefix without the step.
            global_step: an int or a tensor.
            **kwargs: further arguments of `tf.train.Saver.save`.

        Returns:
            The prefix of the checkpoint; None if this step has already been saved.

        Raises:
            UserError: If a variable is not finite, the files cannot be written, or the folder is
                not in place. Older checkpoints stay as they are.
        """
        step = global_step if isinstance(global_step, int) else int(sess.run(global_step))
        if step == self._last_step:
            return None
        if not self.is_in_place():
            self._save_elsewhere(sess, step)
        return self._write(sess, save_path, step, **kwargs)

    def is_in_place(self):
        """Return whether the folder was neither renamed nor deleted."""
        return not self._folder or self._folder.is_in_place()

    def _save_elsewhere(self, sess, step):
        """Save where the folder is now, or in a new one, and raise UserError."""
        path, problem, remedy = self._folder.find_substitute()
        if path:
            # Without the list, which also deletes old checkpoints, by the paths they had.
            self._write(sess, os.path.join(path, 'model.ckpt'), step, write_state=False)
            write_checkpoint_list(path, [
                os.path.basename(prefix)
                for prefix in reversed(checkpoint_files.list_checkpoints(path))])
        raise UserError(f'{problem}. {remedy}')

    def _write(self, sess, save_path, step, **kwargs):
        """Write a checkpoint and log its path; see `save`."""
        self._prepare(sess, step, self._last_step or 0)
        if not sess.run(self._is_finite):
            raise UserError(f'step {step}: a weight is not finite, so no checkpoint is written and '
                            f'the last one is kept. Lower the learning rate, or check the '
                            f'annotations')
        try:
            prefix = super().save(sess, save_path, global_step=step, **kwargs)
        except (tf.errors.OpError, OSError, ValueError) as error:   # ValueError: no such folder
            for path in filter(os.path.isfile, glob.glob(f'{glob.escape(save_path)}-{step}.*')):
                os.remove(path)   # an incomplete checkpoint must not look like a complete one
            reason = op_error_message(error) if isinstance(error, tf.errors.OpError) else str(error)
            raise UserError(f'the checkpoint of step {step} could not be written to '
                            f'{os.path.dirname(save_path)} ({reason}); the last checkpoint is '
                            f'kept. Free disk space or check the permissions') from error
        self._last_step = step
        log.info('step %d: saved %s', step, prefix)
        return prefix

"""The best checkpoint of a run, kept in `train_dir/best` when the run deletes old checkpoints."""
import contextlib
import glob
import os
import shutil

import tensorflow.compat.v1 as tf

from common.errors import UserError
from common.files import make_output_folder, read_json, write_json
from common.structure import has_structure
from run_folder import run_config, run_lock, saved_checkpoints

_BEST_FOLDER, _BEST_FILE = 'best', 'best.json'
_TEMPLATE = {'checkpoint': str, 'step': int, 'metric': str, 'value': (int, float),
             'evaluated_on': object}


class BestCheckpoint:
    """The folder `train_dir/best`: the best checkpoint, its `config.json`, and `best.json`.

    Once the folder holds a checkpoint, it holds a complete one at any time, also after a crash.
    """

    def __init__(self, train_dir, metric, evaluated_on):
        """Open the folder without creating or locking it.

        Args:
            train_dir: the folder of the run.
            metric: name of the metric that is maximized, for example 'VOC07'.
            evaluated_on: a JSON value that identifies the data and the settings of the evaluation.
                A stored best of another metric or evaluation is ignored.
        """
        self.folder = os.path.join(train_dir, _BEST_FOLDER)
        self._metric, self._evaluated_on = metric, evaluated_on
        self._candidate_folder = os.path.join(self.folder, '.candidate')
        self._lock = None

    @property
    def info(self):
        """The content of `best.json`; None if this metric has no best checkpoint yet.

        Keys: 'checkpoint' (base name), 'step', 'metric', 'value', 'evaluated_on'.
        """
        info = read_json(os.path.join(self.folder, _BEST_FILE), 'Remove it')
        if has_structure(info, _TEMPLATE) and (info['metric'], info['evaluated_on']) == (
                self._metric, self._evaluated_on):
            return info
        return None

    def stage(self, prefix):
        """Link a checkpoint and its configuration into this folder as the candidate.

        The run may delete the original while the candidate is evaluated.

        Returns:
            The prefix of the candidate; None if the checkpoint has already been deleted.

        Raises:
            UserError: If another process keeps the best checkpoint here, or the folder is a
                symbolic link or not writable.
        """
        if not self._lock:
            if os.path.islink(self.folder):   # other checkpoints there would be deleted
                raise UserError(f'{self.folder} is a symbolic link, which is not followed. '
                                f'Remove it')
            make_output_folder(self.folder)
            self._lock = run_lock.acquire(self.folder, 'evaluation with --watch', 'Wait for it')
        self._remove_candidate()
        os.makedirs(self._candidate_folder)
        config_path = os.path.join(os.path.dirname(prefix), run_config.CONFIG_FILE)
        paths = [*glob.glob(f'{glob.escape(prefix)}.*'), *glob.glob(glob.escape(config_path))]
        try:
            for path in paths:
                _link_or_copy(path, os.path.join(self._candidate_folder, os.path.basename(path)))
        except FileNotFoundError:
            return None
        candidate = os.path.join(self._candidate_folder, os.path.basename(prefix))
        return candidate if tf.train.checkpoint_exists(candidate) else None

    def keep_if_better(self, step, value):
        """Make the candidate the best checkpoint if its metric is higher.

        Args:
            step: the training step of the candidate.
            value: its metric, a float.

        Returns:
            Whether the candidate is the new best.
        """
        if self.info and value <= self.info['value']:
            return False
        # The index last: without it, the other files are not a checkpoint.
        names = sorted(os.listdir(self._candidate_folder), key=lambda name: name.endswith('.index'))
        for name in names:
            os.replace(os.path.join(self._candidate_folder, name), os.path.join(self.folder, name))
        checkpoint = next(name for name in names if name.endswith('.index')).removesuffix('.index')
        saved_checkpoints.write_checkpoint_list(self.folder, [checkpoint])
        write_json(os.path.join(self.folder, _BEST_FILE), {
            'checkpoint': checkpoint, 'step': step, 'metric': self._metric, 'value': value,
            'evaluated_on': self._evaluated_on})
        for path in glob.glob(os.path.join(glob.escape(self.folder), 'model.ckpt-*')):
            if os.path.basename(path) not in names:
                os.remove(path)
        return True

    def close(self):
        """Remove the candidate and release the lock of the folder."""
        if self._lock:
            self._remove_candidate()
            self._lock.close()

    def _remove_candidate(self):
        if os.path.islink(self._candidate_folder):   # rmtree does not remove links
            os.remove(self._candidate_folder)
        shutil.rmtree(self._candidate_folder, ignore_errors=True)


def _link_or_copy(source, target):
    """Create a hard link, or a copy for JSON and on file systems without hard links.

    The files of a checkpoint never change, so they can share their content.
    """
    if not source.endswith('.json'):
        with contextlib.suppress(OSError):
            return os.link(source, target)
    return shutil.copyfile(source, target)

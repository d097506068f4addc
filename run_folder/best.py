"""The best checkpoint of a training, kept in `train_dir/best` however many others the training deletes."""
import contextlib
import glob
import os
import shutil

import tensorflow.compat.v1 as tf

from common.files import read_json, write_json
from run_folder import run_config, run_lock, saved_checkpoints

FOLDER, FACTS = 'best', 'best.json'


class BestCheckpoint:
    """`train_dir/best`: a checkpoint, its configuration, and `best.json`, which says by what number it is the best.

    At every moment there is a whole checkpoint, once there was one.
    """

    def __init__(self, train_dir, metric, evaluated_on):
        """metric: name of the number. evaluated_on: what else the number depends on, as `json` has it.

        Those of other metrics and other data do not count.
        """
        self.folder = os.path.join(train_dir, FOLDER)
        self._metric, self._evaluated_on = metric, evaluated_on
        self._candidate = os.path.join(self.folder, '.candidate')
        self._lock = None

    @property
    def facts(self):
        """{'checkpoint', 'step', 'metric', 'value', 'evaluated_on'} of the best so far; None without one."""
        found = read_json(os.path.join(self.folder, FACTS), 'remove it')
        same = found and (found.get('metric'), found.get('evaluated_on')) == (self._metric, self._evaluated_on)
        return found if same else None

    def hold(self, prefix):
        """Takes hold of a checkpoint with its configuration; returns its prefix here, None where it has been deleted.

        The training may delete it while it is evaluated. UserError where another process keeps the best here.
        """
        self._lock = self._lock or run_lock.acquire(self.folder, 'evaluation with --watch', 'wait for it')
        shutil.rmtree(self._candidate, ignore_errors=True)
        os.makedirs(self._candidate)
        try:
            for path in [*glob.glob(f'{glob.escape(prefix)}.*'),
                         *glob.glob(os.path.join(glob.escape(os.path.dirname(prefix)), run_config.CONFIG_FILE))]:
                _link(path, os.path.join(self._candidate, os.path.basename(path)))
        except FileNotFoundError:
            return None
        held = os.path.join(self._candidate, os.path.basename(prefix))
        return held if tf.train.checkpoint_exists(held) else None

    def offer(self, step, value):
        """Keeps the checkpoint that is held if its number is larger than the best so far; says whether it is."""
        if self.facts and value <= self.facts['value']:
            return False
        names = sorted(os.listdir(self._candidate), key=lambda name: name.endswith('.index'))   # the index last
        for name in names:
            os.replace(os.path.join(self._candidate, name), os.path.join(self.folder, name))
        prefix = next(name for name in names if name.endswith('.index')).removesuffix('.index')
        saved_checkpoints.write_checkpoint_list(self.folder, [prefix])
        write_json(os.path.join(self.folder, FACTS), {
            'checkpoint': prefix, 'step': step, 'metric': self._metric, 'value': value,
            'evaluated_on': self._evaluated_on})
        for other in glob.glob(os.path.join(glob.escape(self.folder), 'model.ckpt-*')):
            if os.path.basename(other) not in names:
                os.remove(other)
        return True

    def close(self):
        """Lets another process keep the best here."""
        if self._lock:
            shutil.rmtree(self._candidate, ignore_errors=True)
            self._lock.close()


def _link(path, target):
    """A hard link, which costs nothing, or a copy where the file system has none. Checkpoints are never changed."""
    with contextlib.suppress(OSError):
        if not path.endswith('.json'):   # of which each folder has its own
            return os.link(path, target)
    return shutil.copyfile(path, target)

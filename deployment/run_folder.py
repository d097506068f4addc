"""The folder of a run: who trains in it, with which configuration, and what it says to the next run."""
import contextlib
import fcntl
import glob
import os
import re
import time

from deployment.errors import UserError
from deployment.files import read_json, write_json

CONFIG, LOG = 'config.json', 'train.log'
_LOCK = '.lock'
FOREIGN = ('.npz', '.pth', '.pt', '.caffemodel')   # endings of weights that `checkpoints.sources` reads
# What the weights in the folder are worth depends on these; another value needs another folder.
_FIXED = ('model_name', 'num_classes', 'anchor_preset', 'class_names')


def refuse_name(path):
    """UserError for a path from which TensorFlow reads no checkpoint back: it takes brackets for a pattern."""
    if any(letter in path for letter in '[]\\'):
        raise UserError(f"TensorFlow reads no checkpoint from a path with brackets or backslashes, as '{path}' has; "
                        f'choose another name, or rename the folder')


def is_foreign(path):
    """Whether a path means a file of weights that are not TensorFlow's."""
    return os.path.splitext(path)[1].lower() in FOREIGN and not os.path.isdir(path)


def claim(folder, by='training', advice='wait for it, or choose another --train_dir'):
    """Makes the folder and locks it for this process; UserError with the advice where another one has locked it.

    Returns the open lock file: the lock ends with it, also when the process is killed. by: what the process does.
    """
    os.makedirs(folder, exist_ok=True)
    lock = open(os.path.join(folder, _LOCK), 'a+')   # noqa: SIM115 - stays open while the run lasts
    if not _lock(lock):
        lock.seek(0)
        raise UserError(f'{folder} is in use by another {by} (process {lock.read().strip() or "unknown"}); {advice}')
    lock.truncate(0)
    lock.write(f'{os.getpid()}\n')
    lock.flush()
    return lock


def _lock(file):
    """Locks an open file; False where another process has it for longer than `is_claimed` takes to look."""
    for wait in (.05, .1, .2, None):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if wait:
            time.sleep(wait)
    return False


def is_claimed(folder):
    """Whether a process that runs has claimed the folder."""
    try:
        with open(os.path.join(folder, _LOCK)) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)   # for a moment, in which `claim` waits
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def checkpoints_in(folder):
    """Prefixes of the checkpoints `model.ckpt-<step>` in a folder, the latest first, whatever its list says."""
    # Also those of which one file has been lost: that is for the reader to see.
    names = [re.fullmatch(r'model\.ckpt-(\d+)\.(index|data-\d+-of-\d+)', os.path.basename(path))
             for path in glob.glob(os.path.join(glob.escape(folder), 'model.ckpt-*'))]
    steps = sorted({int(match.group(1)) for match in names if match}, reverse=True)
    return [os.path.join(folder, f'model.ckpt-{step}') for step in steps]


def unlisted_in(folder):
    """Prefixes of checkpoints of any name, as people unpack those of others, sorted."""
    return sorted(path[:-len('.index')] for path in glob.glob(os.path.join(glob.escape(folder), '*.index')))


def read_config(folder):
    """The configuration kept in a folder, {'model': {...}, 'flags': {...}}, or None."""
    config = _read(folder)
    if config is not None and not _is_ours(config):
        raise UserError(f'{os.path.join(folder, CONFIG)} is no configuration of this project; remove it')
    return config


def _read(folder):
    return read_json(os.path.join(folder, CONFIG), 'mend or remove it')


def _is_ours(config):
    return isinstance(config, dict) and all(isinstance(config.get(part), dict) for part in ('model', 'flags'))


def _config_of_weights(folder):
    """The configuration of a train_dir; None where it holds no weights yet, whatever was meant to be trained."""
    return read_config(folder) if checkpoints_in(folder) else None


def kept_model(folder):
    """What the checkpoints of a train_dir were trained as, the 'model' of its configuration; {} where it has none."""
    config = _config_of_weights(folder)
    return config['model'] if config else {}


def model_beside(path):
    """What a checkpoint (a folder, or a file in it) was trained as: the 'model' of the configuration beside it.

    {} where there is none, where it is that of another program, and for weights of others, which may lie anywhere.
    UserError where it cannot be read.
    """
    if not path or is_foreign(path):
        return {}
    config = _read(path if os.path.isdir(path) else os.path.dirname(path) or '.')
    return config['model'] if _is_ours(config) else {}


def changes(old, new):
    """Lines that say where the flags and the data of two configurations differ, and what that means."""
    flags = [name for name in sorted(set(old['flags']) & set(new['flags'])) if old['flags'][name] != new['flags'][name]]
    lines = [f'{name}: {old["flags"][name]} -> {new["flags"][name]}' for name in flags]
    data, now = old.get('data'), new.get('data')   # configurations of earlier versions say nothing of the data
    other_data = bool(data and now) and data != now
    if other_data:
        lines.append(f'the data set: {_of_data(data)} -> {_of_data(now)}')
    if other_data or 'seed' in flags or old.get('global_batch') != new.get('global_batch'):
        lines.append('so the examples from here on are not those that an unchanged run would have seen')
    return lines


def _of_data(data):
    return f'{data["pictures"]} pictures of {data["name"]} {data["split"]} (content {data["fingerprint"]})'


def other_meaning(checkpoint_path, model):
    """Lines that say where the run of a pretrained checkpoint meant other things by its weights; none if unknown.

    checkpoint_path: a folder or a file in it, or None. model: as in a configuration.
    """
    there = model_beside(checkpoint_path)
    return [f'{name} {there.get(name)}, here {model[name]}' for name in ('anchor_preset', 'class_names')
            if there and there.get(name) != model[name]]


def changes_since(folder, config):
    """What changed since the last run in the folder, a list of lines; UserError where it holds another model's weights.

    config: {'model': what makes the net, 'flags': name -> value, 'data': what it is trained on: name, split,
    pictures, fingerprint; 'global_batch': pictures of a step}.
    """
    old = _config_of_weights(folder)   # without weights there is nothing to protect
    if not old:
        return []
    for name in _FIXED:
        if old['model'][name] != config['model'][name]:
            raise UserError(f'{folder} was trained with {name} {old["model"][name]}, not {config["model"][name]}; '
                            f'choose another --train_dir, and pass this one as --checkpoint_path to start from its '
                            f'weights')
    return changes(old, config)


def keep_config(folder, config):
    """Writes the configuration. Of a run that is refused, also by its checkpoint, nothing shall be kept."""
    write_json(os.path.join(folder, CONFIG), config)

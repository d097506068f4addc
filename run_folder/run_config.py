"""`config.json` in the folder of a run: the net, every flag, and the data of the last run there."""
import os

from common.errors import UserError
from common.files import read_json, write_json
from common.structure import has_structure
from run_folder import checkpoint_files

CONFIG_FILE, LOG_FILE = 'config.json', 'train.log'
# The weights in the folder depend on these fields: another value needs another folder.
_MODEL_FIELDS = {'model_name': str, 'net': dict, 'num_classes': int, 'anchor_preset': str,
                 'class_names': [str]}
_DATA_FIELDS = {'name': str, 'split': str, 'pictures': int, 'fingerprint': str}


def read(folder):
    """Return the configuration in a folder, {'model': {...}, 'flags': {...}}; None without one.

    Raises:
        UserError: If the file cannot be parsed, or was not written by this project.
    """
    config = _read_json(folder)
    if config is not None and not _is_ours(config):
        raise UserError(_not_ours(folder))
    return config


def _not_ours(folder):
    return (f'{os.path.join(folder, CONFIG_FILE)} is not a configuration of this project, or was '
            f'damaged. Restore it, or remove it if it belongs to another program')


def write(folder, config):
    """Write the configuration of a run.

    Call this only after every check has passed: a rejected run must not change the folder.

    Args:
        folder: the train_dir.
        config: see `changes_since_last_run`.
    """
    write_json(os.path.join(folder, CONFIG_FILE), config)


def model_of_train_dir(folder):
    """Return the 'model' part of the configuration of a train_dir; {} without a checkpoint."""
    config = _config_of_weights(folder)
    return config['model'] if config else {}


def model_of_checkpoint(path):
    """Return the 'model' part of the configuration beside a checkpoint.

    Args:
        path: a folder, a prefix or a file of a checkpoint, or None.

    Returns:
        A dict. Empty without a path or a configuration of this project, and for weight files of
        other formats, which may be stored beside any configuration.

    Raises:
        UserError: If the configuration cannot be parsed, or is one of this project with a field
            that was damaged.
    """
    if not path or _is_other_format(path):
        return {}
    folder = path if os.path.isdir(path) else os.path.dirname(path) or '.'
    config = _read_json(folder)
    if _is_ours(config):
        return config['model']
    # Without the fields of its net, the weights would mean something else.
    if has_structure(config, {'model': {'model_name': object}, 'flags': dict}):
        raise UserError(_not_ours(folder))
    return {}


def differences_from_pretrained(checkpoint_path, model):
    """Compare the anchors and classes of a pretrained checkpoint with those of this run.

    Args:
        checkpoint_path: a checkpoint, or None.
        model: the 'model' part of this run's configuration.

    Returns:
        A list of lines, one for each difference: 'anchor_preset voc, here coco'. What the
        configuration of the checkpoint does not tell is no difference.
    """
    pretrained = model_of_checkpoint(checkpoint_path)
    return [f'{name} {pretrained[name]}, here {model[name]}'
            for name in ('anchor_preset', 'class_names')
            if name in pretrained and pretrained[name] != model[name]]


def changes_since_last_run(folder, config):
    """Compare a configuration with that of the last run in the folder.

    Args:
        folder: the train_dir.
        config: a dict of 'model': {'model_name', 'net' (fields in which it differs from the
            table of nets; missing if none), 'num_classes', 'anchor_preset', 'class_names'},
            'flags': {name: value}, 'data': {'name', 'split', 'pictures' (number of images),
            'fingerprint'}, 'augmentation': names of its parts, and 'global_batch': images per step.

    Returns:
        A list of lines, one for each changed flag and one for other data, and a last one if the
        training examples change. Empty if the folder holds no checkpoint.

    Raises:
        UserError: If the folder holds the weights of another net.
    """
    old = _config_of_weights(folder)
    if not old:
        return []
    for name in _MODEL_FIELDS:
        old_value, new_value = (model['model'].get(name) for model in (old, config))
        if old_value != new_value:
            raise UserError(f'{folder} was trained with {name} {old_value}, not '
                            f'{new_value}. Choose another --train_dir, and pass this '
                            f'one as --checkpoint_path to start from its weights')
    return _changes(old, config)


def _changes(old, new):
    """Return lines that describe the changes of flags and data between two configurations."""
    old_flags, new_flags = old['flags'], new['flags']
    changed_flags = [name for name in sorted(set(old_flags) & set(new_flags))
                     if old_flags[name] != new_flags[name]]
    lines = [f'{name}: {old_flags[name]} -> {new_flags[name]}' for name in changed_flags]
    # Configurations of early versions have no data.
    old_data, new_data = old.get('data'), new.get('data')
    data_changed = bool(old_data and new_data) and old_data != new_data
    if data_changed:
        lines.append(f'dataset: {_describe_data(old_data)} -> {_describe_data(new_data)}')
    batch_changed = old.get('global_batch') != new.get('global_batch')
    # Configurations of earlier versions have no augmentation.
    augmentation_changed = old.get('augmentation') != new.get('augmentation') \
        if 'augmentation' in old else 'preprocessing_name' in changed_flags
    if data_changed or batch_changed or augmentation_changed or 'seed' in changed_flags:
        lines.append('from here on the training examples differ from those of an unchanged run')
    return lines


def _describe_data(data):
    return (f'{data["pictures"]} images of {data["name"]} {data["split"]} '
            f'(fingerprint {data["fingerprint"]})')


def _read_json(folder):
    return read_json(os.path.join(folder, CONFIG_FILE), 'Correct or remove it')


def _is_ours(config):
    """Return whether the content of a `config.json` has the structure of this project's."""
    if not has_structure(config, {'model': dict, 'flags': dict}):
        return False
    # Configurations of imported weights and of early versions lack some fields.
    model, data = config['model'], config.get('data')
    return all(has_structure(model[name], template) for name, template in _MODEL_FIELDS.items()
               if name in model) and (data is None or has_structure(data, _DATA_FIELDS))


def _is_other_format(path):
    """Return whether a path is a file that is not part of a TensorFlow checkpoint."""
    name = os.path.basename(path)
    return os.path.isfile(path) and not (
        name == 'checkpoint' or name.endswith(('.index', '.meta')) or '.data-' in name)


def _config_of_weights(folder):
    """Return the configuration of a train_dir; None if it holds no checkpoint.

    Without a checkpoint, another net may be trained in the folder.
    """
    return read(folder) if checkpoint_files.list_checkpoints(folder) else None

"""The files beside the shards: `labels.txt` (`id:name`, as in tf-slim) and `dataset.json`."""
import collections
import os
import re

from common.errors import UserError
from common.files import read_json, write_atomically, write_json
from common.structure import has_structure
from datasets import class_lists

LABELS_FILE, INFO_FILE = 'labels.txt', 'dataset.json'
BACKGROUND = 'background'   # the name of label 0
_INFO_TEMPLATE = {'name': str, 'classes': [str], 'splits': {str: {'shards': {str: int}}}}


def write_labels(folder, class_names):
    """Write labels.txt. The first class has label 1; label 0 is the background."""
    lines = [f'{label}:{name}' for label, name in enumerate([BACKGROUND, *class_names])]
    write_atomically(os.path.join(folder, LABELS_FILE), '\n'.join(lines) + '\n')


def read_labels(path):
    """Read the class names of a labels file, label 1 first.

    The file has any of the forms of `class_lists.read`. A background is left out.

    Raises:
        UserError: If the file cannot be read, or has no names, duplicates, gaps in the labels, or
            labels that do not count the classes from 1.
    """
    entries = class_lists.read(path)
    if class_lists.is_yaml(path):   # YOLO numbers the classes from 0
        entries = [(None, name) for _, name in sorted(entries)]
    if entries[0][0] is None:
        names = [name for index, (_, name) in enumerate(entries)
                 if not class_lists.is_background(name, index == 0)]
    else:
        names = _names_by_label(path, entries)
    if not all(names) or not names:
        raise UserError(f'{path} has no class names, or an empty one. Write one per line')
    duplicates = sorted(name for name, count in collections.Counter(names).items() if count > 1)
    if duplicates:
        raise UserError(f"{path} has duplicate class names: {', '.join(duplicates)}")
    return names


def _names_by_label(path, entries):
    """Return the names of a list of (label, name), label 1 first; see `read_labels`."""
    by_label = dict(entries)
    if len(by_label) < len(entries):
        raise UserError(f'{path} has two classes with the same label. Number the classes 1, 2, 3, '
                        f'...')
    for label, name in entries:
        if class_lists.is_background(name, label == 0) != (label == 0):
            raise UserError(f"{path}: the label of '{name}' is {label}, but label 0, and no other, "
                            f'is the background. Number the classes 1, 2, 3, ...')
    by_label.pop(0, None)
    if sorted(by_label) != list(range(1, len(by_label) + 1)):
        raise UserError(f'{path}: the labels {sorted(by_label)} have gaps. Number the classes '
                        f'1, 2, 3, ...')
    return [by_label[label] for label in sorted(by_label)]


def read_info(folder):
    """Return the content of dataset.json, or None for records of other converters.

    Raises:
        UserError: If the file cannot be read, or is not written by tf_convert_data.py.
    """
    info = read_json(os.path.join(folder, INFO_FILE), 'Convert the data again')
    if info is not None and not has_structure(info, _INFO_TEMPLATE):
        raise UserError(f'{os.path.join(folder, INFO_FILE)} is not written by tf_convert_data.py. '
                        f'Convert the data again')
    for split in (info or {'splits': {}})['splits'].values():
        _check_shard_names(split['shards'], folder)
    return info


def _check_shard_names(names, folder):
    """Raise `UserError` for a shard outside the folder: shards are read, replaced and removed."""
    for name in names:
        if name in ('', '.', '..') or re.search(r'[/\\\0]', name):
            raise UserError(f"{os.path.join(folder, INFO_FILE)} lists the shard '{name}', which is "
                            f'not the name of a file in its folder. Convert the data again')


def write_split(folder, dataset_name, class_names, split, shards, source_ids=None, **details):
    """Add a split to dataset.json, or replace it.

    Args:
        folder: Folder of the records.
        dataset_name: Name of the dataset.
        class_names: Names of the classes, label 1 first.
        split: Name of the split.
        shards: {file name: number of records}.
        source_ids: Ids of the classes in the source, a list of int in the order of `class_names`,
            or None.
        **details: Further entries of the split.
    """
    info = read_info(folder) or {
        'name': dataset_name, 'classes': list(class_names), 'splits': {}}
    if source_ids:
        info['source_ids'] = list(source_ids)
    info['splits'][split] = {'examples': sum(shards.values()), 'shards': shards, **details}
    write_json(os.path.join(folder, INFO_FILE), info)

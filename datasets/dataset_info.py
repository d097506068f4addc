"""The files beside the shards: `labels.txt` (`id:name`, as in tf-slim) and `dataset.json`."""
import os
import re

from common.errors import UserError
from common.files import read_json, read_text, write_atomically, write_json
from common.structure import has_structure

LABELS_FILE, INFO_FILE = 'labels.txt', 'dataset.json'
BACKGROUND = 'background'   # the name of label 0
_MAX_LABELS_BYTES = 1 << 24
_INFO_TEMPLATE = {'name': str, 'classes': [str], 'splits': {str: {'shards': {str: int}}}}


def write_labels(folder, class_names):
    """Write labels.txt. The first class has label 1; label 0 is the background."""
    lines = [f'{label}:{name}' for label, name in enumerate([BACKGROUND, *class_names])]
    write_atomically(os.path.join(folder, LABELS_FILE), '\n'.join(lines) + '\n')


def read_labels(path):
    """Read the class names of a labels file, label 1 first.

    The lines are `id:name`, or names only, in the order of their labels. A background is ignored.

    Raises:
        UserError: If the file cannot be read, is not a regular file of at most 16 MiB, or has no
            names, duplicates or gaps in the labels.
    """
    try:
        lines = map(str.strip, read_text(path, _MAX_LABELS_BYTES).split('\n'))
    except OSError as error:
        raise UserError(f'{path} cannot be read ({error.strerror})') from error
    except UnicodeDecodeError as error:
        raise UserError(f'{path} is not UTF-8 text. Save it as UTF-8') from error
    lines = list(filter(None, lines))
    parts = [line.partition(':') for line in lines]
    if lines and all(re.fullmatch(r'[0-9]{1,9}', label) and separator
                     for label, separator, _ in parts):
        by_label = {int(label): name.strip() for label, _, name in parts}
        by_label.pop(0, None)
        if sorted(by_label) != list(range(1, len(by_label) + 1)):
            raise UserError(f'{path}: the labels {sorted(by_label)} have gaps. Number the classes '
                            f'1, 2, 3, ...')
        names = [by_label[label] for label in sorted(by_label)]
    else:
        names = [line for line in lines if line != BACKGROUND]
    if not names:
        raise UserError(f'{path} has no class names. Write one per line')
    duplicates = sorted(name for name in set(names) if names.count(name) > 1)
    if duplicates:
        raise UserError(f"{path} has duplicate class names: {', '.join(duplicates)}")
    return names


def read_info(folder):
    """Return the content of dataset.json, or None for records of other converters.

    Raises:
        UserError: If the file cannot be read, or is not written by tf_convert_data.py.
    """
    info = read_json(os.path.join(folder, INFO_FILE), 'Convert the data again')
    if info is not None and not has_structure(info, _INFO_TEMPLATE):
        raise UserError(f'{os.path.join(folder, INFO_FILE)} is not written by tf_convert_data.py. '
                        f'Convert the data again')
    return info


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

"""What lies beside the shards: `labels.txt` (`id:name`, the slim convention) and `dataset.json`."""
import os

from common.errors import UserError
from common.files import read_json, write_atomically, write_json

LABELS_FILE, INFO_FILE = 'labels.txt', 'dataset.json'


def write_labels(folder, names):
    """labels.txt for class names, the first of which has label 1; 0 is the background."""
    lines = [f'{label}:{name}' for label, name in enumerate(['background', *names])]
    write_atomically(os.path.join(folder, LABELS_FILE), '\n'.join(lines) + '\n')


def read_labels(path):
    """Class names of a labels file, label 1 first. Lines are `id:name`, or names alone, in order."""
    try:
        with open(path, encoding='utf-8-sig') as file:
            lines = [line.strip() for line in file if line.strip()]
    except OSError as error:
        raise UserError(f'{path} cannot be read ({error.strerror})') from error
    except UnicodeDecodeError as error:
        raise UserError(f'{path} is not UTF-8 text') from error
    if lines and all(line.partition(':')[0].isdigit() and ':' in line for line in lines):
        by_label = {int(label): name.strip() for label, _, name in (line.partition(':') for line in lines)}
        by_label.pop(0, None)
        if sorted(by_label) != list(range(1, len(by_label) + 1)):
            raise UserError(f'{path}: labels are not 1, 2, 3, ... without gaps: {sorted(by_label)}')
        names = [by_label[label] for label in sorted(by_label)]
    else:
        names = [line for line in lines if line != 'background']
    if not names:
        raise UserError(f'{path} names no classes')
    if len(set(names)) < len(names):
        raise UserError(f"{path} names a class twice: {', '.join(sorted(n for n in set(names) if names.count(n) > 1))}")
    return names


def read_info(folder):
    """The content of dataset.json, or None where there is none (records of other converters)."""
    facts = read_json(os.path.join(folder, INFO_FILE), 'convert the data anew')
    if facts is not None and not (isinstance(facts, dict) and {'name', 'classes', 'splits'} <= facts.keys()):
        raise UserError(f'{os.path.join(folder, INFO_FILE)} is none of this project; convert the data anew')
    return facts


def write_split(folder, name, classes, split, shards, source_ids=None, **more):
    """Adds a split to dataset.json.

    shards: file name -> number of examples. source_ids: what the source calls each class, a list of int in the order of
    `classes`, or None. more: further facts of the split.
    """
    facts = read_info(folder) or {'name': name, 'classes': list(classes), 'splits': {}}
    if source_ids:
        facts['source_ids'] = list(source_ids)
    facts['splits'][split] = {'examples': sum(shards.values()), 'shards': shards, **more}
    write_json(os.path.join(folder, INFO_FILE), facts)

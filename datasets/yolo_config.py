"""The files of a YOLO folder that name its classes and its splits.

These are any YAML with an entry `names`, Darknet's `obj.data` and `obj.names` (also of CVAT's
"YOLO 1.1"), `classes.txt` (labelImg, Label Studio), `_darknet.labels` (Roboflow), and lists of
images such as `train.txt`. All paths in these files are searched for in the folder of the dataset.
"""
import glob
import os
import re
from typing import NamedTuple

from common.errors import UserError
from datasets import class_lists, file_names, images, splits

_YAML_FILES = ('data.yaml', 'data.yml', 'dataset.yaml')
_CLASS_FILES = ('classes.txt', 'labels/classes.txt', 'labels/train/classes.txt', 'obj.names',
                '*.names', '*/classes.txt', '*/labels/classes.txt', '*/_darknet.labels')
_SPLIT_KEYS = ('train', 'val', 'valid', 'test')


class YoloConfig(NamedTuple):
    """What the files of a YOLO folder say about it."""
    names: dict           # class number -> name, a background included
    path: str             # of the file that names the classes
    split_paths: dict     # split -> list of paths of folders or lists of images, or {}
    num_keypoint_values: int   # numbers that follow the box in each line
    notes: list           # of (key of `check_report.PROBLEMS`, text)


def looks_like_yolo(folder):
    """Return whether a folder has one of the files that name the classes."""
    class_files = [path for path in _find_class_files(folder)
                   if os.path.dirname(path) == folder.rstrip('/') or _is_beside_texts(path)]
    return bool(find_yaml(folder) or class_files or _find_data(folder))


def read_config(folder):
    """Read the files of a folder that name classes and splits as `YoloConfig`.

    Raises:
        UserError: If a file is invalid, no file names the classes, or their number is another one.
    """
    yaml_path = find_yaml(folder)
    data_path = _find_data(folder)
    config, config_path = {}, yaml_path or data_path
    if config_path:
        config = class_lists.read_yaml(yaml_path) if yaml_path else _read_data(data_path)
    class_files = _find_class_files(folder)
    if yaml_path and 'names' in config:
        names, path = parse_names(
            yaml_path, class_lists.parse_yaml_names(yaml_path, config['names'])), yaml_path
    else:
        named = file_names.find(str(config.get('names', '')), [folder], folder)
        class_files = list(dict.fromkeys([*([named] if named else ()), *class_files]))
        if not class_files:
            raise UserError(f'{folder} has no list of classes. Add a classes.txt with one class '
                            f"name per line, or a data.yaml with an entry 'names:'")
        path = class_files[0]
        names = parse_names(path, class_lists.read(path))
    count = str(config.get('nc', config.get('classes')))
    if re.fullmatch('[0-9]{1,9}', count) and int(count) != len(names):
        raise UserError(f'{config_path} says that there are {count} classes, but {path} names '
                        f'{len(names)}. Correct one of them')
    split_paths, notes = _find_splits(folder, config, config_path)
    notes += _other_class_files(path, names, class_files)
    return YoloConfig(names, path, split_paths, _num_keypoint_values(config), notes)


def find_yaml(folder):
    """Return the path of the YAML that names the classes, or None."""
    known = next(filter(os.path.isfile, _glob(folder, _YAML_FILES)), None)
    return known or next(filter(_has_names, _glob(folder, ['*.yaml', '*.yml'])), None)


def parse_names(path, entries):
    """Return {class number: name} of the entries of a class list."""
    parsed = {index if number is None else number: name
              for index, (number, name) in enumerate(entries)}
    if not all(parsed.values()) or len(parsed) < len(entries) or (
            len(set(parsed.values())) < len(parsed)):
        raise UserError(f'{path} has no class names, an empty one, or a duplicate. Correct it')
    return parsed


def _glob(folder, patterns):
    """Return the paths in a folder that match one of the patterns, in their order."""
    return list(dict.fromkeys(
        path for pattern in patterns
        for path in sorted(glob.glob(os.path.join(glob.escape(folder), pattern)))))


def _has_names(path):
    """Return whether a file is a YAML with an entry `names`; other YAML files are ignored."""
    try:
        return os.path.isfile(path) and 'names' in class_lists.read_yaml(path)
    except UserError:
        return False


def _find_class_files(folder):
    return list(filter(os.path.isfile, _glob(folder, _CLASS_FILES)))


def _is_beside_texts(path):
    """Return whether there are other texts in the folder of a file."""
    return any(other != path for other in _glob(os.path.dirname(path), ['*.txt']))


def _find_data(folder):
    """Return the path of Darknet's `obj.data`, of any name, or None."""
    def has_names(path):
        try:
            return os.path.isfile(path) and 'names' in _read_data(path)
        except UserError:
            return False
    return next(filter(has_names, _glob(folder, ['obj.data', '*.data'])), None)


def _read_data(path):
    """Return the lines `key = value` of a Darknet `obj.data` as a dict."""
    lines = class_lists.read_text(path).split('\n')
    pairs = [line.partition('=') for line in lines if '=' in line]
    return {key.strip(): value.strip() for key, _, value in pairs}


def _num_keypoint_values(config):
    """Return the number of values after each box that `kpt_shape` declares; 0 without it."""
    shape = config.get('kpt_shape')
    if not (isinstance(shape, list) and len(shape) == 2
            and all(isinstance(text, str) and re.fullmatch('[0-9]{1,4}', text) for text in shape)):
        return 0
    return int(shape[0]) * int(shape[1])


def _find_splits(folder, config, config_path):
    """Return {split: paths of folders or lists}, and notes of paths that do not exist."""
    paths, notes = {}, []
    for split in _SPLIT_KEYS:
        values = config.get(split) or []
        values = values if isinstance(values, list) else [values]
        if not all(isinstance(value, str) for value in values):
            raise UserError(f"{config_path}: '{split}' is not a path or a list of paths. Correct "
                            f'it')
        base = str(config.get('path', ''))
        matches = {value: _find_images(folder, base, value) for value in values}
        notes += [('unused', f"{config_path}: the images of '{split}' ({value[:200]}) are not in "
                             f'{folder}') for value, path in matches.items() if not path]
        paths[split] = list(filter(None, matches.values()))
    paths = {split: values for split, values in paths.items() if values}
    return paths or _find_lists(folder), notes


def _find_images(folder, base, value):
    """Return the folder or list that a `data.yaml` calls `value`, or None.

    Roboflow writes ../train/images for the folder train/images beside the data.yaml, and other
    tools absolute paths. The last part of an absolute path counts only if it is a name of a split:
    'images' could be the folder of all splits.
    """
    parts = file_names.split_parts(value)
    is_specific = value.endswith('.txt') or (
        parts and splits.is_split_name(os.path.splitext(parts[-1])[0]))
    ends = ['/'.join(parts[start:]) for start in range(1, len(parts) if is_specific
                                                       else len(parts) - 1)]
    for candidate in (os.path.join(base, value), value, value.removeprefix('../'), *ends):
        path = file_names.join_inside(folder, folder, candidate)
        if path and os.path.exists(path):
            return path
    return None


def _find_lists(folder):
    """Return {split: [path]} of the lists of images in a folder, such as train.txt."""
    paths = {os.path.splitext(os.path.basename(path))[0]: path
             for path in _glob(folder, ['*.txt']) if os.path.isfile(path)}
    return {name: [path] for name, path in paths.items()
            if splits.is_split_name(name) and is_list(path)}


def is_list(path):
    """Return whether the first line of a text file is the path of an image."""
    with open(path, 'rb') as file:
        line = file.readline(4096).decode(errors='replace').strip('\ufeff \t\r\n')
    return line.lower().endswith(images.EXTENSIONS)


def _other_class_files(path, names, class_files):
    """Return notes of class files that contradict the one that is used."""
    notes = []
    for other in class_files:
        try:
            other_names = parse_names(other, class_lists.read(other)) if other != path else names
        except UserError as error:
            notes.append(('unused', str(error)))
            continue
        if other_names != names:
            notes.append(('unused', f'{other} names other classes ({_shorten(other_names)}) than '
                                    f'{path} ({_shorten(names)}), which is used'))
    return notes


def _shorten(names):
    return ', '.join(names[number] for number in sorted(names))[:100]

"""YOLO text: a file `class cx cy w h` for each picture, all but the class shares of the picture's sides.

Pictures lie in images/<split> and their boxes in labels/<split>, or in <split>/images and <split>/labels, or side by
side; data.yaml or classes.txt names the classes. A picture without a text file has no boxes.
"""
import functools
import os

import yaml

from common.errors import UserError
from datasets import images, splits
from datasets.annotation import BadBox, annotate, relative_box

_YAML = ('data.yaml', 'data.yml', 'dataset.yaml')
_CLASSES = ('classes.txt', 'labels/classes.txt', 'labels/train/classes.txt', 'obj.names')
_SPLITS = ('train', 'val', 'valid', 'test')   # keys of a data.yaml


class YoloSource:
    """A folder of YOLO text, as a source; see `datasets.formats.Source`."""
    layout = 'YOLO (data.yaml or classes.txt, images/<split>/, labels/<split>/)'
    ordered = True

    def __init__(self, folder):
        self._folder = folder
        self._yaml = next((path for path in _paths(folder, _YAML) if os.path.isfile(path)), None)
        self._said = _read_yaml(self._yaml) if self._yaml else {}
        self._names_path, self._names = self._classes()
        self._splits = self._of_yaml() or self._of_folders()

    @staticmethod
    def recognises(path):
        """Whether it is a folder with a list of classes or a folder of labels as YOLO has them."""
        return os.path.isdir(path) and (any(map(os.path.isfile, _paths(path, (*_YAML, *_CLASSES))))
                                        or any(map(os.path.isdir, _paths(path, ('labels', 'train/labels')))))

    def split_names(self):
        """Those of data.yaml whose pictures are there, or else the folders in images/ or around an images/."""
        return sorted(self._splits)

    def pictures(self, split):
        """Path of the picture in the folder -> function (on_bad_box=None) -> `Annotation`."""
        if split and split not in self._splits:
            raise UserError(f"{self._folder} has no split '{split}'; its splits are: "
                            f"{', '.join(self._splits) or 'none'}")
        places = self._splits[split] if split else _existing(_paths(self._folder, ('images', '')))[:1]
        paths = [path for place in places for path in _pictures(place)]
        if not paths:
            raise UserError(f"{', '.join(places)} holds no picture")
        labels = {path: _label_path(self._folder, path) for path in paths}
        if not any(map(os.path.isfile, labels.values())):
            raise UserError(f'no picture of {", ".join(places)} has a file of boxes: looked for '
                            f'{labels[paths[0]]} and the like')
        return {os.path.relpath(path, self._folder): functools.partial(
            _read_picture, path, labels[path], self._names, self._names_path) for path in paths}

    def class_names(self, splits):
        """Those of data.yaml or classes.txt, in their order."""
        del splits
        return [self._names[number] for number in sorted(self._names)]

    def source_ids(self, splits):
        """YOLO counts from 0, as a list does: nothing to be kept."""
        del splits
        return {}

    def _classes(self):
        """The file that names the classes, and {number: name}."""
        if 'names' in self._said:
            path, names = self._yaml, self._said['names']
        else:
            path = next((path for path in _paths(self._folder, _CLASSES) if os.path.isfile(path)), None)
            if not path:
                raise UserError(f'{self._folder} has no list of classes: put a classes.txt there, with the name of a '
                                f'class in each line, or a data.yaml with names')
            names = list(filter(None, _lines(path)))
        pairs = names.items() if isinstance(names, dict) else enumerate(names if isinstance(names, list) else ())
        try:
            found = {int(number): name.strip() for number, name in pairs}
        except (AttributeError, ValueError) as error:
            raise UserError(f'{path}: names are no list of class names, nor number: name') from error
        if not all(found.values()) or not found or len(set(found.values())) < len(found):
            raise UserError(f'{path} names no class, or one twice, or one without a name')
        return path, found

    def _of_yaml(self):
        """{split: folders or lists of pictures} of data.yaml; those that are not there are left out."""
        base = os.path.join(self._folder, str(self._said.get('path', '')))
        found = {}
        for split in _SPLITS:
            values = self._said.get(split) or ()
            values = [values] if isinstance(values, str) else values
            # Roboflow writes ../train/images for what lies in train/images.
            found[split] = [path for value in values for path in _existing(
                (os.path.join(base, value), os.path.join(self._folder, value),
                 os.path.join(self._folder, value.removeprefix('../'))))[:1]]
        return {split: places for split, places in found.items() if places}

    def _of_folders(self):
        inside, around = os.path.join(self._folder, 'images'), self._folder
        if os.path.isdir(inside):
            found = {name: os.path.join(inside, name) for name in os.listdir(inside) if splits.is_split(name)}
        else:
            found = {name: os.path.join(around, name, 'images') for name in os.listdir(around)}
        return {name: [place] for name, place in found.items() if os.path.isdir(place)}


def _paths(folder, names):
    return [os.path.join(folder, name) for name in names]


def _existing(paths):
    return list(dict.fromkeys(os.path.normpath(path) for path in paths if os.path.exists(path)))


def _read_yaml(path):
    """The content of a data.yaml; every value is text, so that a class may be called `no` or `1`."""
    try:
        with open(path, encoding='utf-8-sig') as file:
            found = yaml.load(file, yaml.BaseLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no YAML ({' '.join(str(error).split())})") from error
    if not isinstance(found, dict):
        raise UserError(f'{path} holds no names: of classes')
    return found


def _lines(path):
    try:
        with open(path, encoding='utf-8-sig') as file:
            return list(map(str.strip, file))
    except UnicodeDecodeError as error:
        raise UserError(f'{path} is not UTF-8 text; save it as such') from error


def _pictures(place):
    """Paths of the pictures in a folder, sorted, or in the order of a list; lines begin at its folder."""
    if os.path.isfile(place):
        return [os.path.normpath(os.path.join(os.path.dirname(place), line)) for line in _lines(place) if line]
    return sorted(os.path.join(folder, name) for folder, _, names in os.walk(place) for name in names
                  if name.lower().endswith(images.EXTENSIONS) and not name.startswith('.'))


def _label_path(folder, path):
    """The file of a picture's boxes: in `labels` where it lies in `images`, or beside it."""
    base, parts = os.path.splitext(path)[0] + '.txt', os.path.relpath(path, folder).split(os.sep)
    if 'images' not in parts or os.path.isfile(base):
        return base
    place = len(parts) - 1 - parts[::-1].index('images')
    return os.path.splitext(os.path.join(folder, *parts[:place], 'labels', *parts[place + 1:]))[0] + '.txt'


def _read_picture(path, label_path, names, names_path, on_bad_box=None):
    """The `Annotation` of a picture; names: {number: class name}, of the file at names_path."""
    jpeg = images.read_jpeg(path)
    lines = enumerate(_lines(label_path), 1) if os.path.isfile(label_path) else ()

    def to_truth(numbered):
        number, line = numbered
        what, values = f'{label_path}, line {number}', line.split()
        try:
            label, cx, cy, width, height = map(float, values)
        except ValueError as error:
            raise BadBox('unreadable', f"{what}: '{line[:60]}' are not the five numbers class cx cy w h") from error
        if label not in names:
            raise BadBox('unknown', f'{what}: class {values[0]} is none of the {len(names)} of {names_path}, which '
                                    f'count from {min(names)}')
        what += f" ('{names[int(label)]}', cx {cx:g}, cy {cy:g}, w {width:g}, h {height:g}, shares from 0 to 1)"
        edges = ((cx - width / 2) * jpeg.width, (cy - height / 2) * jpeg.height,
                 (cx + width / 2) * jpeg.width, (cy + height / 2) * jpeg.height)
        return relative_box(what, edges, jpeg), names[int(label)], False, False
    return annotate(path, jpeg, [line for line in lines if line[1]], to_truth, on_bad_box)

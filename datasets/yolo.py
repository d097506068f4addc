"""YOLO text: one file per image with lines `class cx cy w h`.

The class counts from 0; the center and the size of the box are fractions of the image's width and
height. Images and their text files are in images/<split> and labels/<split>, in <split>/images and
<split>/labels, or in the same folder. The classes are named by data.yaml or classes.txt. An image
without a text file has no boxes.
"""
import functools
import os

import yaml

from common.errors import UserError
from datasets import images, splits
from datasets.annotation import BadBox, make_annotation, relative_box
from datasets.annotation_source import AnnotationSource

_YAML_FILES = ('data.yaml', 'data.yml', 'dataset.yaml')
_CLASS_FILES = ('classes.txt', 'labels/classes.txt', 'labels/train/classes.txt', 'obj.names')
_YAML_SPLITS = ('train', 'val', 'valid', 'test')


class YoloSource(AnnotationSource):
    """A folder of YOLO text."""
    layout = 'YOLO (data.yaml or classes.txt, images/<split>/, labels/<split>/)'
    has_class_order = True

    def __init__(self, folder):
        super().__init__(folder)
        yaml_path = next(filter(os.path.isfile, _join(folder, _YAML_FILES)), None)
        config = _read_yaml(yaml_path) if yaml_path else {}
        if 'names' in config:
            self._classes_path, names = yaml_path, config['names']
        else:
            self._classes_path = _find_class_file(folder)
            names = list(filter(None, _read_lines(self._classes_path)))
        self._names = _parse_names(self._classes_path, names)   # class number -> name
        self._image_paths = (_image_paths_of_yaml(folder, config)
                             or _image_paths_of_folders(folder))   # split -> folders or lists

    @staticmethod
    def matches(path):
        """Return whether the path is a folder with YOLO's class file or labels folder."""
        return os.path.isdir(path) and (
            any(map(os.path.isfile, _join(path, (*_YAML_FILES, *_CLASS_FILES))))
            or any(map(os.path.isdir, _join(path, ('labels', 'train/labels')))))

    def split_names(self):
        """Return the splits of data.yaml whose images exist, or else those of the folder names."""
        return sorted(self._image_paths)

    def image_readers(self, split):
        """Return the images of a split: path relative to the folder -> image reader."""
        if split:
            self._check_split(split)
            folders = self._image_paths[split]
        else:
            folders = _existing(_join(self._folder, ('images', '')))[:1]
        paths = [path for folder in folders for path in _list_images(folder)]
        if not paths:
            raise UserError(f"{', '.join(folders)} contains no images")
        label_paths = {path: _label_path(self._folder, path) for path in paths}
        if not any(map(os.path.isfile, label_paths.values())):
            raise UserError(f"no image in {', '.join(folders)} has a text file with boxes; "
                            f'expected files like {label_paths[paths[0]]}')
        return {os.path.relpath(path, self._folder): functools.partial(
            _read_annotation, path, label_paths[path], self._names, self._classes_path,
            read_image=self.read_image) for path in paths}

    def image_paths(self, split):
        """Return the paths of the images of a split: path relative to the folder -> path."""
        return {name: os.path.join(self._folder, name) for name in self.image_readers(split)}

    def categories(self, split):
        """Return the classes of data.yaml or classes.txt, in their order, without ids."""
        if split:
            self._check_split(split)
        return dict.fromkeys(self._names[number] for number in sorted(self._names))


def _join(folder, names):
    return [os.path.join(folder, name) for name in names]


def _existing(paths):
    return list(dict.fromkeys(os.path.normpath(path) for path in paths if os.path.exists(path)))


def _read_yaml(path):
    """Return the content of a data.yaml as a dict.

    All values are strings, so that a class can be called `no` or `1`.
    """
    try:
        with open(path, encoding='utf-8-sig') as file:
            config = yaml.load(file, yaml.BaseLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid YAML ({' '.join(str(error).split())})") from error
    if not isinstance(config, dict):
        raise UserError(f"{path} has no entry 'names:' with the class names")
    return config


def _read_lines(path):
    """Return the stripped lines of a text file."""
    try:
        with open(path, encoding='utf-8-sig') as file:
            return list(map(str.strip, file))
    except UnicodeDecodeError as error:
        raise UserError(f'{path} is not UTF-8 text. Save it as UTF-8') from error


def _find_class_file(folder):
    path = next(filter(os.path.isfile, _join(folder, _CLASS_FILES)), None)
    if not path:
        raise UserError(f'{folder} has no list of classes. Add a classes.txt with one class name '
                        f"per line, or a data.yaml with an entry 'names:'")
    return path


def _parse_names(path, names):
    """Return {class number: name} from the list or dict of names of a class file."""
    pairs = names.items() if isinstance(names, dict) else enumerate(
        names if isinstance(names, list) else ())
    try:
        parsed = {int(number): name.strip() for number, name in pairs}
    except (AttributeError, ValueError) as error:
        raise UserError(f'{path}: names must be a list of class names, or lines '
                        f"'number: name'") from error
    if not all(parsed.values()) or not parsed or len(set(parsed.values())) < len(parsed):
        raise UserError(f'{path} has no class names, an empty one, or a duplicate. Correct it')
    return parsed


def _image_paths_of_yaml(folder, config):
    """Return {split: folders or lists of images} of data.yaml, without paths that do not exist."""
    base = os.path.join(folder, str(config.get('path', '')))
    paths = {}
    for split in _YAML_SPLITS:
        values = config.get(split) or ()
        values = [values] if isinstance(values, str) else values
        # Roboflow writes ../train/images for the folder train/images beside the data.yaml.
        paths[split] = [path for value in values for path in _existing(
            (os.path.join(base, value), os.path.join(folder, value),
             os.path.join(folder, value.removeprefix('../'))))[:1]]
    return {split: values for split, values in paths.items() if values}


def _image_paths_of_folders(folder):
    """Return {split: [folder]} of the folders images/<split>, or <split>/images."""
    images_folder = os.path.join(folder, 'images')
    if os.path.isdir(images_folder):
        folders = {name: os.path.join(images_folder, name) for name in os.listdir(images_folder)
                   if splits.is_split_name(name)}
    else:
        folders = {name: os.path.join(folder, name, 'images') for name in os.listdir(folder)}
    return {split: [path] for split, path in folders.items() if os.path.isdir(path)}


def _list_images(path):
    """Return the paths of the images in a folder, sorted, or in a list, in its order.

    Relative paths in a list are relative to the folder of the list.
    """
    if os.path.isfile(path):
        base = os.path.dirname(path)
        return [os.path.normpath(os.path.join(base, line)) for line in _read_lines(path) if line]
    return sorted(
        os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names
        if name.lower().endswith(images.EXTENSIONS) and not name.startswith('.'))


def _label_path(folder, image_path):
    """Return the path of an image's text file.

    It is in `labels` if the image is in `images`, unless there is one beside the image.
    """
    beside = os.path.splitext(image_path)[0] + '.txt'
    parts = os.path.relpath(image_path, folder).split(os.sep)
    if 'images' not in parts or os.path.isfile(beside):
        return beside
    last = len(parts) - 1 - parts[::-1].index('images')
    path = os.path.join(folder, *parts[:last], 'labels', *parts[last + 1:])
    return os.path.splitext(path)[0] + '.txt'


def _read_annotation(path, label_path, names, classes_path, on_bad_box=None,
                     read_image=images.read_jpeg):
    """Read one image and its text file as `Annotation`.

    Args:
        path: Path of the image.
        label_path: Path of the text file, which may not exist.
        names: {class number: name}.
        classes_path: File that names the classes, for error messages.
        on_bad_box: Function (BadBox), called for each box that is skipped. None: raise the error.
        read_image: Function from a path to an `images.EncodedImage`.
    """
    jpeg = read_image(path)
    lines = enumerate(_read_lines(label_path), 1) if os.path.isfile(label_path) else ()

    def parse_object(numbered_line):
        number, line = numbered_line
        location, values = f'{label_path}, line {number}', line.split()
        try:
            label, cx, cy, width, height = map(float, values)
        except ValueError as error:
            raise BadBox('unreadable', f"{location}: expected five numbers class cx cy w h, but "
                                       f"the line is '{line[:60]}'") from error
        if label not in names:
            raise BadBox('unknown', f'{location}: class {values[0]} is not among the {len(names)} '
                                    f'classes of {classes_path}, which count from {min(names)}')
        name = names[int(label)]
        description = (f"{location}: the box of a '{name}' (cx {cx:g}, cy {cy:g}, w {width:g}, "
                       f'h {height:g}, as fractions of the image)')
        corners = ((cx - width / 2) * jpeg.width, (cy - height / 2) * jpeg.height,
                   (cx + width / 2) * jpeg.width, (cy + height / 2) * jpeg.height)
        return relative_box(description, corners, jpeg), name, False, False
    return make_annotation(path, jpeg, [line for line in lines if line[1]], parse_object,
                           on_bad_box)

"""YOLO text: one file per image with lines `class cx cy w h`.

The class counts from 0; the center and the size of the box are fractions of the image's width and
height. A line `class x1 y1 x2 y2 x3 y3 ...` is an outline, and its box is the one around it. Images
and their text files are in images/<split> and labels/<split>, in <split>/images and <split>/labels,
or in the same folder. `datasets.yolo_config` reads the files that name classes and splits. An image
without a text file has no boxes.
"""
import collections
import functools
import os

from common.errors import UserError
from datasets import class_lists, file_names, images, splits, yolo_config, yolo_lines
from datasets.annotation_source import AnnotationSource

_MAX_LIST_BYTES = 1 << 28   # of a list of images


class YoloSource(AnnotationSource):
    """A folder of YOLO text."""
    layout = 'YOLO (data.yaml or classes.txt, images/<split>/, labels/<split>/)'
    has_class_order = True

    def __init__(self, folder):
        super().__init__(folder)
        self._config = yolo_config.read_config(folder)
        self._image_paths = (self._config.split_paths   # split -> folders or lists
                             or _image_paths_of_folders(folder))
        if len(self._image_paths) == 1:   # CVAT's name of images that are not split is `train`
            self._only_split, = self._image_paths
        self._list_images = functools.cache(self._list_images)
        self._texts_of_folder = functools.cache(_texts_of_folder)

    @staticmethod
    def matches(path):
        """Return whether the path is a folder with YOLO's class file or labels folder."""
        return os.path.isdir(path) and (
            yolo_config.looks_like_yolo(path)
            or any(os.path.isdir(os.path.join(path, name)) for name in ('labels', 'train/labels')))

    def split_names(self):
        """Return the splits of data.yaml whose images exist, or else those of lists or folders."""
        return sorted(self._image_paths)

    def image_readers(self, split):
        """Return the images of a split: path relative to the folder -> image reader."""
        paths, _ = self._list_images(split)
        if not paths:
            raise UserError(f"{', '.join(self._locations(split))} contains no images")
        label_paths = {path: self._label_path(path) for path in paths}
        if not any(map(os.path.lexists, label_paths.values())):
            raise UserError(f"no image in {', '.join(self._locations(split))} has a text file with "
                            f'boxes; expected files like {label_paths[paths[0]]}')
        return {os.path.relpath(path, self._folder): functools.partial(
            yolo_lines.read_annotation, path, label_paths[path], self._config,
            read_image=self.read_image) for path in paths}

    def image_paths(self, split):
        """Return the paths of the images of a split: path relative to the folder -> path."""
        return {os.path.relpath(path, self._folder): path for path in self._list_images(split)[0]}

    def categories(self, split):
        """Return the classes of data.yaml or classes.txt, in their order, without ids."""
        if split:
            self._check_split(split)
        names = self._config.names
        return dict.fromkeys(names[number] for number in sorted(names)
                             if not class_lists.is_background(names[number]))

    def notes(self, split):
        """Return texts that several images share; with the first split, what no split uses."""
        paths, notes = self._list_images(split)
        images_of_text = collections.defaultdict(list)
        for path in paths:
            images_of_text[self._label_path(path)].append(path)
        shared = [('shared', f"{text} is the text of {', '.join(sharing)}")
                  for text, sharing in images_of_text.items()
                  if len(sharing) > 1 and os.path.lexists(text)]
        if split in (None, *self.split_names()[:1]):
            notes = [*notes, *self._config.notes, *self._unused_files()]
        return [*notes, *shared]

    def _locations(self, split):
        """Return the folders and lists that name the images of a split, or of all images."""
        if split:
            self._check_split(split)
            return self._image_paths[split]
        if self.whole_split():
            return self._image_paths[self.whole_split()]
        folder = os.path.join(self._folder, 'images')
        return [os.path.normpath(folder if os.path.isdir(folder) else self._folder)]

    def _list_images(self, split):
        """Return the paths of the images of a split without duplicates, and a list of notes."""
        entries, notes = {}, []   # path -> parts of the line of a list that names it, or None
        for location in self._locations(split):
            if not os.path.isfile(location):
                entries.update(dict.fromkeys(_images_in_folder(location)))
                continue
            lines = class_lists.read_text(location, _MAX_LIST_BYTES).split('\n')
            for line in filter(None, map(str.strip, lines)):
                path, parts = self._find_listed(location, line), file_names.split_parts(line)
                if entries.setdefault(path, parts) not in (None, parts):
                    raise UserError(f"{location} lists '{line}' and '{'/'.join(entries[path])}', "
                                    f'but both are the file {path}. List each image once')
                if entries[path] is not parts:
                    notes.append(('unused', f"{location} lists '{line}' more than once"))
        return list(entries), notes

    def _find_listed(self, list_path, line):
        """Return the path of an image in a list, whose paths may be those of another machine."""
        folders = [os.path.dirname(list_path), self._folder]
        path = (file_names.find(line, folders, self._folder)
                or file_names.join_inside(self._folder, folders[0], line))
        if not path:
            raise UserError(f"{list_path} refers to the image '{line[:200]}', which is missing in "
                            f'{self._folder}. Add it, or correct its name')
        return path

    def _label_path(self, image_path):
        """Return the path of an image's text file, which may not exist.

        It is in `labels` if the image is in `images`, unless there is one beside the image. Its
        name may be URL-encoded.
        """
        stem = os.path.splitext(image_path)[0]
        parts = os.path.relpath(stem, self._folder).split(os.sep)
        candidates = [stem + '.txt']
        if 'images' in parts:
            last = len(parts) - 1 - parts[::-1].index('images')
            candidates.append(os.path.join(
                self._folder, *parts[:last], 'labels', *parts[last + 1:]) + '.txt')
        for candidate in candidates:
            if os.path.lexists(candidate):
                return candidate
            folder, name = os.path.split(candidate.removesuffix('.txt'))
            texts = self._texts_of_folder(folder).get(file_names.canonical(name), ())
            if len(texts) == 1:
                return os.path.join(folder, texts[0])
        return candidates[-1]

    def _unused_files(self):
        """Return notes of the images of no split, and of the texts of no image."""
        paths = [path for split in self.split_names() or [None]
                 for path in self._list_images(split)[0]]
        used = set(map(os.path.normpath, (*paths, *map(self._label_path, paths))))
        label_folders = {os.path.dirname(path) for path in used if path.endswith('.txt')}
        notes = []
        for folder, _, names in sorted(os.walk(self._folder)):
            for path in (os.path.normpath(os.path.join(folder, name)) for name in sorted(names)):
                if path in used or os.path.basename(path).startswith('.'):
                    continue
                if path.lower().endswith(images.EXTENSIONS):
                    notes.append(('unused', f'{path} is an image of no split'))
                elif path.endswith('.txt') and yolo_lines.is_label_text(
                        path, os.path.dirname(path) in label_folders):
                    notes.append(('unused', f'{path} is the text of no image'))
        return notes


def _image_paths_of_folders(folder):
    """Return {split: [folder]} of images/<split>, <split>/images, or <split> with images in it."""
    names = sorted(name for name in os.listdir(folder) if os.path.isdir(os.path.join(folder, name)))
    if 'images' in names:
        images_folder = os.path.join(folder, 'images')
        folders = {name: os.path.join(images_folder, name) for name in os.listdir(images_folder)
                   if splits.is_split_name(name)}
    else:
        folders = {name: os.path.join(folder, name, 'images') for name in names}
        if not any(map(os.path.isdir, folders.values())):
            folders = {name: os.path.join(folder, name) for name in names
                       if splits.is_split_name(name) and _images_in_folder(f'{folder}/{name}')}
    return {split: [path] for split, path in folders.items() if os.path.isdir(path)}


def _images_in_folder(path):
    """Return the sorted paths of the images in a folder and its subfolders."""
    return sorted(
        os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names
        if name.lower().endswith(images.EXTENSIONS) and not name.startswith('.'))


def _texts_of_folder(folder):
    """Return the texts in a folder: canonical name without extension -> list of file names."""
    texts = collections.defaultdict(list)
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        stem, extension = os.path.splitext(name)
        if extension.lower() == '.txt':
            texts[file_names.canonical(stem)].append(name)
    return texts

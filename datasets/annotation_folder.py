"""Common part of the formats with one annotation file per image: VOC XML and labelme JSON.

The annotation files are beside their images or in folders of their own, in sub-folders of any
depth. Folders with names such as `train` and `valid` are splits.
"""
import abc
import collections
import functools
import os

from tqdm import tqdm

from common.errors import UserError
from datasets import images, splits
from datasets.annotation_source import AnnotationSource
from datasets.image_index import ImageIndex, MissingImage, list_files, path_key

_MAX_TRIED_FILES = 20   # to detect the format
_MAX_PATH_LENGTH = 1000


class AnnotationFolder(AnnotationSource):
    """A folder with one annotation file per image.

    The identifier of an image is the path of its annotation file relative to the folder, without
    extension and without folders that are only called after their content, such as `Annotations`.

    Attributes:
        extension: Extension of the annotation files, in lower case.
        read_annotation: Function (path of the annotation file, path of the image, on_bad_box,
            read_image) that returns an `Annotation`.
    """
    extension = ''
    read_annotation = None

    @classmethod
    def contains(cls, path):
        """Return whether a folder contains, at any depth, an annotation file of this format."""
        names = list_files(path) if os.path.isdir(path) else ()
        paths = [os.path.join(path, name) for name in names if name.lower().endswith(cls.extension)]
        return any(map(cls.is_annotation, paths[:_MAX_TRIED_FILES]))

    @staticmethod
    @abc.abstractmethod
    def is_annotation(path):
        """Return whether a file is an annotation file of this format."""

    @staticmethod
    @abc.abstractmethod
    def read_image_name(path):
        """Return the path of its image that an annotation file has, or ''.

        Raises:
            UserError: If the file is invalid.
        """

    @staticmethod
    @abc.abstractmethod
    def read_class_names(path):
        """Return the names of the classes in an annotation file."""

    def split_names(self):
        """Return the names of the folders that look like splits and have annotations, sorted."""
        return sorted(set(map(split_of_path, self.annotation_paths.values())) - {''})

    def identifiers(self, split):
        """Return the identifiers of a split, or those of all images if the split is None."""
        if split:
            self._check_split(split)
        identifiers = [name for name, path in self.annotation_paths.items()
                       if not split or split_of_path(path) == split]
        if not identifiers:
            raise UserError(f'{self._folder} has no {self.extension} files')
        with_image = [name for name in identifiers
                      if not isinstance(self.image_of.get(name), MissingImage)]
        if not with_image:
            raise self.with_folder(self.image_of[identifiers[0]])
        return with_image

    def image_readers(self, split):
        """Return the images of a split: identifier -> image reader."""
        return {identifier: self.image_reader(identifier)
                for identifier in self.identifiers(split)}

    def image_reader(self, identifier):
        """Return the image reader of an identifier; it raises an error if a file is missing."""
        image = self.image_of[identifier]
        if isinstance(image, UserError):
            return functools.partial(raise_error, self.with_folder(image))
        return functools.partial(
            self.read_annotation, os.path.join(self._folder, self.annotation_paths[identifier]),
            os.path.join(self._folder, image), read_image=self.read_image)

    def image_paths(self, split):
        """Return the paths of the images of a split: identifier -> path."""
        return {identifier: os.path.join(self._folder, self.image_of[identifier])
                for identifier in self.identifiers(split)
                if isinstance(self.image_of.get(identifier), str)}

    def categories(self, split):
        """Return the classes in the annotation files of a split, without ids."""
        identifiers = tqdm(self.identifiers(split), 'classes', unit=' images', delay=2,
                           disable=None)
        names = set()
        for identifier in identifiers:
            if identifier in self.annotation_paths:
                path = os.path.join(self._folder, self.annotation_paths[identifier])
                names.update(self.read_class_names(path))
        return dict.fromkeys(sorted(names - {''}))

    def notes(self, split):
        """Return annotation files without image, and images without annotation file."""
        missing = [str(self.with_folder(image)) for image in self.image_of.values()
                   if isinstance(image, MissingImage)]
        unlabeled = [os.path.join(self._folder, path) + ' has no annotation file'
                     for path in self.image_files if path not in self.used_images]
        outside = [os.path.join(self._folder, path) + ' is in no folder of a split'
                   for path in self.annotation_paths.values()
                   if split and not split_of_path(path)]
        return [('unused', text) for text in (*missing, *unlabeled, *outside)]

    @functools.cached_property
    def files(self):
        """Paths of all files relative to the folder, sorted."""
        return list_files(self._folder)

    @property
    def searched_folders(self):
        """Folders that contain all annotation files and all images: '' or with a final slash."""
        return '', ''

    @functools.cached_property
    def annotation_paths(self):
        """Paths of the annotation files relative to the folder: identifier -> path."""
        folder, _ = self.searched_folders
        paths = [path for path in self.files
                 if path.startswith(folder) and path.lower().endswith(self.extension)]
        counts = collections.Counter(map(path_key, paths))
        return {path_key(path) if counts[path_key(path)] == 1 else os.path.splitext(path)[0]: path
                for path in paths}

    @functools.cached_property
    def image_files(self):
        """Paths of the images relative to the folder, sorted."""
        _, folder = self.searched_folders
        return [path for path in self.files
                if path.startswith(folder) and path.lower().endswith(images.EXTENSIONS)]

    @functools.cached_property
    def image_index(self):
        """The `ImageIndex` of `image_files`."""
        return ImageIndex(self.image_files)

    @property
    def image_of(self):
        """Images of the annotation files: identifier -> relative path, or `UserError`."""
        return self._pairs[0]

    @property
    def used_images(self):
        """Relative paths of the images that belong to annotation files, a set."""
        return self._pairs[1]

    @functools.cached_property
    def _pairs(self):
        return self.image_index.find_all({
            identifier: (path, functools.partial(self._image_name, path))
            for identifier, path in self.annotation_paths.items()})

    def _image_name(self, path):
        """Return what `read_image_name` does for a relative path; '' if the file is invalid."""
        try:
            return self.read_image_name(os.path.join(self._folder, path))[:_MAX_PATH_LENGTH]
        except UserError:
            return ''

    def with_folder(self, error):
        """Return an error of relative paths with the folder in front of its message."""
        return type(error)(os.path.join(self._folder, str(error)))


def split_of_path(path):
    """Return the first folder of a path that is called like a split, or ''."""
    folders = path.split('/')[:-1]
    for is_split in (splits.is_exact_split_name, splits.is_split_name):
        name = next(filter(is_split, folders), None)
        if name:
            return name
    return ''


def note_other_image(path, image_name, image_path):
    """Return notes, a list, if an annotation file names another existing image than its own.

    Args:
        path: Path of the annotation file.
        image_name: Path of the image as the file has it, or ''.
        image_path: Path of the image for which the file is used.
    """
    name = os.path.basename(image_name.replace('\\', '/'))
    other = os.path.join(os.path.dirname(image_path), name)
    if name == os.path.basename(image_path) or '\0' in name or not os.path.isfile(other):
        return []
    return [('doubtful', f'{path} names {other}, but is used for {image_path}')]


def raise_error(error, on_bad_box=None):
    """Raise the error that prevents an image from being read."""
    del on_bad_box
    raise error

"""Common part of the formats with one annotation file per split: COCO JSON and CSV."""
import abc
import collections
import functools
import os

from common.errors import UserError
from datasets import file_names, images
from datasets.annotation_source import AnnotationSource


class SplitFileSource(AnnotationSource):
    """A folder with one annotation file per split, or a single such file.

    Attributes:
        file_type: What such a file is called in error messages.
    """
    file_type = ''

    def __init__(self, path):
        path = os.path.normpath(path)   # paths in the folder are compared
        self._is_single_file = os.path.isfile(path)
        super().__init__(os.path.dirname(path) or '.' if os.path.isfile(path) else path)
        self._files = self.find_files(path)
        if not self._files:
            raise UserError(f'{path} has no {self.file_type} file; expected layout: {self.layout}')
        self._read_file = functools.cache(self.read_file)

    @staticmethod
    @abc.abstractmethod
    def find_files(path):
        """Return the annotation files of a folder or file: {split: path}.

        The key is '' if one file contains images that are not split.
        """

    @staticmethod
    @abc.abstractmethod
    def read_file(path):
        """Return the parsed content of an annotation file."""

    @classmethod
    def matches(cls, path):
        """Return whether the path is, or contains, an annotation file of this format."""
        return bool(cls.find_files(path))

    def split_names(self):
        """Return the names of the splits, from the names of the files or of their folders."""
        return sorted(split for split in self._files if split)

    def load_split(self, split):
        """Return the path and the parsed content of a split's file, which is read only once.

        Args:
            split: Name of the split, or None for the file of images that are not split.
        """
        path = self._files.get(split or '')
        if path is None:
            self._check_split(split)
        return path, self._read_file(path)

    @abc.abstractmethod
    def listed_images(self, split):
        """Return the names of the images in the file of a split."""

    def unlisted_images(self, split):
        """Return texts that name the images which no annotation file lists.

        These are searched for in the folders of the split, or, if it has none and all annotation
        files are read, in the folder that all splits share: `images`, or else the top one without
        its subfolders.
        """
        path = self.load_split(split)[0]
        own = [os.path.join(self._folder, name) for name in (
            (split, os.path.join('images', split)) if split else ())]
        own = list(filter(os.path.isdir, own))
        splits = [split] if own else self.split_names() or [None]
        listed = {file_names.canonical(_base_name(name))
                  for other in splits for name in self.listed_images(other)}
        shared = os.path.join(self._folder, 'images')
        shared = shared if os.path.isdir(shared) else self._folder
        folders = own or ([] if self._is_single_file and split else [shared])
        split_folders = {os.path.join(self._folder, 'images', name) for name in self.split_names()}
        texts, source = [], f'not in {os.path.basename(path)}' if own else 'in no annotation file'
        for top in folders:
            for folder, subfolders, names in os.walk(top):
                subfolders[:] = sorted(name for name in subfolders if top != self._folder
                                       and os.path.join(folder, name) not in split_folders)
                texts += [f'{os.path.join(folder, name)} is {source}'
                          for name in sorted(names)
                          if name.lower().endswith(images.EXTENSIONS) and not name.startswith('.')
                          and file_names.canonical(name) not in listed]
        return texts

    @staticmethod
    def check_distinct(names, folders, source):
        """Check that no two names of images stand for the same file, as after a loss of folders.

        Args:
            names: Names of images as the annotation file has them.
            folders: Folders of the images; see `images.find_image`.
            source: Path of the annotation file, for the error message.

        Raises:
            UserError: If two names do, such as cam1/0001.jpg and cam2/0001.jpg for 0001.jpg.
        """
        names_of_base = collections.defaultdict(list)
        for name in names:
            names_of_base[file_names.canonical(_base_name(name))].append(name)
        name_of_path = {}
        for similar in names_of_base.values():
            for name, path in (images.find_images(similar, folders, source).items()
                               if len(similar) > 1 else ()):
                if name_of_path.setdefault(path, name) != name:
                    raise UserError(f"{source}: the images '{name_of_path[path]}' and '{name}' are "
                                    f'both the file {path}. Restore their folders, or correct the '
                                    f'names')


def _base_name(name):
    """Return the last part of a path with slashes or backslashes."""
    return name.replace('\\', '/').rpartition('/')[2]

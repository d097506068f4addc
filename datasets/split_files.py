"""Common part of the formats with one annotation file per split: COCO JSON and CSV."""
import abc
import functools
import os

from common.errors import UserError
from datasets.annotation_source import AnnotationSource


class SplitFileSource(AnnotationSource):
    """A folder with one annotation file per split, or a single such file.

    Attributes:
        file_type: What such a file is called in error messages.
    """
    file_type = ''

    def __init__(self, path):
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

"""Sources that hold a file for each split: COCO JSON, CSV."""
import functools
import os

from common.errors import UserError


class SplitFiles:
    """A folder with a file for each split, or one such file; the part of a `datasets.formats.Source` that is alike.

    A format says `kind` (what its files are called), `layout`, `find(path)` -> {split: file}, with the split '' where
    nobody has divided the pictures, and `read(path)`, the content of a file.
    """
    kind = layout = ''

    def __init__(self, path):
        self._folder = os.path.dirname(path) or '.' if os.path.isfile(path) else path
        self._files = self.find(path)
        if not self._files:
            raise UserError(f'{path} holds no {self.kind}; {self.layout}')
        self._read = functools.cache(self.read)

    @classmethod
    def recognises(cls, path):
        """Whether it is such a file, or a folder that holds one where tools put it."""
        return bool(cls.find(path))

    def split_names(self):
        """Names of the splits, from those of the files or of their folders."""
        return sorted(split for split in self._files if split)

    def content(self, split):
        """(path of the split's file, what `read` makes of it); of all that is not divided if the split is None."""
        path = self._files.get(split or '')
        if path is None:
            raise UserError(f"{self._folder} has no split '{split}'; its splits are: "
                            f"{', '.join(self.split_names()) or 'none'}")
        return path, self._read(path)

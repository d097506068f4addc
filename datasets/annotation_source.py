"""Interface of the annotation formats."""
import abc

from common.errors import UserError
from datasets import images


class AnnotationSource(abc.ABC):
    """A folder or file of annotated images.

    The classes in `formats.FORMATS` are made from a path, and have a static or class method
    `matches(path)` that returns whether a folder or file looks like this format by the names of
    its files. If none does, `contains(path)` searches the whole folder for annotation files.

    An image reader is a function `read(on_bad_box=None)` that reads one image and returns its
    `Annotation`. It can be pickled. `on_bad_box` is a function (BadBox) that is called for each box
    that is skipped; without it, the first bad box is raised as an error.

    Attributes:
        layout: Description of the format and its file layout, for error messages.
        has_class_order: Whether the source lists its classes in an order. Otherwise they are
            sorted by name.
        unlabeled_readers: None, or a method (split) like `image_readers` whose readers skip the
            annotations, for images whose labels are not public.
        read_image: Function from the path of an image to its `images.EncodedImage`, which the
            image readers call. `formats.open_source` replaces it, to apply EXIF orientations.
    """
    layout = ''
    has_class_order = False
    unlabeled_readers = None

    def __init__(self, folder):
        self._folder = folder
        self.read_image = images.read_jpeg
        self._only_split = None

    @classmethod
    def contains(cls, path):
        """Return whether a folder contains annotation files of this format at any depth."""
        del path
        return False

    @abc.abstractmethod
    def split_names(self):
        """Return the names of the splits, sorted; an empty list if the images are not split."""

    def whole_split(self):
        """Return the only split, if it may hold images that nobody has split, or None.

        `image_readers` and the other methods then take None for it, and it can be split by ratio.
        """
        return self._only_split

    @abc.abstractmethod
    def image_readers(self, split):
        """Return the images of a split as an ordered dict: identifier -> image reader.

        Args:
            split: Name of the split, or None for all images of a source that is not split.

        Raises:
            UserError: If the split does not exist, or is empty or invalid.
        """

    def image_paths(self, split):
        """Return the paths of the images of a split whose files exist: identifier -> path."""
        del split
        return {}

    @abc.abstractmethod
    def categories(self, split):
        """Return the classes of a split as an ordered dict: name -> id in the source, or None."""

    def notes(self, split):
        """Return the parts of a split that are not used or doubtful.

        Examples are annotations of unknown images and images without an annotation file. Problems
        of single images are in `Annotation.notes`.

        Args:
            split: Name of the split, or None for a source that is not split.

        Returns:
            List of (key of `check_report.PROBLEMS`, text with the name of the file).
        """
        del split
        return []

    def class_names(self, splits):
        """Return the class names of several splits: in the order of the source, or sorted."""
        names = dict.fromkeys(name for split in splits for name in self.categories(split))
        return list(names) if self.has_class_order else sorted(names)

    def source_ids(self, splits):
        """Return the ids of the classes in the source: name -> id.

        Classes without an id, or with different ids in different splits, are left out.
        """
        ids = {}
        for split in splits:
            for name, category_id in self.categories(split).items():
                ids.setdefault(name, set()).add(category_id)
        return {name: min(values) for name, values in ids.items()
                if len(values) == 1 and None not in values}

    def _check_split(self, split):
        """Raise `UserError` if the split does not exist."""
        if split not in self.split_names():
            raise UserError(f"{self._folder} has no split '{split}'; its splits are: "
                            f"{', '.join(self.split_names()) or 'none'}")

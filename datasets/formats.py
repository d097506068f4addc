"""Annotated images in any of the known formats: detection of the format, and splits by ratio.

python -m datasets.formats FOLDER SPLIT N [RATIO]      prints the paths of a split's first N images
"""
import functools
import os
import sys

from common.errors import UserError
from datasets import images, splits
from datasets.annotation_source import AnnotationSource
from datasets.coco import CocoSource
from datasets.csv_boxes import CsvSource
from datasets.cvat import CvatSource
from datasets.labelme import LabelmeSource
from datasets.voc import VocSource
from datasets.yolo import YoloSource

# In the order of detection. VOC is first: folders in VOC layout often contain CSV files too. Every
# JSON at the top of a folder looks like COCO by its name.
FORMATS = {'voc': VocSource, 'labelme': LabelmeSource, 'coco': CocoSource, 'yolo': YoloSource,
           'cvat': CvatSource, 'csv': CsvSource}


class RatioSplitSource(AnnotationSource):
    """A source without splits whose images are split by ratio.

    Args:
        source: `AnnotationSource`.
        path: Path of the source, for error messages.
        shares: {split: share}, as returned by `splits.parse_ratio`.
        seed: Seed of `splits.assign_to_splits`.

    Raises:
        UserError: If the source has splits.
    """

    def __init__(self, source, path, shares, seed):
        super().__init__(path)
        if source.split_names() and not source.whole_split():
            names = ', '.join(source.split_names())
            raise UserError(f'{path} has splits already ({names}). Leave out '
                            f'--split_ratio')
        self.has_class_order = source.has_class_order
        self._source, self._shares, self._seed = source, shares, seed
        self._readers = None

    def split_names(self):
        """Return the names of the shares, in their order."""
        return list(self._shares)

    def image_readers(self, split):
        """Return the images of a split: identifier -> image reader."""
        self._check_split(split)
        if self._readers is None:
            readers = self._source.image_readers(None)
            assigned = splits.assign_to_splits(
                readers, self._shares, self._seed,
                splits.find_identical(self._source.image_paths(None)))
            self._readers = {name: {identifier: readers[identifier] for identifier in identifiers}
                             for name, identifiers in assigned.items()}
        return self._readers[split]

    def categories(self, split):
        """Return the classes of the whole source, so that all splits have the same classes."""
        self._check_split(split)
        return self._all_categories

    @functools.cached_property
    def _all_categories(self):
        return self._source.categories(None)

    def notes(self, split):
        """Return the notes of the whole source with its first split."""
        return self._source.notes(None) if split == next(iter(self._shares)) else []

    def _check_split(self, split):
        if split not in self._shares:
            raise UserError(f"--split_ratio defines no split '{split}'; its splits are: "
                            f"{', '.join(self._shares)}")


def open_source(path, format_name='auto', shares=None, seed=0, apply_orientation=False):
    """Return the `AnnotationSource` of a folder or file.

    Args:
        path: Path of the folder or file.
        format_name: Key of `FORMATS`, or 'auto' to detect the format by the names of the files.
        shares: Splits by ratio, as returned by `splits.parse_ratio`, for a source without splits.
        seed: Seed of the splits by ratio.
        apply_orientation: Whether to rotate the images as their EXIF orientation says.

    Raises:
        UserError: If the path does not exist, the format is unknown, or the files are invalid.
    """
    if not os.path.exists(path):
        raise UserError(f'the dataset_dir {path} does not exist. Correct the path')
    if format_name == 'auto':
        classes = ([source for source in FORMATS.values() if source.matches(path)]
                   or [source for source in FORMATS.values() if source.contains(path)])
    else:
        classes = [FORMATS[format_name]]
    if not classes:
        layouts = '; '.join(source.layout for source in FORMATS.values())
        raise UserError(f'{path} has no known format; expected one of {layouts}. Pass --format to '
                        f'choose one')
    source = classes[0](path)
    source.read_image = functools.partial(images.read_jpeg, apply_orientation=apply_orientation)
    return RatioSplitSource(source, path, shares, seed) if shares else source


def require_split_names(source, path):
    """Return the names of the splits of a source; raise `UserError` if it has none."""
    names = source.split_names()
    if not names:
        raise UserError(f'{path} has no splits. Pass --split_ratio=train=0.8,val=0.2, or (in VOC '
                        f'layout) add ImageSets/Main/train.txt with one image name without its '
                        f'extension per line')
    return names


def unlabeled_readers(source, split):
    """Return the images of a split without their boxes: identifier -> image reader.

    Raises:
        UserError: If the format does not support this.
    """
    if source.unlabeled_readers is None:
        raise UserError('--without_labels supports only images in VOC or COCO format with split '
                        'lists. Leave it out')
    return source.unlabeled_readers(split)


def merge_class_names(sources, split_names):
    """Return the class names of several sources, without duplicates.

    They are in the order of the sources if any of them has a class order, or else sorted.
    """
    names = list(dict.fromkeys(
        name for source in sources for name in source.class_names(split_names)))
    return names if any(source.has_class_order for source in sources) else sorted(names)


def merge_source_ids(sources, split_names, class_names):
    """Return the ids of the classes in the sources, a list of int in the order of `class_names`.

    Returns None if one of the classes has no id, or different ids.
    """
    ids = {}
    for source in sources:
        for name, category_id in source.source_ids(split_names).items():
            ids.setdefault(name, set()).add(category_id)
    if any(len(ids.get(name, ())) != 1 for name in class_names):
        return None
    return [min(ids[name]) for name in class_names]


def _print_image_paths(path, split, count, ratio=''):
    """Print the paths of the first images of a split, one per line."""
    source = open_source(path, shares=splits.parse_ratio(ratio) if ratio else None)
    readers = list(source.image_readers(split).values())[:int(count)]
    print('\n'.join(read(lambda _: None).image_path for read in readers))


if __name__ == '__main__':
    if not 4 <= len(sys.argv) <= 5:
        sys.exit(__doc__)
    _print_image_paths(*sys.argv[1:])

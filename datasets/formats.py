"""Annotated pictures on disk, whatever their format: which formats there are, and what a folder holds.

python -m datasets.formats FOLDER SPLIT N [RATIO]      prints the paths of the first N pictures of a split
"""
import os
import sys
from typing import Protocol

from common.errors import UserError
from datasets import coco, csv_boxes, splits, voc, yolo


class Source(Protocol):
    """What the reader of each format is, made from the path of a folder or file."""
    layout: str      # what it looks like, for people
    ordered: bool    # whether it says in which order its classes come

    @staticmethod
    def recognises(path):
        """Whether the folder or file looks like this format."""

    def split_names(self):
        """Names of its splits; none where nobody has divided its pictures."""

    def pictures(self, split):
        """The pictures of a split, of all that is not divided if that is None: a dict, in order.

        Identifier -> function (on_bad_box=None) -> `Annotation`, which can be pickled. on_bad_box: function (BadBox)
        that is told of each box that is left out; without it the first one is raised.
        """

    def class_names(self, splits):
        """Names of the classes of these splits, in its order or sorted."""

    def source_ids(self, splits):
        """Class name -> the number by which the source calls it; {} where it has none."""


# In the order in which they are tried: folders in VOC layout often hold other tables too.
FORMATS = {'voc': voc.VocSource, 'coco': coco.CocoSource, 'yolo': yolo.YoloSource, 'csv': csv_boxes.CsvSource}


class Divided:
    """A `Source` whose pictures nobody had divided, divided by shares."""

    def __init__(self, source, path, shares, seed):
        there = source.split_names()
        if there:
            raise UserError(f"{path} has splits already ({', '.join(there)}); leave --split_ratio out")
        self.ordered = source.ordered
        self._source, self._shares, self._seed = source, shares, seed
        self._found = None

    def split_names(self):
        """Names of the shares."""
        return list(self._shares)

    def pictures(self, split):
        """As the source has them."""
        if split not in self._shares:
            raise UserError(f"--split_ratio makes no split '{split}', but {', '.join(self._shares)}")
        if self._found is None:
            there = self._source.pictures(None)
            self._found = {name: {identifier: there[identifier] for identifier in identifiers}
                           for name, identifiers in splits.divide(there, self._shares, self._seed).items()}
        return self._found[split]

    def class_names(self, names):
        """Those of all shares, whichever are asked for: each must count the same classes."""
        del names
        return self._source.class_names([None])

    def source_ids(self, names):
        """Likewise."""
        del names
        return self._source.source_ids([None])


def find(path, name='auto', shares=None, seed=0):
    """The `Source` at a path. name: a key of `FORMATS`, or 'auto'. shares: as of `splits.parse_ratio`, or None."""
    if not os.path.exists(path):
        raise UserError(f'the dataset_dir {path} does not exist')
    kinds = [kind for kind in FORMATS.values() if kind.recognises(path)] if name == 'auto' else [FORMATS[name]]
    if not kinds:
        raise UserError(f"{path} holds nothing of a known format: {'; '.join(k.layout for k in FORMATS.values())}; "
                        f'--format names one')
    source = kinds[0](path)
    return Divided(source, path, shares, seed) if shares else source


def split_names(source, path):
    """The splits of a source; UserError where it has none."""
    there = source.split_names()
    if not there:
        raise UserError(f'{path} has no split lists: pass --split_ratio=train=0.8,val=0.2, or (in VOC layout) put a '
                        f'train.txt into ImageSets/Main, with the name of a picture without its extension in each line')
    return there


def unlabelled(source, split):
    """The pictures of a split, as `Source.pictures` has them, without their boxes; UserError where a source has none.
    """
    if not hasattr(source, 'unlabelled'):
        raise UserError('--without_labels is for pictures in the layout of VOC or of COCO with a split list; leave it '
                        'out')
    return source.unlabelled(split)


def class_names(sources, names):
    """Classes of several sources as one list: in the order of those that have one, or sorted."""
    found = list(dict.fromkeys(name for source in sources for name in source.class_names(names)))
    return found if any(source.ordered for source in sources) else sorted(found)


def source_ids(sources, names, classes):
    """What the sources call each of these classes, a list of int; None where one has no number, or two."""
    found = {}
    for source in sources:
        for name, number in source.source_ids(names).items():
            found.setdefault(name, set()).add(number)
    if any(len(found.get(name, ())) != 1 for name in classes):
        return None
    return [min(found[name]) for name in classes]


def _paths(path, split, count, ratio=''):
    source = find(path, shares=splits.parse_ratio(ratio) if ratio else None)
    return [read(lambda _: None).image_path for read in list(source.pictures(split).values())[:int(count)]]


if __name__ == '__main__':
    if not 4 <= len(sys.argv) <= 5:
        sys.exit(__doc__)
    print('\n'.join(_paths(*sys.argv[1:])))

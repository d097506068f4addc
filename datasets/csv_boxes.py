"""CSV of boxes: a line `image,xmin,ymin,xmax,ymax,class` for each, in pixels from the outer corner of the first pixel.

A first line may name the columns, in any order. A line without box and class is a picture without boxes.
"""
import csv
import functools
import glob
import os
import re

from common.errors import UserError
from datasets import images, splits
from datasets.annotation import BadBox, annotate, relative_box
from datasets.split_files import SplitFiles

COLUMNS = ('image', 'xmin', 'ymin', 'xmax', 'ymax', 'class')
_ALSO = {'image': ('filename', 'file_name', 'image_path', 'path', 'file', 'img'), 'xmin': ('x1', 'x_min', 'left'),
         'ymin': ('y1', 'y_min', 'top'), 'xmax': ('x2', 'x_max', 'right'), 'ymax': ('y2', 'y_max', 'bottom'),
         'class': ('class_name', 'label', 'name', 'category')}
_ROBOFLOW = '_annotations.csv'   # one in the folder of each split


class CsvSource(SplitFiles):
    """A folder with a CSV for each split, or one such file, as a source; see `datasets.formats.Source`."""
    kind = '.csv'
    layout = 'CSV (<split>.csv with image,xmin,ymin,xmax,ymax,class)'
    ordered = False

    @staticmethod
    def find(path):
        """{split: CSV}, the split '' where nobody has divided the pictures; {} where there are none."""
        if os.path.isfile(path):
            return splits.by_name([path] if path.endswith('.csv') else [])
        return splits.by_folder(path, _ROBOFLOW) or splits.by_name(
            [name for name in glob.glob(os.path.join(glob.escape(path), '*.csv'))
             if os.path.basename(name) not in ('classes.csv', 'class.csv')])   # which name classes alone

    @staticmethod
    def read(path):
        """{name of a picture: list of (line number, four coordinates as text, class)}, in the order of the file."""
        found = {}
        try:
            with open(path, encoding='utf-8-sig', newline='') as file:
                rows = csv.reader(file)
                places, titled = None, False
                for row in rows:
                    if not row:
                        continue
                    if places is None:
                        places, titled = _order(path, row)
                        if titled:
                            continue
                    if len(row) <= max(places) or (not titled and len(row) != len(COLUMNS)):
                        raise UserError(f'{path}, line {rows.line_num}: {len(row)} values where '
                                        f"{'the first line has more' if titled else ','.join(COLUMNS)}; correct it")
                    image, *box, name = (row[place].strip() for place in places)
                    if not image:
                        raise UserError(f'{path}, line {rows.line_num} names no picture; correct or remove it')
                    boxes = found.setdefault(image, [])
                    if any(box) or name:
                        boxes.append((rows.line_num, box, name))
        except (OSError, csv.Error, UnicodeDecodeError) as error:
            raise UserError(f'{path} cannot be read as UTF-8 text of values with commas ({error})') from error
        if not found:
            raise UserError(f'{path} lists no pictures')
        return found

    def pictures(self, split):
        """Name of the picture -> function (on_bad_box=None) -> `Annotation`."""
        path, rows = self.content(split)
        folders = [os.path.dirname(path) or '.', *(os.path.join(self._folder, name) for name in (
            (split, os.path.join('images', split)) if split else ()) + ('images', ''))]
        folders = list(filter(os.path.isdir, dict.fromkeys(map(os.path.normpath, folders))))
        return {name: functools.partial(_read_picture, path, folders, name, boxes) for name, boxes in rows.items()}

    def class_names(self, splits):
        """Classes that stand in the files of these splits, sorted."""
        found = {name for split in splits for boxes in self.content(split)[1].values() for _, _, name in boxes}
        return sorted(found - {''})

    def source_ids(self, splits):
        """A CSV has none."""
        del splits
        return {}


def _order(path, first):
    """Where `COLUMNS` stand, and whether the first line only names them."""
    if len(first) == len(COLUMNS) and all(map(_is_number, first[1:5])):
        return range(len(COLUMNS)), False
    titles = [cell.strip().lower() for cell in first]
    places = [next((titles.index(title) for title in (name, *_ALSO[name]) if title in titles), None)
              for name in COLUMNS]
    if None in places:
        raise UserError(f"{path}, line 1: '{','.join(first)[:80]}' is neither a box nor a line like "
                        f"{','.join(COLUMNS)}; correct it")
    return places, True


def _is_number(cell):
    """Or nothing, which stands for no box."""
    return not cell.strip() or re.fullmatch(r'[-+\d.eE]+', cell.strip())


def _read_picture(path, folders, name, boxes, on_bad_box=None):
    """The `Annotation` of a picture."""
    image_path = images.find_image(name, folders, path)
    jpeg = images.read_jpeg(image_path)

    def to_truth(row):
        number, values, label = row
        what = f"{path}, line {number}: the box of a '{label}' in {name}"
        try:
            edges = tuple(map(float, values))
        except ValueError as error:
            raise BadBox('unreadable', f'{what} has a missing or unreadable coordinate') from error
        if not label:
            raise BadBox('unreadable', f'{path}, line {number}: a box in {name} has no class')
        what += ' (xmin {:g}, ymin {:g}, xmax {:g}, ymax {:g})'.format(*edges)
        return relative_box(what, edges, jpeg), label, False, False
    return annotate(image_path, jpeg, boxes, to_truth, on_bad_box)

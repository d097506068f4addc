"""CSV of boxes: one line `image,xmin,ymin,xmax,ymax,class` per box.

Coordinates are in pixels, measured from the outer corner of the first pixel. The first line may be
a header, with the columns in any order. A line without coordinates and class is an image without
boxes.
"""
import csv
import functools
import glob
import os
import re

from common.errors import UserError
from datasets import images, splits
from datasets.annotation import BadBox, make_annotation, relative_box
from datasets.split_files import SplitFileSource

COLUMNS = ('image', 'xmin', 'ymin', 'xmax', 'ymax', 'class')
_SYNONYMS = {'image': ('filename', 'file_name', 'image_path', 'path', 'file', 'img'),
             'xmin': ('x1', 'x_min', 'left'), 'ymin': ('y1', 'y_min', 'top'),
             'xmax': ('x2', 'x_max', 'right'), 'ymax': ('y2', 'y_max', 'bottom'),
             'class': ('class_name', 'label', 'name', 'category')}
_ROBOFLOW_FILE = '_annotations.csv'   # one in the folder of each split
_CLASS_LISTS = ('classes.csv', 'class.csv')


class CsvSource(SplitFileSource):
    """A folder with one CSV per split, or a single CSV."""
    file_type = '.csv'
    layout = 'CSV (<split>.csv with image,xmin,ymin,xmax,ymax,class)'

    @staticmethod
    def find_files(path):
        """Return the CSV files of a folder or file; see `SplitFileSource.find_files`."""
        if os.path.isfile(path):
            return splits.files_by_name([path] if path.endswith('.csv') else [])
        return splits.files_by_folder(path, _ROBOFLOW_FILE) or splits.files_by_name([
            file for file in glob.glob(os.path.join(glob.escape(path), '*.csv'))
            if os.path.basename(file) not in _CLASS_LISTS])

    @staticmethod
    def read_file(path):
        """Read a CSV.

        Returns:
            {name of the image: list of (line number, list of four coordinates as text, class)}, in
            the order of the file.

        Raises:
            UserError: If the file cannot be read or parsed, or has no images.
        """
        boxes_of_image = {}
        try:
            with open(path, encoding='utf-8-sig', newline='') as file:
                for line, image, corners, name in _parse_rows(path, csv.reader(file)):
                    boxes = boxes_of_image.setdefault(image, [])
                    if any(corners) or name:
                        boxes.append((line, corners, name))
        except (OSError, csv.Error, UnicodeDecodeError) as error:
            raise UserError(f'{path} cannot be read as UTF-8 text with comma-separated values '
                            f'({error})') from error
        if not boxes_of_image:
            raise UserError(f'{path} lists no images. Add a row per box below the header')
        return boxes_of_image

    def image_readers(self, split):
        """Return the images of a split: name in the CSV -> image reader."""
        path, boxes_of_image = self.load_split(split)
        folders = self._image_folders(split, path)
        return {name: functools.partial(
            _read_annotation, path, folders, name, boxes, read_image=self.read_image)
                for name, boxes in boxes_of_image.items()}

    def image_paths(self, split):
        """Return the paths of the images of a split whose files exist: name in the CSV -> path."""
        path, boxes_of_image = self.load_split(split)
        return images.find_images(boxes_of_image, self._image_folders(split, path), path)

    def _image_folders(self, split, path):
        """Return the existing folders that may contain the images of a split, in search order."""
        subfolders = (split, os.path.join('images', split)) if split else ()
        folders = [os.path.dirname(path) or '.',
                   *(os.path.join(self._folder, name) for name in (*subfolders, 'images', ''))]
        return list(filter(os.path.isdir, dict.fromkeys(map(os.path.normpath, folders))))

    def categories(self, split):
        """Return the classes in the file of a split, without ids."""
        _, boxes_of_image = self.load_split(split)
        names = {name for boxes in boxes_of_image.values() for _, _, name in boxes}
        return dict.fromkeys(sorted(names - {''}))


def _parse_rows(path, rows):
    """Yield (line number, image, four coordinates as text, class) of each row of a csv.reader."""
    columns = None
    for row in filter(None, rows):
        if columns is None:
            columns, has_header = _parse_header(path, row)
            if has_header:
                continue
        location = f'{path}, line {rows.line_num}'
        if len(row) <= max(columns) or (not has_header and len(row) != len(COLUMNS)):
            expected = 'the first line has more' if has_header else f"expected {','.join(COLUMNS)}"
            raise UserError(f'{location}: {len(row)} values, but {expected}. Correct the line')
        image, *corners, name = (row[column].strip() for column in columns)
        if not image:
            raise UserError(f'{location}: the image is missing. Correct or remove the line')
        yield rows.line_num, image, corners, name


def _parse_header(path, row):
    """Return the indices of `COLUMNS` in each row, and whether the first row is a header."""
    if len(row) == len(COLUMNS) and all(map(_is_coordinate, row[1:5])):
        return range(len(COLUMNS)), False
    titles = [cell.strip().lower() for cell in row]
    columns = [next((titles.index(title) for title in (name, *_SYNONYMS[name]) if title in titles),
                    None) for name in COLUMNS]
    if None in columns:
        raise UserError(f"{path}, line 1: '{','.join(row)[:80]}' is neither a box nor a header. "
                        f"Correct it to a line like {','.join(COLUMNS)}")
    return columns, True


def _is_coordinate(cell):
    """Return whether a cell is a number or empty (no box)."""
    return not cell.strip() or re.fullmatch(r'[-+\d.eE]+', cell.strip())


def _read_annotation(path, folders, name, boxes, on_bad_box=None, read_image=images.read_jpeg):
    """Read one image and its boxes as `Annotation`.

    Args:
        path: Path of the CSV, for error messages.
        folders: Folders to search for the image.
        name: Name of the image in the CSV.
        boxes: List of (line number, four coordinates as text, class).
        on_bad_box: Function (BadBox), called for each box that is skipped. None: raise the error.
        read_image: Function from a path to an `images.EncodedImage`.
    """
    image_path = images.find_image(name, folders, path)
    jpeg = read_image(image_path)

    def parse_object(row):
        line, values, label = row
        description = f"{path}, line {line}: the box of a '{label}' in {name}"
        try:
            corners = tuple(map(float, values))
        except ValueError as error:
            raise BadBox('unreadable',
                         f'{description} has a missing or invalid coordinate') from error
        if not label:
            raise BadBox('unreadable', f'{path}, line {line}: a box in {name} has no class')
        description += ' (xmin {:g}, ymin {:g}, xmax {:g}, ymax {:g})'.format(*corners)
        return relative_box(description, corners, jpeg), label, False, False
    return make_annotation(image_path, jpeg, boxes, parse_object, on_bad_box)

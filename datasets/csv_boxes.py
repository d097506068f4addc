"""CSV of boxes: one line `image,xmin,ymin,xmax,ymax,class` per box.

Coordinates are in pixels, measured from the outer corner of the first pixel. The first line may be
a header, with the columns in any order, and with the width and height of the image. A line without
coordinates and class is an image without boxes.

The CSVs of Open Images are read too: `<split>-annotations-bbox.csv`, whose coordinates are
relative, with the names of the classes in `class-descriptions-boxable.csv`.
"""
import csv
import functools
import glob
import io
import itertools
import math
import os
import re
from typing import NamedTuple

from common import files
from common.errors import UserError
from datasets import class_lists, images, splits
from datasets.annotation import (
    BadBox,
    check_pixels,
    check_size,
    format_corners,
    make_annotation,
    relative_box,
)
from datasets.split_files import SplitFileSource

COLUMNS = ('image', 'xmin', 'ymin', 'xmax', 'ymax', 'class')
_OPTIONAL_COLUMNS = ('width', 'height', 'isgroupof', 'istruncated')
_SYNONYMS = {'image': ('filename', 'file_name', 'image_path', 'path', 'file', 'img', 'imageid'),
             'xmin': ('x1', 'x_min', 'left'), 'ymin': ('y1', 'y_min', 'top'),
             'xmax': ('x2', 'x_max', 'right'), 'ymax': ('y2', 'y_max', 'bottom'),
             'class': ('class_name', 'label', 'name', 'category', 'labelname'),
             'width': ('image_width', 'img_width'), 'height': ('image_height', 'img_height')}
_ROBOFLOW_FILE = '_annotations.csv'   # one in the folder of each split
_CLASS_LISTS = ('classes.csv', 'class.csv')
_OPEN_IMAGES_FILE = re.compile(r'(?:oidv\d+-)?(train|validation|test)-annotations-bbox\.csv')
_OPEN_IMAGES_TITLES = frozenset(['imageid', 'labelname', 'xmin', 'xmax', 'ymin', 'ymax'])
_CLASS_DESCRIPTIONS = '*class-descriptions*.csv'   # rows `/m/01yrx,Cat`
_MAX_BYTES = 1 << 33   # the largest file of Open Images has 2 GB


class Row(NamedTuple):
    """A box as the CSV has it."""
    line: int
    corners: list   # xmin, ymin, xmax, ymax as text
    name: str       # of the class
    size: tuple     # declared width and height of the image as text
    is_group: bool
    is_truncated: bool


class CsvContent(NamedTuple):
    """The content of a CSV."""
    rows: dict          # name of the image -> list of `Row`, in the order of the file
    is_relative: bool   # whether the coordinates are relative to the image


class CsvSource(SplitFileSource):
    """A folder with one CSV per split, or a single CSV."""
    file_type = '.csv'
    layout = 'CSV (<split>.csv with image,xmin,ymin,xmax,ymax,class)'

    @staticmethod
    def find_files(path):
        """Return the CSV files of a folder or file; see `SplitFileSource.find_files`."""
        if os.path.isfile(path):
            return splits.files_by_name([path] if path.endswith('.csv') else [])
        candidates = glob.glob(os.path.join(glob.escape(path), '*.csv'))
        open_images = {match[1]: file for file in sorted(candidates) for match in [
            _OPEN_IMAGES_FILE.fullmatch(os.path.basename(file))] if match}
        descriptions = glob.glob(os.path.join(glob.escape(path), _CLASS_DESCRIPTIONS))
        return (splits.files_by_folder(path, _ROBOFLOW_FILE) or open_images
                or splits.files_by_name([
                    file for file in candidates if file not in descriptions
                    and os.path.basename(file) not in _CLASS_LISTS]))

    @staticmethod
    def read_file(path):
        """Return the `CsvContent` of a file.

        Raises:
            UserError: If the file cannot be read or parsed, or has no images.
        """
        rows_of_image = {}
        try:
            text = files.read_text(path, _MAX_BYTES)
            reader = csv.reader(io.StringIO(text, newline=''))
            columns, first_row = _parse_header(path, reader)
            for image, row in _parse_rows(path, columns, first_row, reader):
                rows = rows_of_image.setdefault(image, [])
                if any(row.corners) or row.name:
                    rows.append(row)
        except (OSError, csv.Error, UnicodeDecodeError) as error:
            raise UserError(f'{path} cannot be read as UTF-8 text with comma-separated values '
                            f'({error})') from error
        if not rows_of_image:
            raise UserError(f'{path} lists no images. Add a row per box below the header')
        is_open_images = columns.is_open_images
        return CsvContent(
            _with_class_names(path, rows_of_image) if is_open_images else rows_of_image,
            is_open_images)

    def image_readers(self, split):
        """Return the images of a split: name in the CSV -> image reader."""
        path, content = self.load_split(split)
        folders = self._image_folders(split, path)
        self.check_distinct(content.rows, folders, path)
        return {name: functools.partial(
            _read_annotation, path, folders, name, CsvContent({name: rows}, content.is_relative),
            read_image=self.read_image) for name, rows in content.rows.items()}

    def image_paths(self, split):
        """Return the paths of the images of a split whose files exist: name in the CSV -> path."""
        path, content = self.load_split(split)
        return images.find_images(content.rows, self._image_folders(split, path), path)

    def listed_images(self, split):
        """Return the names of the images of a split."""
        return list(self.load_split(split)[1].rows)

    def notes(self, split):
        """Return the images that no CSV lists."""
        return [('unused', text) for text in self.unlisted_images(split)]

    def _image_folders(self, split, path):
        """Return the existing folders that may contain the images of a split, in search order."""
        subfolders = (split, os.path.join('images', split)) if split else ()
        folders = [os.path.dirname(path) or '.',
                   *(os.path.join(self._folder, name) for name in (*subfolders, 'images', ''))]
        return list(filter(os.path.isdir, dict.fromkeys(map(os.path.normpath, folders))))

    def categories(self, split):
        """Return the classes in the file of a split, without ids."""
        _, content = self.load_split(split)
        names = {row.name for rows in content.rows.values() for row in rows}
        return dict.fromkeys(sorted(name for name in names - {''}
                                    if not class_lists.is_background(name)))


class _Columns(NamedTuple):
    """The columns of a CSV."""
    required: list    # indices of `COLUMNS`
    optional: dict    # those of `_OPTIONAL_COLUMNS` that exist: name -> index
    has_header: bool
    is_open_images: bool


def _parse_header(path, reader):
    """Return the `_Columns` of a csv.reader, and its first row if that is a box, or else None."""
    row = next(filter(None, reader), None)
    if row is None or (len(row) == len(COLUMNS) and all(map(_is_coordinate, row[1:5]))):
        return _Columns(range(len(COLUMNS)), {}, False, False), row
    titles = [cell.strip().lower() for cell in row]
    columns = {name: titles.index(title) for name in (*COLUMNS, *_OPTIONAL_COLUMNS)
               for title in reversed((name, *_SYNONYMS.get(name, ()))) if title in titles}
    if not columns.keys() >= set(COLUMNS):
        raise UserError(f"{path}, line 1: '{','.join(row)[:80]}' is neither a box nor a header. "
                        f"Correct it to a line like {','.join(COLUMNS)}")
    return _Columns([columns[name] for name in COLUMNS],
                    {name: columns[name] for name in _OPTIONAL_COLUMNS if name in columns},
                    True, _OPEN_IMAGES_TITLES.issubset(titles)), None


def _parse_rows(path, columns, first_row, reader):
    """Yield (image, `Row`) of `first_row`, if it is not None, and of each row of a csv.reader."""
    def optional(row, name):
        index = columns.optional.get(name, len(row))
        return row[index].strip() if index < len(row) else ''
    for row in filter(None, itertools.chain([first_row], reader)):
        location = f'{path}, line {reader.line_num}'
        if len(row) <= max(columns.required) or (
                not columns.has_header and len(row) != len(COLUMNS)):
            expected = ('the first line has more' if columns.has_header
                        else f"expected {','.join(COLUMNS)}")
            raise UserError(f'{location}: {len(row)} values, but {expected}. Correct the line')
        image, *corners, name = (row[column].strip() for column in columns.required)
        if not image:
            raise UserError(f'{location}: the image is missing. Correct or remove the line')
        if columns.is_open_images and not image.lower().endswith(images.EXTENSIONS):
            image += '.jpg'
        yield image, Row(reader.line_num, corners, name,
                         (optional(row, 'width'), optional(row, 'height')),
                         optional(row, 'isgroupof') == '1', optional(row, 'istruncated') == '1')


def _with_class_names(path, rows_of_image):
    """Replace the ids of the classes of Open Images, such as /m/01yrx, by their names."""
    pattern = os.path.join(glob.escape(os.path.dirname(path)), _CLASS_DESCRIPTIONS)
    names = {row[0].strip(): row[1].strip() for file in sorted(glob.glob(pattern))
             for row in csv.reader(class_lists.read_text(file).split('\n')) if len(row) == 2}
    for rows in rows_of_image.values():
        for index, row in enumerate(rows):
            if re.match('/[a-z]/', row.name) and not names.get(row.name):
                raise UserError(f"{path}, line {row.line}: the name of the class '{row.name}' of "
                                f'Open Images is unknown. Add class-descriptions-boxable.csv of '
                                f'Open Images to the folder')
            rows[index] = row._replace(name=names.get(row.name, row.name))
    return rows_of_image


def _is_coordinate(cell):
    """Return whether a cell is a number or empty (no box)."""
    return not cell.strip() or re.fullmatch(r'[-+\d.eE]+', cell.strip())


def _parse_corners(row):
    """Return the coordinates of a `Row` as floats, or None if one is missing or invalid."""
    try:
        return tuple(map(float, row.corners))
    except ValueError:
        return None


def _read_annotation(path, folders, name, content, on_bad_box=None, read_image=images.read_jpeg):
    """Read one image and its boxes as `Annotation`.

    Args:
        path: Path of the CSV, for error messages.
        folders: Folders to search for the image.
        name: Name of the image in the CSV.
        content: `CsvContent` of this image.
        on_bad_box: Function (BadBox), called for each box that is skipped. None: raise the error.
        read_image: Function from a path to an `images.EncodedImage`.
    """
    image_path = images.find_image(name, folders, path)
    jpeg, rows = read_image(image_path), content.rows[name]
    for size in dict.fromkeys(row.size for row in rows):
        check_size(name, size, jpeg, path)
    if not content.is_relative:
        check_pixels(list(filter(None, map(_parse_corners, rows))), jpeg, f'{path}: {name}')
    sides = ((jpeg.width, jpeg.height) * 2) if content.is_relative else (1, 1, 1, 1)

    def parse_object(row):
        description = f"{path}, line {row.line}: the box of a '{row.name}' in {name}"
        corners = _parse_corners(row)
        if corners is None:
            raise BadBox('unreadable', f'{description} has a missing or invalid coordinate')
        if not row.name:
            raise BadBox('unreadable', f'{path}, line {row.line}: a box in {name} has no class')
        if class_lists.is_background(row.name):
            raise BadBox('unknown', f'{description} is of the background, which is no class. '
                                    f'Correct the class')
        description += f' {format_corners(corners)}'
        corners = [corner * side for corner, side in zip(corners, sides, strict=True)]
        box = relative_box(description, corners, jpeg)
        return (box, row.name, False, row.is_truncated,
                *((row.is_group, math.nan) if content.is_relative else ()))
    annotation = make_annotation(image_path, jpeg, rows, parse_object, on_bad_box)
    return annotation._replace(area=())

"""CVAT's own XML: one file for all images ("CVAT for images") or for a video ("CVAT for video").

Corners are in pixels, measured from the outer corner of the first pixel. Polygons, ellipses and
masks become their bounding boxes. Other shapes have no box and are not used.
"""
import collections
import functools
import glob
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
    rotated_box,
)
from datasets.annotation_folder import raise_error
from datasets.annotation_xml import read_xml, stripped
from datasets.image_index import ImageIndex, MissingImage, list_files
from datasets.split_files import SplitFileSource

_SIGNATURE = re.compile(rb'<annotations[\s>]')
_SIGNATURE_BYTES = 1 << 12
_WITH_BOX = ('box', 'polygon', 'ellipse', 'mask')
_MAX_NAME_LENGTH, _MAX_PATH_LENGTH = 200, 1000


class _Shape(NamedTuple):
    """A shape of an image."""
    tag: str
    label: str
    values: dict   # attributes of the element, text


class _Image(NamedTuple):
    """An entry of a file."""
    name: str
    size: tuple    # declared width and height, text or None
    subset: str
    shapes: list   # of _Shape


class CvatSource(SplitFileSource):
    """A folder with CVAT's XML, or a single such file."""
    file_type = 'CVAT XML'
    layout = 'CVAT (annotations.xml and images/)'
    has_class_order = True

    def __init__(self, path):
        super().__init__(path)
        self._find_images = functools.cache(self._find_images)

    @staticmethod
    def find_files(path):
        """Return the XML files of a folder or file; see `SplitFileSource.find_files`."""
        paths = [path] if os.path.isfile(path) else glob.glob(
            os.path.join(glob.escape(path), '*.xml'))
        return splits.files_by_name(sorted(filter(_is_cvat, paths)))

    @staticmethod
    def read_file(path):
        """Return (names of the labels in their order, list of `_Image`) of a file.

        Raises:
            UserError: If it is not CVAT XML.
        """
        root = read_xml(path)
        if root.tag != 'annotations':
            raise UserError(f'{path} is not CVAT XML: its root element is <{root.tag}>')
        labels = [stripped(label.findtext('name')) for label in root.findall('meta//labels/label')]
        entries = [_Image(item.get('name', ''), (item.get('width'), item.get('height')),
                          item.get('subset', ''), [_Shape(shape.tag, stripped(shape.get('label')),
                                                          dict(shape.attrib)) for shape in item])
                   for item in root.findall('image')]
        entries += _frames(root)
        if any(len(entry.name) > _MAX_PATH_LENGTH for entry in entries):
            raise UserError(f'{path} has an image whose name is too long. Correct it')
        if len({entry.name for entry in entries}) < len(entries):
            raise UserError(f'{path} lists an image more than once. Remove the duplicates')
        if not entries:
            raise UserError(f'{path} lists no images')
        return list(filter(None, labels)), entries

    def split_names(self):
        """Return the splits by the names of the files, or else the subsets of the images."""
        names = super().split_names()
        if names or '' not in self._files:
            return names
        subsets = {entry.subset for entry in self.load_split(None)[1][1]}
        return sorted(subsets) if subsets - {'', 'default'} else []

    def listed_images(self, split):
        """Return the names of the images in the file of a split."""
        return [entry.name for entry in self._entries(split)[1]]

    def image_readers(self, split):
        """Return the images of a split: name -> image reader."""
        path, entries = self._entries(split)
        (pairs, _), readers = self._find_images(path), {}
        for entry in entries:
            image = pairs[entry.name]
            if isinstance(image, MissingImage) and not entry.shapes:
                continue   # an image without boxes is in the notes
            readers[entry.name] = (
                functools.partial(raise_error, UserError(f'{path}: {image}'))
                if isinstance(image, UserError) else functools.partial(
                    _read_annotation, path, os.path.join(self._folder, image), entry,
                    read_image=self.read_image))
        if not readers:
            raise UserError(f'{path}: none of its images exists. Add them in the folder images')
        return readers

    def image_paths(self, split):
        """Return the paths of the images of a split: name -> path."""
        path, entries = self._entries(split)
        pairs, _ = self._find_images(path)
        return {entry.name: os.path.join(self._folder, pairs[entry.name]) for entry in entries
                if isinstance(pairs[entry.name], str)}

    def categories(self, split):
        """Return the labels of the file in their order, or else those of the shapes, sorted."""
        path, entries = self._entries(split)
        labels, _ = self._read_file(path)
        names = labels or sorted({shape.label for entry in entries for shape in entry.shapes
                                  if shape.tag in _WITH_BOX} - {''})
        return dict.fromkeys(name for name in names if not class_lists.is_background(name))

    def notes(self, split):
        """Return images that the file does not list, and images without boxes that are missing."""
        path, _ = self._entries(split)
        pairs, used = self._find_images(path)
        if len(self._files) > 1:   # images of the other files
            used = self._image_paths
        missing = [f'{path}: {image}' for image in pairs.values()
                   if isinstance(image, MissingImage)]
        return [('unused', text) for text in (*missing, *(
            f'{os.path.join(self._folder, image)} is not in {path}'
            for image in self._image_paths if image not in used))]

    def _entries(self, split):
        """Return the path of a split's file, and its images in this split."""
        if split and '' in self._files:
            self._check_split(split)
            path, (_, entries) = self.load_split(None)
            return path, [entry for entry in entries if entry.subset == split]
        path, (_, entries) = self.load_split(split)
        return path, entries

    @functools.cached_property
    def _image_paths(self):
        return [path for path in list_files(self._folder)
                if path.lower().endswith(images.EXTENSIONS)]

    def _find_images(self, path):
        """Return the images of the entries of a file; see `ImageIndex.find_all`."""
        _, entries = self._read_file(path)
        return ImageIndex(self._image_paths).find_all({
            entry.name: (entry.name, functools.partial(str, entry.name)) for entry in entries})


def _is_cvat(path):
    try:
        return bool(_SIGNATURE.search(files.read_start(path, _SIGNATURE_BYTES)))
    except OSError:
        return False


def _frames(root):
    """Return the frames of the tracks of a video that have shapes, as list of `_Image`."""
    shapes = collections.defaultdict(list)
    for track in root.findall('track'):
        for item in track:
            if item.get('outside') != '1':
                shapes[item.get('frame', '')].append(
                    _Shape(item.tag, stripped(track.get('label')), dict(item.attrib)))
    size = tuple(root.findtext(f'meta//original_size/{side}') for side in ('width', 'height'))
    return [_Image(f'frame_{frame.zfill(6)}.png', size, '', shapes[frame])
            for frame in sorted(shapes, key=lambda frame: (len(frame), frame))]


def _read_annotation(path, image_path, entry, on_bad_box=None, read_image=images.read_jpeg):
    """Read one image as `Annotation`.

    Args:
        path: Path of the XML, for error messages.
        image_path: Path of the image.
        entry: `_Image`.
        on_bad_box: Function (BadBox), called for each box that is skipped. None: raise the error.
        read_image: Function from a path to an `images.EncodedImage`.
    """
    image = read_image(image_path)
    check_size(entry.name, entry.size, image, path)
    shapes = [shape for shape in entry.shapes if shape.tag in _WITH_BOX]
    check_pixels([corners for shape in shapes if (corners := _corners(shape))], image,
                 f'{path}: {entry.name}')

    def parse_object(shape):
        description = f'{path}: {_describe(shape)} in {entry.name}'
        if not 0 < len(shape.label) <= _MAX_NAME_LENGTH:
            raise BadBox('unreadable', f'{description} has no label, or one that is too long')
        if shape.values.get('rotation', '').strip('0.'):
            raise rotated_box(description)
        corners = _corners(shape)
        if corners is None:
            raise BadBox('unreadable', f'{description} has a missing or invalid coordinate')
        description += f' {format_corners(corners)}'
        return relative_box(description, corners, image), shape.label, False, False
    annotation = make_annotation(image_path, image, shapes, parse_object, on_bad_box)
    notes = [('unused', f'{path}: {_describe(shape)} in {entry.name}')
             for shape in entry.shapes if shape.tag not in _WITH_BOX]
    return annotation.with_notes(notes)


def _describe(shape):
    return f"a {shape.tag[:_MAX_NAME_LENGTH]} of class '{shape.label[:_MAX_NAME_LENGTH]}'"


def _corners(shape):
    """Return (xmin, ymin, xmax, ymax) of a shape in pixels, or None if it is invalid."""
    def numbers(*names):
        return (float(shape.values[name]) for name in names)
    try:
        if shape.tag == 'box':
            corners = tuple(numbers('xtl', 'ytl', 'xbr', 'ybr'))
        elif shape.tag == 'polygon':
            points = [tuple(map(float, point.split(',')))
                      for point in shape.values['points'].split(';')]
            xs, ys = zip(*points, strict=True)
            corners = min(xs), min(ys), max(xs), max(ys)
        elif shape.tag == 'ellipse':
            x, y, radius_x, radius_y = numbers('cx', 'cy', 'rx', 'ry')
            corners = x - radius_x, y - radius_y, x + radius_x, y + radius_y
        else:
            left, top, width, height = numbers('left', 'top', 'width', 'height')
            corners = left, top, left + width, top + height
    except (KeyError, ValueError):
        return None
    return corners if all(map(math.isfinite, corners)) else None

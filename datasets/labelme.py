"""labelme JSON: one file per image, with the corners of shapes in pixels.

A rectangle or circle becomes its bounding box, and so does a polygon. Points are measured from the
outer corner of the first pixel. Lines and points have no box and are not used.
"""
import json
import math
import os
import re

from common import files
from common.errors import UserError
from datasets import images
from datasets.annotation import (
    BadBox,
    check_pixels,
    check_size,
    format_corners,
    make_annotation,
    relative_box,
    rotated_box,
)
from datasets.annotation_folder import AnnotationFolder, note_other_image

_MAX_BYTES = 1 << 28   # the file may contain the image
_SIGNATURE_BYTES = 1 << 16
_SIGNATURE = re.compile(rb'"(shapes|imagePath)"\s*:')
_NUM_POINTS = {'rectangle': 2, 'circle': 2, 'mask': 2, 'polygon': 3}   # at least
_WITHOUT_BOX = ('point', 'points', 'line', 'linestrip')
_MAX_NAME_LENGTH = 200


class LabelmeSource(AnnotationFolder):
    """A folder with labelme JSON."""
    layout = 'labelme (JSON files beside the images)'
    extension = '.json'

    @classmethod
    def matches(cls, path):
        """Return whether the path is a folder with a labelme file or with folders of them."""
        if not os.path.isdir(path):
            return False
        folders = [path, *(entry.path for entry in sorted(os.scandir(path), key=lambda e: e.name)
                           if entry.is_dir() and not entry.name.startswith('.'))]
        for folder in folders:
            name = next((name for name in sorted(os.listdir(folder)) if name.endswith('.json')
                         and not name.startswith('.')), None)
            if name and cls.is_annotation(os.path.join(folder, name)):
                return True
        return False

    @staticmethod
    def is_annotation(path):
        """Return whether a file is labelme JSON, by the keys at its start."""
        try:
            return bool(_SIGNATURE.search(files.read_start(path, _SIGNATURE_BYTES)))
        except OSError:
            return False

    @staticmethod
    def read_annotation(path, image_path, on_bad_box=None, read_image=images.read_jpeg):
        """Read one image and its JSON as `Annotation`.

        Args:
            path: Path of the JSON.
            image_path: Path of the image.
            on_bad_box: Function (BadBox), called for each box that is skipped. None: raise the
                error.
            read_image: Function from a path to an `images.EncodedImage`.

        Raises:
            UserError: If the JSON or the image is invalid, or they contradict each other.
        """
        content = _read_content(path)
        image = read_image(image_path)
        check_size(image_path, (content.get('imageWidth'), content.get('imageHeight')), image, path)
        shapes = _shapes_with_box(content)
        check_pixels([corners for shape in shapes if (corners := _corners(shape))], image, path)

        def parse_object(shape):
            label, corners = _label(shape), _corners(shape)
            if not 0 < len(label) <= _MAX_NAME_LENGTH:
                raise BadBox('unreadable', f'{path}: a shape has no label, or one that is too long')
            if shape.get('shape_type') == 'oriented_rectangle':
                raise rotated_box(f"{path}: the box of a '{label}'")
            if corners is None:
                raise BadBox('unreadable', f"{path}: a '{label}' has an unknown shape_type or "
                                           f'invalid points')
            description = f"{path}: the box of a '{label}' {format_corners(corners)}"
            return relative_box(description, corners, image), label, False, False
        annotation = make_annotation(image_path, image, shapes, parse_object, on_bad_box)
        notes = [('unused', f"{path}: a {shape['shape_type']} of class "
                           f"'{_label(shape)[:_MAX_NAME_LENGTH]}'")
                 for shape in content['shapes'] if shape.get('shape_type') in _WITHOUT_BOX]
        if isinstance(content.get('imagePath'), str):
            notes += note_other_image(path, content['imagePath'], image_path)
        return annotation.with_notes(notes)

    @staticmethod
    def read_image_name(path):
        """Return the path of its image that a JSON has, or ''."""
        name = _read_content(path).get('imagePath')
        return name if isinstance(name, str) else ''

    @staticmethod
    def read_class_names(path):
        """Return the labels of the shapes with a box in a JSON."""
        return set(map(_label, _shapes_with_box(_read_content(path))))



def _read_content(path):
    """Return the content of a JSON, whose `shapes` are a list of dicts."""
    try:
        content = json.loads(files.read_text(path, _MAX_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f'{path} cannot be read as JSON ({error})') from error
    shapes = content.get('shapes') if isinstance(content, dict) else None
    if not isinstance(shapes, list) or not all(isinstance(shape, dict) for shape in shapes):
        raise UserError(f"{path} is not labelme JSON: it has no list 'shapes'")
    return content


def _shapes_with_box(content):
    return [shape for shape in content['shapes'] if shape.get('shape_type') not in _WITHOUT_BOX]


def _label(shape):
    """Return the label of a shape on one line, or '' if it is no text."""
    label = shape.get('label')
    return ' '.join(label.split()) if isinstance(label, str) else ''


def _corners(shape):
    """Return (xmin, ymin, xmax, ymax) of a shape, or None if it is invalid."""
    shape_type, points = shape.get('shape_type') or 'polygon', shape.get('points')
    if not isinstance(shape_type, str) or shape_type not in _NUM_POINTS:
        return None
    try:
        points = [(float(x), float(y)) for x, y in points]
    except (TypeError, ValueError, OverflowError):
        return None
    if len(points) < _NUM_POINTS[shape_type]:
        return None
    if shape_type == 'circle':   # its center, and a point on it
        (x, y), (edge_x, edge_y) = points[:2]
        radius = math.hypot(edge_x - x, edge_y - y)
        return x - radius, y - radius, x + radius, y + radius
    xs, ys = zip(*points, strict=True)
    last = shape_type == 'mask'   # its points are its first and last pixels
    return min(xs), min(ys), max(xs) + last, max(ys) + last

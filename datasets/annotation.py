"""The annotation of one image, in the form that the readers of all formats return."""
import math
from typing import NamedTuple

from common.errors import UserError

# Annotation tools round differently: a box may exceed its image by this many pixels and is clipped.
TOLERANCE_PIXELS = 2.
MIN_CONTRAST = 8   # levels of 255; below, an image seems to show nothing
LARGE_PIXELS = 50_000_000


class AnnotationError(UserError):
    """An annotation that contradicts its image, or cannot be read.

    Attributes:
        problem: A key of `check_report.PROBLEMS`.
    """

    def __init__(self, problem, message):
        super().__init__(problem, message)   # both arguments, so that the error can be pickled
        self.problem = problem

    def __str__(self):
        return self.args[1]


class BadBox(AnnotationError):
    """A box that must not be used for training."""


class Annotation(NamedTuple):
    """An image and its ground-truth boxes.

    The lists `boxes` to `truncated` have one entry per box. `iscrowd` and `area` do too, or are
    empty if the source does not provide them.
    """
    image_path: str
    encoded: bytes     # JPEG with three channels
    height: int        # in pixels
    width: int
    boxes: list        # of (ymin, xmin, ymax, xmax), relative to the image, in [0, 1]
    names: list        # class names
    difficult: list    # bools
    truncated: list    # bools
    iscrowd: list = ()
    area: list = ()    # floats: area of the object itself, in pixels
    source_id: str = ''   # identifier of the image in the source, or ''
    notes: list = ()   # of (key of `check_report.PROBLEMS`, text with the name of the file)

    def with_notes(self, notes):
        """Return the annotation with further notes."""
        return self._replace(notes=[*self.notes, *notes])


PER_BOX_FIELDS = ('boxes', 'names', 'difficult', 'truncated', 'iscrowd', 'area')


def make_annotation(image_path, jpeg, objects, parse_object, on_bad_box=None, source_id=''):
    """Make an `Annotation` from an image and the objects that its source lists.

    A box that repeats an earlier one, of the same class and coordinates, is dropped and noted.
    Noted are also an image of nearly one color, a large one, and an EXIF orientation that is not
    applied.

    Args:
        image_path: Path of the image.
        jpeg: `images.EncodedImage`.
        objects: Iterable of objects in the form of the source.
        parse_object: Function from such an object to a tuple of its values of `PER_BOX_FIELDS`:
            the first four or all six.
        on_bad_box: Function (BadBox), called for each box that is skipped. None: raise the error.
        source_id: Identifier of the image in the source.

    Raises:
        BadBox: If `parse_object` raises it and `on_bad_box` is None.
    """
    rows, notes = {}, []   # (box, class name) -> row
    if jpeg.orientation != 1:
        notes.append(('rotated', image_path))
    if jpeg.contrast < MIN_CONTRAST:
        notes.append(('plain', f'{image_path}: its levels differ by {jpeg.contrast} of 255'))
    if jpeg.height * jpeg.width > LARGE_PIXELS:
        notes.append(('large', f'{image_path}: {jpeg.width}x{jpeg.height} pixels'))
    for item in objects:
        try:
            row = parse_object(item)
        except BadBox as error:
            if on_bad_box is None:
                raise
            on_bad_box(error)
            continue
        if rows.setdefault(row[:2], row) is not row:
            notes.append(('repeated', f"{image_path}: a box of class '{row[1]}'"))
    columns = map(list, zip(*rows.values(), strict=True)) if rows else ([] for _ in range(4))
    return Annotation(image_path, jpeg.encoded, jpeg.height, jpeg.width, *columns,
                      source_id=source_id, notes=notes)


def check_size(path, declared, image, source):
    """Check the size of an image that its source declares.

    Args:
        path: Path of the image.
        declared: (width, height) in pixels as the source has them: numbers or text. Values that
            are missing, None, 0, negative or no numbers are unknown.
        image: `images.EncodedImage`.
        source: Path of the file that declares the size.

    Raises:
        AnnotationError: If a known side differs from that of the image.
    """
    declared = tuple(map(_parse_side, declared))
    actual = image.width, image.height
    if all(side in (None, actual_side)
           for side, actual_side in zip(declared, actual, strict=True)):
        return
    width, height = ('?' if side is None else f'{side:g}' for side in declared)
    problem = (f'{source}: the size of {path} is {width}x{height} pixels, but the file has '
               f'{actual[0]}x{actual[1]}')
    if image.orientation >= 5 and declared == actual[::-1]:
        raise AnnotationError('size', f'{problem}: it was annotated as rotated by its EXIF '
                                      f'orientation. Pass --apply_exif_orientation')
    raise AnnotationError('size', f'{problem}, so its boxes would be misplaced. Annotate the file '
                                  f'as it is stored')


def _parse_side(value):
    """Return a declared side in pixels as float, or None if it is unknown."""
    try:
        side = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return side if 0 < side < math.inf else None


def check_pixels(boxes, image, source):
    """Check that the boxes of an image are in pixels, and not relative to the image.

    Args:
        boxes: List of tuples of four floats as the source has them: corners, or a corner and sides.
        image: `images.EncodedImage`.
        source: Path of the file, and what identifies the image in it, for the error message.

    Raises:
        AnnotationError: If all values of all boxes are in [0, 1]. A box whose four values are 1 is
            one pixel.
    """
    values = [value for box in boxes for value in box]
    if (values and all(0 <= value <= 1 for value in values) and min(values) < 1
            and max(image.width, image.height) > 1):
        raise AnnotationError('relative', f'{source}: all coordinates are in [0, 1], so they seem '
                                          f'to be relative to the image. Convert them to pixels')


def format_corners(corners):
    """Return (xmin, ymin, xmax, ymax) as text, for error messages."""
    return '(xmin {:g}, ymin {:g}, xmax {:g}, ymax {:g})'.format(*corners)


def rotated_box(description):
    """Return the `BadBox` of a rotated box, which `description` names."""
    return BadBox('unreadable', f'{description} is rotated, which is not supported. Replace it by '
                                f'an upright box')


def relative_box(description, corners, jpeg):
    """Convert a box from pixels to relative coordinates and clip it to the image.

    Args:
        description: Names the box in error messages: its file, class and coordinates.
        corners: (xmin, ymin, xmax, ymax) in pixels, measured from the outer corner of the first
            pixel.
        jpeg: `images.EncodedImage`.

    Returns:
        (ymin, xmin, ymax, xmax) in [0, 1].

    Raises:
        BadBox: If the box is empty or inverted, or exceeds the image by more than
            `TOLERANCE_PIXELS`.
    """
    xmin, ymin, xmax, ymax = corners
    if not (xmin < xmax and ymin < ymax):   # true for NaN too
        raise BadBox('inverted', f'{description} is empty or inverted. Correct it')
    if (min(xmin, ymin) < -TOLERANCE_PIXELS or xmax > jpeg.width + TOLERANCE_PIXELS
            or ymax > jpeg.height + TOLERANCE_PIXELS or xmin >= jpeg.width or ymin >= jpeg.height):
        raise BadBox('outside', f'{description} lies outside its image of '
                                f'{jpeg.width}x{jpeg.height} pixels. Correct it')

    def relative(value, side):
        return min(max(value / side, 0.), 1.)
    top, left = relative(ymin, jpeg.height), relative(xmin, jpeg.width)
    return (top, left,
            max(relative(ymax, jpeg.height), top), max(relative(xmax, jpeg.width), left))

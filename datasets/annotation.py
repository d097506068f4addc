"""The annotation of one image, in the form that the readers of all formats return."""
from typing import NamedTuple

from common.errors import UserError

# Annotation tools round differently: a box may exceed its image by this many pixels and is clipped.
TOLERANCE_PIXELS = 2.


class BadBox(UserError):
    """A box that must not be used for training.

    Attributes:
        problem: A key of `check_report.PROBLEMS`.
    """

    def __init__(self, problem, message):
        super().__init__(problem, message)   # both arguments, so that the error can be pickled
        self.problem = problem

    def __str__(self):
        return self.args[1]


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


PER_BOX_FIELDS = ('boxes', 'names', 'difficult', 'truncated', 'iscrowd', 'area')


def make_annotation(image_path, jpeg, objects, parse_object, on_bad_box=None, source_id=''):
    """Make an `Annotation` from an image and the objects that its source lists.

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
    rows = []
    for item in objects:
        try:
            rows.append(parse_object(item))
        except BadBox as error:
            if on_bad_box is None:
                raise
            on_bad_box(error)
    columns = map(list, zip(*rows, strict=True)) if rows else ([] for _ in range(4))
    return Annotation(image_path, jpeg.encoded, jpeg.height, jpeg.width, *columns,
                      source_id=source_id)


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

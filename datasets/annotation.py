"""One annotated picture, as every reader of a format yields it, and what readers share."""
from typing import NamedTuple

from common.errors import UserError

# Tools round in their own ways: a box may stand out of its picture by this many pixels, and is cut.
TOLERANCE = 2.


class BadBox(UserError):
    """A box that no training should see; `kind` is a key of `datasets.dataset_check.KINDS`."""

    def __init__(self, kind, text):
        super().__init__(kind, text)   # both, so that it can go from process to process
        self.kind = kind

    def __str__(self):
        return self.args[1]


class Annotation(NamedTuple):
    """A picture on disk and its ground truths.

    boxes: list of (ymin, xmin, ymax, xmax), relative, in [0, 1]. names, difficult, truncated: one entry for
    each box; class name, bool, bool. iscrowd, area: likewise, or nothing at all where the source does not say: bool;
    float, pixels of the picture that the object itself covers. source_id: what the source calls the picture, or ''.
    """
    image_path: str
    encoded: bytes     # JPEG, three channels
    height: int        # pixels
    width: int
    boxes: list
    names: list
    difficult: list
    truncated: list
    iscrowd: list = ()
    area: list = ()
    source_id: str = ''


# The fields with an entry for each box.
OF_BOXES = ('boxes', 'names', 'difficult', 'truncated', 'iscrowd', 'area')


def annotate(image_path, jpeg, items, to_truth, on_bad_box=None, source_id=''):
    """The `Annotation` of a picture (`images.Jpeg`) and of what its source says of each box.

    to_truth: function (item) -> tuple of its values of `OF_BOXES`, the first four or all; it raises BadBox. on_bad_box:
    function (BadBox) that is told of each box that is left out; without it the first one is raised.
    """
    found = []
    for item in items:
        try:
            found.append(to_truth(item))
        except BadBox as error:
            if on_bad_box is None:
                raise
            on_bad_box(error)
    columns = map(list, zip(*found, strict=True)) if found else ([] for _ in range(4))
    return Annotation(image_path, jpeg.encoded, jpeg.height, jpeg.width, *columns, source_id=source_id)


def relative_box(what, edges, jpeg):
    """(ymin, xmin, ymax, xmax) relative to its picture and cut to it; BadBox where that is more than rounding.

    what: how errors call it. edges: (xmin, ymin, xmax, ymax) in pixels from the outer corner of the first pixel.
    """
    xmin, ymin, xmax, ymax = edges
    if not (xmin < xmax and ymin < ymax):   # also catches NaN
        raise BadBox('inverted', f'{what} is empty or inverted; correct it')
    if (min(xmin, ymin) < -TOLERANCE or xmax > jpeg.width + TOLERANCE or ymax > jpeg.height + TOLERANCE
            or xmin >= jpeg.width or ymin >= jpeg.height):
        raise BadBox('outside', f'{what} lies outside its picture of {jpeg.width}x{jpeg.height} pixels; correct it')

    def edge(value, side):
        return min(max(value / side, 0.), 1.)
    top, left = edge(ymin, jpeg.height), edge(xmin, jpeg.width)
    return top, left, max(edge(ymax, jpeg.height), top), max(edge(xmax, jpeg.width), left)

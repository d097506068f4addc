"""One annotated picture, as every reader of a format yields it."""
from typing import NamedTuple

from deployment.errors import UserError


class BadBox(UserError):
    """A box that no training should see; `kind` is a key of `datasets.doctor.KINDS`."""

    def __init__(self, kind, text):
        super().__init__(text)
        self.kind = kind


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

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
    each box; class name, bool, bool.
    """
    image_path: str
    encoded: bytes     # JPEG, three channels
    height: int        # pixels
    width: int
    boxes: list
    names: list
    difficult: list
    truncated: list

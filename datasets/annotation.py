"""One annotated picture, as every reader of a format yields it."""
from typing import NamedTuple


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

"""Import of matplotlib for writing files, and titles in any script."""
import logging

import numpy as np

from common.errors import UserError
from visualization import drawing

DPI = 90   # of the files
_POINTS_PER_INCH = 72


def import_pyplot(needed_by):
    """Return the module matplotlib.pyplot without debug logs, with the backend that writes files.

    Args:
        needed_by: what needs matplotlib, for the error message: '--plot'.

    Raises:
        UserError: If matplotlib is not installed.
    """
    logging.getLogger('matplotlib').setLevel(logging.WARNING)
    try:
        import matplotlib
    except ImportError as error:
        raise UserError(f'{needed_by} needs matplotlib, which is not installed. '
                        'Run pip install -r requirements.txt') from error
    matplotlib.use('Agg')
    from matplotlib import pyplot
    return pyplot


def add_title(artist, text, font_size):
    """Add a title above the center of axes or at the upper edge of a figure.

    matplotlib looks for characters in one font only, and writes Arabic unconnected and from left to
    right. Text that is not ASCII is therefore drawn by Pillow.

    Args:
        artist: `Axes` or `Figure`, to be saved with `DPI`.
        text: One or several lines.
        font_size: In points.
    """
    is_figure = hasattr(artist, 'suptitle')
    if text.isascii():   # a name may contain $, which would start a formula
        set_title = artist.suptitle if is_figure else artist.set_title
        set_title(text, fontsize=font_size, parse_math=False)
        return
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage
    image = drawing.text_image(text.split('\n'), round(font_size * DPI / _POINTS_PER_INCH))
    artist.add_artist(AnnotationBbox(
        OffsetImage(np.asarray(image), dpi_cor=False), (.5, .98 if is_figure else 1),
        xycoords='figure fraction' if is_figure else 'axes fraction', frameon=False, pad=.6,
        box_alignment=(.5, 1 if is_figure else 0)))

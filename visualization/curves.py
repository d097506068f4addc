"""Precision over recall, a small plot for each class."""
import io
import warnings
from typing import NamedTuple

import numpy as np

from common.files import write_atomically
from visualization import plotting

_A_PAGE = 100    # plots
_POINTS = 1000   # of a curve that are drawn
_TICKS = (0, .25, .5, .75, 1)


class Curve(NamedTuple):
    """Of one class, over its detections, best score first."""
    name: str
    recall: np.ndarray      # [n]
    precision: np.ndarray   # [n]
    scores: np.ndarray      # [n]
    area: float             # average precision, NaN where there is none


def draw(path, title, curves, min_score):
    """Writes a PNG of `Curve`s, and where there are very many further ones `<path>_2.png`; returns the paths.

    min_score: the score whose place on each curve is marked.
    """
    pages = [curves[first:first + _A_PAGE] for first in range(0, len(curves), _A_PAGE)]
    base = path.removesuffix('.png')
    paths = [path, *(f'{base}_{number}.png' for number in range(2, len(pages) + 1))]
    for page_path, page in zip(paths, pages, strict=True):
        _draw_page(page_path, title, page, min_score)
    return paths


def _draw_page(path, title, curves, min_score):
    pyplot = plotting.pyplot('evaluation')
    columns = min(len(curves), max(4, round(len(curves) ** .5)))
    rows = -(-len(curves) // columns)
    size = {1: 6.5, 2: 4., 3: 4., 4: 4.}.get(len(curves), 2.4)   # inches
    title_height = .6
    # Placed by hand: what finds places by itself takes many times as long.
    figure = pyplot.figure(figsize=(columns * size, rows * size + title_height))
    height = rows * size / (rows * size + title_height)
    for index, curve in enumerate(curves):
        row, column = divmod(index, columns)
        axes = figure.add_axes([(column + .14) / columns, (rows - row - .86) / rows * height, .8 / columns,
                                .74 / rows * height])
        _draw_curve(axes, curve, min_score)
    figure.suptitle(f'{title}\nprecision (up) over recall (right); the dot: a score of {min_score:g}', fontsize=10,
                    parse_math=False)   # a name may hold a $
    drawn = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', 'Glyph .* missing')   # of scripts that the font lacks: boxes stand there
        figure.savefig(drawn, dpi=90, format='png')
    pyplot.close(figure)
    write_atomically(path, drawn.getvalue())


def corners(recall, most=_POINTS):
    """Indices of the points of a curve [n] between which it is straight, at most about so many.

    Where recall stays, precision only falls: the last point before a rise and the rise itself are enough.
    """
    rises = np.flatnonzero(np.diff(recall, prepend=0.))
    found = np.unique(np.concatenate([rises, np.maximum(rises - 1, 0), [max(len(recall) - 1, 0)]]).astype(int))
    return found[np.unique(np.linspace(0, len(found) - 1, most).astype(int))] if len(recall) else found[:0]


def _draw_curve(axes, curve, min_score):
    shown = corners(curve.recall)
    axes.plot(curve.recall[shown], curve.precision[shown], linewidth=1.2)
    kept = int((curve.scores >= min_score).sum())
    if kept:
        axes.plot(curve.recall[kept - 1], curve.precision[kept - 1], 'o', markersize=4)
    value = 'nothing to find' if np.isnan(curve.area) else f'{curve.area:.3f}'
    axes.set_title(f'{curve.name}: {value}', fontsize=8, parse_math=False)
    axes.set(xlim=(-.02, 1.02), ylim=(-.02, 1.02), xticks=_TICKS, yticks=_TICKS)
    axes.tick_params(labelsize=7)
    axes.grid(alpha=.3)

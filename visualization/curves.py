"""Precision-recall curves of all classes, as PNG."""
import io
from typing import NamedTuple

import numpy as np

from common.files import write_atomically
from visualization import plotting

_CURVES_PER_PAGE = 100
_MAX_POINTS = 1000   # drawn per curve
_TICKS = (0, .25, .5, .75, 1)


class Curve(NamedTuple):
    """Precision-recall curve of one class over its D detections, highest score first."""
    class_name: str
    recall: np.ndarray         # [D]
    precision: np.ndarray      # [D]
    scores: np.ndarray         # [D]
    average_precision: float   # NaN if the class has no objects


def draw_pages(path, title, curves, min_score):
    """Draw curves into PNG files of at most 100 plots each.

    Args:
        path: the first file, `<name>.png`; further ones are `<name>_2.png`, `<name>_3.png`, ...
        title: first line of each page.
        curves: list of `Curve`.
        min_score: score whose position on each curve is marked by a dot.

    Returns:
        The paths of the files.
    """
    pages = [curves[first:first + _CURVES_PER_PAGE]
             for first in range(0, len(curves), _CURVES_PER_PAGE)]
    base = path.removesuffix('.png')
    paths = [path, *(f'{base}_{number}.png' for number in range(2, len(pages) + 1))]
    for page_path, page in zip(paths, pages, strict=True):
        _draw_page(page_path, title, page, min_score)
    return paths


def _draw_page(path, title, curves, min_score):
    pyplot = plotting.import_pyplot('evaluation')
    columns = min(len(curves), max(4, round(len(curves) ** .5)))
    rows = -(-len(curves) // columns)
    size = {1: 6.5, 2: 4., 3: 4., 4: 4.}.get(len(curves), 2.4)   # of a plot, in inches
    title_height = .6
    # The layout is computed here: matplotlib's automatic layouts take many times as long.
    figure = pyplot.figure(figsize=(columns * size, rows * size + title_height))
    plots_height = rows * size / (rows * size + title_height)
    for index, curve in enumerate(curves):
        row, column = divmod(index, columns)
        axes = figure.add_axes([
            (column + .14) / columns, (rows - row - .86) / rows * plots_height,
            .8 / columns, .74 / rows * plots_height])
        _draw_curve(axes, curve, min_score)
    plotting.add_title(
        figure, f'{title}\nprecision (vertical) over recall; dot: score {min_score:g}', 10)
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=plotting.DPI, format='png')
    pyplot.close(figure)
    write_atomically(path, buffer.getvalue())


def vertex_indices(recall, max_points=_MAX_POINTS):
    """Return the indices of the points of a curve that suffice to draw it.

    While recall stays the same, precision only falls. So the curve is a polygonal line through
    each point where recall rises and the point before it. If these are more than `max_points`, an
    evenly spaced selection of them is returned.

    Args:
        recall: [D], ascending.
    """
    if not len(recall):
        return np.zeros(0, int)
    rises = np.flatnonzero(np.diff(recall, prepend=0.))
    vertices = np.unique(np.concatenate([rises, np.maximum(rises - 1, 0), [len(recall) - 1]]))
    return vertices[np.unique(np.linspace(0, len(vertices) - 1, max_points).astype(int))]


def _draw_curve(axes, curve, min_score):
    vertices = vertex_indices(curve.recall)
    axes.plot(curve.recall[vertices], curve.precision[vertices], linewidth=1.2)
    num_above = int((curve.scores >= min_score).sum())
    if num_above:
        axes.plot(curve.recall[num_above - 1], curve.precision[num_above - 1], 'o', markersize=4)
    ap = curve.average_precision
    plotting.add_title(
        axes, f'{curve.class_name}: {"no objects" if np.isnan(ap) else f"{ap:.3f}"}', 8)
    axes.set(xlim=(-.02, 1.02), ylim=(-.02, 1.02), xticks=_TICKS, yticks=_TICKS)
    axes.tick_params(labelsize=7)
    axes.grid(alpha=.3)

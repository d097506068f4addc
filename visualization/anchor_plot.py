"""Plot the boxes of a dataset and the anchors of two nets."""
import numpy as np

from common.errors import UserError
from common.files import add_path_to_errors
from visualization import plotting

_MAX_POINTS = 3000   # boxes in the plot of shapes


def draw(path, boxes, nets, overlaps):
    """Plot the shapes of boxes and anchors, and the distribution of the boxes' best overlaps.

    Args:
        path: file to write; its extension selects the format.
        boxes: [M, 4], relative.
        nets: `SSDParams` with the anchors before and after fitting.
        overlaps: two [M] arrays, the best overlap of each box with the anchors of each net.

    Raises:
        UserError: If matplotlib is missing or cannot write files with this extension.
    """
    pyplot = plotting.import_pyplot('--plot')
    figure, (shape_axes, overlap_axes) = pyplot.subplots(1, 2, figsize=(11, 5))
    stride = -(-len(boxes) // _MAX_POINTS)
    box_shapes = (boxes[:, 2:] - boxes[:, :2])[::stride] * nets[0].image_size
    shape_axes.loglog(box_shapes[:, 1], box_shapes[:, 0], '.', color='0.75', markersize=3,
                      label='boxes')
    shape_axes.set(title=f'shapes in pixels of {nets[0].image_size}', xlabel='width',
                   ylabel='height')
    overlap_axes.set(title='boxes that overlap an anchor by more than', xlabel='overlap',
                     ylabel='share of the boxes', xlim=(0, 1), ylim=(0, 1))
    for params, net_overlaps, marker, name in zip(
            nets, overlaps, 'ox', ('before', 'after'), strict=True):
        shapes = np.concatenate(params.anchor_shapes)
        line, = shape_axes.plot(shapes[:, 1], shapes[:, 0], marker, fillstyle='none',
                                label=f'anchors {name}')
        shares = 1 - np.arange(len(net_overlaps)) / len(net_overlaps)
        overlap_axes.plot(np.sort(net_overlaps), shares, color=line.get_color(), label=name)
    overlap_axes.axvline(.5, color='0.6', linewidth=.8)
    for axes in (shape_axes, overlap_axes):
        axes.grid(alpha=.3)
        axes.legend()
    figure.tight_layout()
    try:
        with add_path_to_errors(path):
            figure.savefig(path, dpi=100)
    except ValueError as error:   # unknown extension
        raise UserError(f'--plot={path} cannot be written ({error})') from error
    finally:
        pyplot.close(figure)

"""A plot of the boxes of a data set and of anchors for them."""
from common.errors import UserError
from nets.anchors import anchor_shapes
from visualization import plotting

_MOST = 3000   # boxes that are drawn


def draw(path, boxes, nets, overlaps):
    """Writes a plot: shapes of boxes and anchors on the left, and how well the boxes are reached on the right.

    boxes: [M, 4], relative. nets: `SSDParams` with the anchors before and after. overlaps: for each of them the largest
    overlap of every box with an anchor, [M].
    """
    import numpy as np
    pyplot = plotting.import_pyplot('--plot')
    figure, (shapes, reached) = pyplot.subplots(1, 2, figsize=(11, 5))
    sides = (boxes[:, 2:] - boxes[:, :2])[::-(-len(boxes) // _MOST)] * nets[0].image_size
    shapes.loglog(sides[:, 1], sides[:, 0], '.', color='0.75', markersize=3, label='boxes')
    shapes.set(title=f'shapes in pixels of {nets[0].image_size}', xlabel='width', ylabel='height')
    reached.set(title='boxes that overlap an anchor by more than', xlabel='overlap', ylabel='share of the boxes',
                xlim=(0, 1), ylim=(0, 1))
    for params, best, mark, name in zip(nets, overlaps, 'ox', ('before', 'after'), strict=True):
        anchors = np.concatenate([anchor_shapes(*sizes, ratios) for sizes, ratios in
                                  zip(params.anchor_sizes, params.anchor_ratios, strict=True)])
        line, = shapes.plot(anchors[:, 1], anchors[:, 0], mark, fillstyle='none', label=f'anchors {name}')
        reached.plot(np.sort(best), 1 - np.arange(len(best)) / len(best), color=line.get_color(), label=name)
    reached.axvline(.5, color='0.6', linewidth=.8)
    for axes in (shapes, reached):
        axes.grid(alpha=.3)
        axes.legend()
    figure.tight_layout()
    try:
        figure.savefig(path, dpi=100)
    except ValueError as error:   # of the ending
        raise UserError(f'--plot={path} cannot be drawn ({error})') from error
    finally:
        pyplot.close(figure)

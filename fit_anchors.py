r"""Fit anchor sizes and aspect ratios to a dataset, and report how many boxes they match.

python fit_anchors.py --dataset_dir=data/mine --model_name=ssd_300_mobilenet_v1 \
    --output_file=anchors.txt

Training takes the printed text or the file as --anchor_preset. With --check_split_name, the report
also covers a split that the anchors were not fitted to, which shows overfitting.
"""
import os

from absl import flags

from cli import app
from cli.flag_help import flag_group
from common import files
from common.errors import UserError
from common.text import counted
from nets import anchor_fitting, anchor_presets, anchors, coverage, nets_factory

FLAGS = flags.FLAGS

flag_group('Data')
flags.DEFINE_string('dataset_dir', None, 'Folder of TFRecords, as tf_convert_data.py writes them.')
flags.DEFINE_string('dataset_name', '',
                    'Name of the dataset. Required only if its folder has no dataset.json.')
flags.DEFINE_string('dataset_split_name', 'train', 'Split to fit the anchors to.')
flags.DEFINE_string('check_split_name', '', 'Another split to report the matched boxes of.')
flags.DEFINE_integer('num_classes', 0,
                     'Number of classes, background included. 0: as dataset.json says.',
                     lower_bound=0)

flag_group('Net')
flags.DEFINE_string('model_name', 'ssd_300_vgg',
                    f'Name of the net: {", ".join(nets_factory.names())}.')
flags.DEFINE_string('anchor_preset', 'voc',
                    'Anchors to start from and to compare with: voc, coco, a file of sizes, or '
                    'its text.')

flag_group('Output')
flags.DEFINE_string('output_file', '', 'File to write the anchors to, for --anchor_preset.')
flags.DEFINE_string('plot', '', 'File to plot the boxes and anchors to (.png, .svg, .pdf).')

_PLOT_EXTENSIONS = ('.png', '.svg', '.pdf')
_THRESHOLD = .5   # matching threshold of the paper and default of --match_threshold in training


def check_flags():
    """Raise UserError for invalid flags that can be detected without TensorFlow."""
    app.require_flags(FLAGS, 'dataset_dir')
    nets_factory.get_params(FLAGS.model_name, FLAGS.anchor_preset)
    for name in ('output_file', 'plot'):
        if FLAGS[name].value:
            files.make_output_folder(os.path.dirname(FLAGS[name].value) or '.', name)
    if FLAGS.plot:
        if not FLAGS.plot.endswith(_PLOT_EXTENSIONS):
            raise UserError(f'--plot={FLAGS.plot} has an unknown extension. Pass a file with '
                            f'{", ".join(_PLOT_EXTENSIONS)}')
        from visualization import plotting
        plotting.import_pyplot('--plot')


def read_boxes(split):
    """Return the boxes [M, 4] of a split that training uses; UserError if there are none."""
    from datasets import dataset_factory, ground_truth
    dataset = dataset_factory.get_dataset(
        FLAGS.dataset_name, split, FLAGS.dataset_dir, FLAGS.num_classes)
    boxes = ground_truth.read_boxes(dataset)
    if not len(boxes):
        raise UserError(f'the split {split} of {dataset.name} has no boxes to fit anchors to')
    return boxes


def format_file(text, params, shares):
    """Return the content of --output_file: one word of the text per line, with its layer.

    Args:
        text: anchor sizes, as `anchor_fitting.fit` returns them.
        params: `SSDParams` with these anchors.
        shares: text of the shares of matched boxes before and after.
    """
    header = (f'# Anchors of {params.name} for {FLAGS.dataset_dir} {FLAGS.dataset_split_name}. '
              f'Boxes that overlap one by more than {_THRESHOLD}:\n# {shares}\n')
    lines = [f'{word}   # {layer}\n'
             for word, layer in zip(text.split(), params.feat_layers, strict=True)]
    return header + ''.join(lines)


def compare(boxes, nets):
    """Compare anchors before and after fitting.

    Args:
        boxes: [M, 4].
        nets: `SSDParams` before and after.

    Returns:
        The best overlap of each box with the anchors of each net (a list of two [M] arrays), and
        the text of the shares of matched boxes.
    """
    overlaps = [coverage.best_overlaps(boxes, anchors.net_anchors(params)) for params in nets]
    before, after = ((net_overlaps > _THRESHOLD).mean() for net_overlaps in overlaps)
    return overlaps, f'{before:.1%} before, {after:.1%} after'


def main():
    """Fit anchors to the boxes of a split; print, write and plot the result."""
    params = nets_factory.get_params(FLAGS.model_name, FLAGS.anchor_preset)
    boxes = read_boxes(FLAGS.dataset_split_name)
    check_boxes = read_boxes(FLAGS.check_split_name) if FLAGS.check_split_name else None
    text = anchor_fitting.fit(boxes, params, _THRESHOLD)
    nets = params, anchor_presets.with_preset(params, text)

    overlaps, shares = compare(boxes, nets)
    print(f'boxes that overlap an anchor of {params.name} by more than {_THRESHOLD}:')
    print(f'  {FLAGS.dataset_split_name}, {counted(len(boxes), "box")}: {shares}')
    if check_boxes is not None:
        _, check_shares = compare(check_boxes, nets)
        print(f'  {FLAGS.check_split_name}, {counted(len(check_boxes), "box")}: {check_shares}')
    print(f'--anchor_preset="{text}"')
    if FLAGS.output_file:
        files.write_atomically(FLAGS.output_file, format_file(text, nets[1], shares))
        print(f'written to {FLAGS.output_file}')
    if FLAGS.plot:
        from visualization import anchor_plot
        anchor_plot.draw(FLAGS.plot, boxes, nets, overlaps)
        print(f'plotted to {FLAGS.plot}')


if __name__ == '__main__':
    app.run(main, check_flags)

"""Proposes sizes and ratios of anchors for the boxes of a data set, and says how many of them they reach.

python fit_anchors.py --dataset_dir=data/mine --model_name=ssd_300_mobilenet_v1 --output_file=anchors.txt

Training takes what it prints, or the file, as --anchor_preset. Boxes of a split that was not looked at
(--check_split_name=val) show whether the proposal fits more than the pictures it was made from.
"""
from absl import flags

from cli import app
from cli.flag_help import flag_group
from common import files
from common.errors import UserError
from nets import anchor_presets, nets_factory

FLAGS = flags.FLAGS

flag_group('Data')
flags.DEFINE_string('dataset_dir', None, 'Folder of TFRecords, as tf_convert_data.py writes them.')
flags.DEFINE_string('dataset_name', '', 'Name of the data set; needed where its folder has no dataset.json.')
flags.DEFINE_string('dataset_split_name', 'train', 'Split whose boxes are looked at.')
flags.DEFINE_string('check_split_name', '', 'Split to try the proposal on, besides.')
flags.DEFINE_integer('num_classes', 0, 'Classes, background included; 0: as the data set says.', lower_bound=0)

flag_group('Net')
flags.DEFINE_string('model_name', 'ssd_300_vgg', f'The net: {", ".join(nets_factory.names())}.')
flags.DEFINE_string('anchor_preset', 'voc', 'Anchors to start from and to compare with: voc, coco or your own.')

flag_group('Output')
flags.DEFINE_string('output_file', '', 'Where the proposal goes as a file that --anchor_preset takes.')
flags.DEFINE_string('plot', '', 'Where a picture of the boxes and the anchors goes (.png, .svg, .pdf).')
_THRESHOLD = .5   # of --match_threshold in training, and of the paper


def check_flags():
    """Refuses what can be known to be wrong before TensorFlow is loaded."""
    app.require_flags(FLAGS, 'dataset_dir')
    nets_factory.get_params(FLAGS.model_name, FLAGS.anchor_preset)
    if FLAGS.plot:
        from visualization import plotting
        plotting.import_pyplot('--plot')


def read_boxes(split):
    """Boxes [M, 4] of a split that training would learn; UserError where there are none."""
    from datasets import dataset_factory, ground_truth
    dataset = dataset_factory.get_dataset(FLAGS.dataset_name, split, FLAGS.dataset_dir, FLAGS.num_classes)
    boxes = ground_truth.read_boxes(dataset)
    if not len(boxes):
        raise UserError(f'no box stands in the records of {dataset.name} {split}')
    return boxes


def as_file(text, params, shares):
    """The text of the file: a word for each feature layer, with its name."""
    words = zip(text.split(), params.feat_layers, strict=True)
    about = (f'# Anchors of {params.name} for {FLAGS.dataset_dir} {FLAGS.dataset_split_name}. Boxes that overlap one '
             f'by more than {_THRESHOLD}:\n# {shares}\n')
    return about + ''.join(f'{word}   # {layer}\n' for word, layer in words)


def main():
    """Reads the boxes, fits, says what came of it, draws and writes it."""
    from nets import anchor_fitting, anchors, coverage
    before = nets_factory.get_params(FLAGS.model_name, FLAGS.anchor_preset)
    boxes = read_boxes(FLAGS.dataset_split_name)
    text = anchor_fitting.fit(boxes, before, _THRESHOLD)
    after = anchor_presets.with_preset(before, text)

    def reach(found):
        overlaps = [coverage.best_overlaps(found, anchors.net_anchors(params)) for params in (before, after)]
        return overlaps, ', '.join(f'{(best > _THRESHOLD).mean():.1%} {when}' for best, when in
                                   zip(overlaps, ('before', 'after'), strict=True))
    overlaps, shares = reach(boxes)
    print(f'boxes that overlap an anchor of {before.name} by more than {_THRESHOLD}:')
    print(f'  {FLAGS.dataset_split_name}, {len(boxes)} boxes: {shares}')
    if FLAGS.check_split_name:
        others = read_boxes(FLAGS.check_split_name)
        print(f'  {FLAGS.check_split_name}, {len(others)} boxes: {reach(others)[1]}')
    print(f'--anchor_preset="{text}"')
    if FLAGS.output_file:
        files.write_atomically(FLAGS.output_file, as_file(text, after, shares))
        print(f'written to {FLAGS.output_file}')
    if FLAGS.plot:
        from visualization import anchor_plot
        anchor_plot.draw(FLAGS.plot, boxes, (before, after), overlaps)
        print(f'drawn to {FLAGS.plot}')


if __name__ == '__main__':
    app.run(main, check_flags)

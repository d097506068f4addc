"""Converts annotated pictures, in one folder or several, into TFRecords: Pascal VOC, COCO JSON, YOLO text or CSV.

python tf_convert_data.py --dataset_dir=VOCdevkit/VOC2007 --output_dir=data/voc2007 --dataset_name=pascalvoc_2007
python tf_convert_data.py --dataset_dir=my_data --output_dir=data/mine --split_ratio=train=0.8,val=0.2

Every split that --split_names names, or every one that the first folder has, becomes a set of shards
`<dataset_name>_<split>_*.tfrecord`; labels.txt and dataset.json beside them say what they hold.

python tf_convert_data.py --check --dataset_dir=FOLDER

writes nothing, and reports all that is wrong with such a folder, or with a folder of TFRecords; it exits with 1 where
conversion or training would refuse something. docs/own_data.md shows how each format lies on disk.
"""
import os

from absl import flags

from cli import app
from common.errors import UserError
from datasets import dataset_info, formats, splits, voc
from nets import nets_factory

FLAGS = flags.FLAGS
flags.DEFINE_list('dataset_dir', None, 'Folder of annotated pictures, or a COCO JSON or CSV; several, with commas, '
                  'become one data set.')
flags.DEFINE_enum('format', 'auto', ('auto', *formats.FORMATS), 'What they are; auto tells by the names of the files.')
flags.DEFINE_string('output_dir', None, 'Where the TFRecords go.')
flags.DEFINE_string('dataset_name', '', "Name of the data set, the beginning of its files' names; names that "
                    "begin with 'pascalvoc' have the 20 classes of VOC. Default: the name of output_dir.")
flags.DEFINE_list('split_names', [], 'Splits to convert, with commas. Default: all that the first folder has.')
flags.DEFINE_string('split_ratio', '', 'Divides pictures that no list divides, such as train=0.8,val=0.2.')
flags.DEFINE_integer('seed', 0, 'For --split_ratio: another number divides otherwise.')
flags.DEFINE_string('labels_file', '', 'Classes, a line each (name, or id:name). Default: those of VOC, or those '
                    'already converted into output_dir, or those that the source lists, or those found, sorted.')
flags.DEFINE_integer('num_shards', 0, 'Files for each split; 0: one for every thousand pictures.', lower_bound=0)
flags.DEFINE_integer('num_workers', 0, 'Processes that read pictures; 0: one for every processor core.', lower_bound=0,
                     upper_bound=1024)
flags.DEFINE_bool('overwrite', False, 'Converts splits anew that output_dir already holds.')
flags.DEFINE_bool('skip_bad_boxes', False, 'Leaves out and counts boxes that are outside their picture, inverted, '
                  'unreadable or of another class, where conversion would stop.')
flags.DEFINE_bool('without_labels', False, 'Converts pictures alone, for tests whose labels are not public, such as '
                  'VOC2012 test.')
flags.DEFINE_bool('check', False, 'Looks for all that is wrong, and writes no TFRecords.')
flags.DEFINE_integer('check_most', 10, 'Findings of each kind that --check names.', lower_bound=1)
flags.DEFINE_string('model_name', 'ssd_300_vgg', 'For --check: the net whose anchors shall reach the boxes.')
flags.DEFINE_string('anchor_preset', 'voc', 'For --check: sizes of its anchors, voc, coco or a file of your own.')
flags.DEFINE_integer('num_classes', 0, 'For --check of TFRecords without dataset.json: classes, background included.',
                     lower_bound=0)
flags.DEFINE_bool('skip_converted', False, 'Leaves splits alone that output_dir already holds.')


def find_sources():
    """A source for each folder, and the names of the splits to convert."""
    shares = splits.parse_ratio(FLAGS.split_ratio) if FLAGS.split_ratio else None
    found = [formats.find(folder, FLAGS.format, shares, FLAGS.seed) for folder in FLAGS.dataset_dir]
    names = FLAGS.split_names or formats.split_names(found[0], FLAGS.dataset_dir[0])
    converted = (dataset_info.read_info(FLAGS.output_dir) or {'splits': {}})['splits'] if FLAGS.skip_converted else {}
    return found, [name for name in names if name not in converted]


def settle_classes(found, names):
    """The classes, by the order of precedence that the help of --labels_file gives."""
    there = dataset_info.read_info(FLAGS.output_dir)
    if FLAGS.labels_file:
        classes = dataset_info.read_labels(FLAGS.labels_file)
    elif dataset_name().startswith('pascalvoc'):
        classes = list(voc.CLASSES)
    elif there:
        classes = there['classes']
    elif FLAGS.without_labels and not any(source.ordered for source in found):
        raise UserError('--without_labels leaves the classes unknown; name them in --labels_file, or pass a '
                                "--dataset_name that begins with 'pascalvoc'")
    else:
        classes = formats.class_names(found, names)
    if there and there['classes'] != classes:
        raise UserError(f'{FLAGS.output_dir} was converted with the classes {", ".join(there["classes"])}; '
                                f'now they are {", ".join(classes)}; choose another --output_dir')
    if not classes:
        raise UserError(f'no object of any class stands in the annotations of {", ".join(FLAGS.dataset_dir)}')
    return classes


def dataset_name():
    """--dataset_name, or the name of the output folder."""
    return FLAGS.dataset_name or os.path.basename(os.path.abspath(FLAGS.output_dir))


def check_flags():
    """Refuses what is wrong before anything is read or written."""
    app.require_flags(FLAGS, 'dataset_dir')
    for folder in FLAGS.dataset_dir:
        if not os.path.exists(folder):
            raise UserError(f'the dataset_dir {folder} does not exist')
    if FLAGS.check:
        nets_factory.get_params(FLAGS.model_name, FLAGS.anchor_preset)
        return None
    app.require_flags(FLAGS, 'output_dir')
    if os.path.exists(FLAGS.output_dir) and not os.path.isdir(FLAGS.output_dir):
        raise UserError(f'the output_dir {FLAGS.output_dir} is a file')
    if not find_sources()[1]:
        return 0
    return None


def holds_records(folder):
    """Whether a folder is one of TFRecords, and none in VOC layout."""
    return (os.path.isdir(folder) and not os.path.isdir(os.path.join(folder, 'Annotations'))
            and any(name.endswith('.tfrecord') for name in os.listdir(folder)))


def workers():
    """Processes that read pictures."""
    from datasets import input_pipeline
    return FLAGS.num_workers or input_pipeline.num_cores()


def read_lists(found, names):
    """{split: functions that each read one picture}, over all folders."""
    def pictures(source, name):
        return formats.unlabelled(source, name) if FLAGS.without_labels else source.pictures(name)
    return {name: [read for source in found for read in pictures(source, name).values()] for name in names}


def examine(params):
    """The `Examination` of what the flags name."""
    from datasets import dataset_factory, dataset_check
    folder = FLAGS.dataset_dir[0]
    if holds_records(folder):
        if len(FLAGS.dataset_dir) > 1:
            raise UserError('--check looks at one folder of TFRecords at a time')
        names = FLAGS.split_names or dataset_factory.split_names(FLAGS.dataset_name, folder)
        found = [dataset_factory.get_dataset(FLAGS.dataset_name, name, folder, FLAGS.num_classes) for name in names]
        examination = dataset_check.Examination(found[0].class_names, params.image_size)
        dataset_check.examine_datasets(examination, found)
        return examination
    known = dataset_info.read_labels(FLAGS.labels_file) if FLAGS.labels_file else \
        voc.CLASSES if FLAGS.dataset_name.startswith('pascalvoc') else None
    examination = dataset_check.Examination(known, params.image_size)
    dataset_check.examine_folders(examination, read_lists(*find_sources()), workers())
    return examination


def check_data():
    """The story of --check: look at every picture, then say what was found. 1 where something must be mended."""
    from datasets import dataset_check
    from nets import coverage
    params = nets_factory.get_params(FLAGS.model_name, FLAGS.anchor_preset)
    examination = examine(params)
    if not examination.classes:
        print('\n'.join(dataset_check.finding_lines(examination, FLAGS.check_most)))
        raise UserError(f'no usable box of any class stands in {", ".join(FLAGS.dataset_dir)}')
    print('\n'.join(dataset_check.class_table(examination)))
    boxes = examination.all_boxes()
    print(f'{sum(examination.pictures.values())} pictures and {len(boxes)} boxes are usable')
    print('\n'.join(coverage.lines(boxes, params)))
    print('\n'.join(dataset_check.finding_lines(examination, FLAGS.check_most)) or 'nothing is wrong')
    return 1 if examination.has_errors() else 0


def check_division(there, names):
    """Refuses a second way to divide the same pictures, which could put one of them into both splits."""
    for name, split in there['splits'].items():
        if FLAGS.split_ratio and name not in names and (
                split.get('split_ratio'), split.get('seed')) != (FLAGS.split_ratio, FLAGS.seed):
            raise UserError(f'{FLAGS.output_dir} holds {name}, which --split_ratio={FLAGS.split_ratio} '
                                    f'--seed={FLAGS.seed} did not divide from the rest; choose another --output_dir')


def main():
    """Reads the lists, settles the classes, converts split by split; or checks."""
    if FLAGS.check:
        return check_data()
    from datasets import convert, parallel_reading
    there = dataset_info.read_info(FLAGS.output_dir) or {'name': dataset_name(), 'splits': {}}
    if there['name'] != dataset_name():
        raise UserError(f"{FLAGS.output_dir} holds the data set '{there['name']}'; choose another "
                                f'--output_dir for {dataset_name()}')
    found, names = find_sources()
    again = [name for name in names if name in there['splits']]
    if again and not FLAGS.overwrite:
        raise UserError(f'{FLAGS.output_dir} already holds {", ".join(again)}; pass --overwrite to '
                                f'convert anew')
    check_division(there, names)
    readers = read_lists(found, names)
    classes = settle_classes(found, names)
    divided = {'split_ratio': FLAGS.split_ratio, 'seed': FLAGS.seed} if FLAGS.split_ratio else {}

    for name, reads in readers.items():
        bad_boxes = [] if FLAGS.skip_bad_boxes else None
        boxes = convert.convert_split(
            parallel_reading.annotations(reads, workers(), bad_boxes.append if FLAGS.skip_bad_boxes else None), len(reads),
            FLAGS.output_dir, dataset_name(), name, classes, FLAGS.dataset_dir, FLAGS.num_shards, bad_boxes,
            formats.source_ids(found, names, classes), **divided)
        print(f'{name}: {len(reads)} pictures, {boxes} boxes, {len(classes)} classes -> {FLAGS.output_dir}')
        if bad_boxes:
            print(f'{name}: left out {len(bad_boxes)} bad boxes, such as: {bad_boxes[0]} (--check lists them)')
    return 0


if __name__ == '__main__':
    app.run(main, check_flags)

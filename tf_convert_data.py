"""Converts a VOC-layout folder (or several) into TFRecords.

python tf_convert_data.py --dataset_dir=VOCdevkit/VOC2007 --output_dir=data/voc2007 --dataset_name=pascalvoc_2007

Every split that --split_names names, or every list in ImageSets/Main that is no class list, becomes a set of
shards `<dataset_name>_<split>_*.tfrecord`; labels.txt and dataset.json beside them say what they hold.

python tf_convert_data.py --check --dataset_dir=FOLDER

writes nothing, and reports all that is wrong with a VOC-layout folder, or with a folder of TFRecords; it exits with 1
where conversion or training would refuse something.
"""
import functools
import os

from absl import flags

from deployment import command
from nets import nets_factory

FLAGS = flags.FLAGS
flags.DEFINE_list('dataset_dir', None, 'Folder in VOC layout; several, with commas, become one data set.')
flags.DEFINE_string('output_dir', None, 'Where the TFRecords go.')
flags.DEFINE_string('dataset_name', '', "Name of the data set, the beginning of its files' names; names that "
                    "begin with 'pascalvoc' have the 20 classes of VOC. Default: the name of output_dir.")
flags.DEFINE_list('split_names', [], 'Splits to convert, with commas. Default: all that the first folder has.')
flags.DEFINE_string('labels_file', '', 'Classes, a line each (name, or id:name). Default: those of VOC, or '
                    'those already converted into output_dir, or those found in the XML files, sorted.')
flags.DEFINE_integer('num_shards', 0, 'Files for each split; 0: one for every thousand pictures.', lower_bound=0)
flags.DEFINE_bool('overwrite', False, 'Converts splits anew that output_dir already holds.')
flags.DEFINE_bool('skip_bad_boxes', False, 'Leaves out and counts boxes that are outside their picture, inverted, '
                  'unreadable or of another class, where conversion would stop.')
flags.DEFINE_bool('check', False, 'Looks for all that is wrong, and writes no TFRecords.')
flags.DEFINE_integer('check_most', 10, 'Findings of each kind that --check names.', lower_bound=1)
flags.DEFINE_string('model_name', 'ssd_300_vgg', 'For --check: the net whose anchors shall reach the boxes.')
flags.DEFINE_string('anchor_preset', 'voc', 'For --check: sizes of its anchors, voc, coco or a file of your own.')
flags.DEFINE_integer('num_classes', 0, 'For --check of TFRecords without dataset.json: classes, background included.',
                     lower_bound=0)
flags.DEFINE_bool('skip_converted', False, 'Leaves splits alone that output_dir already holds.')


def split_names():
    """The splits to convert. Lists like VOC's `cat_train.txt`, which only flag a class, are left out."""
    from datasets import facts, voc
    there = voc.split_names(FLAGS.dataset_dir[0])
    usable = [name for name in there if '_' not in name or name.rpartition('_')[2] not in there]
    converted = (facts.read_facts(FLAGS.output_dir) or {'splits': {}})['splits'] if FLAGS.skip_converted else {}
    if not (FLAGS.split_names or usable):
        raise command.UserError(f'{FLAGS.dataset_dir[0]} has no split lists: put a train.txt into ImageSets/Main, '
                                f'with the name of a picture without its extension in each line')
    return [name for name in FLAGS.split_names or usable if name not in converted]


def class_names(pictures):
    """The classes, by the order of precedence that the help of --labels_file gives."""
    from datasets import facts, voc
    there = facts.read_facts(FLAGS.output_dir)
    if FLAGS.labels_file:
        names = facts.read_labels(FLAGS.labels_file)
    elif dataset_name().startswith('pascalvoc'):
        names = list(voc.CLASSES)
    elif there:
        names = there['classes']
    else:
        names = sorted({name for folder, identifiers in pictures
                        for name in voc.class_names(folder, identifiers)})
    if there and there['classes'] != names:
        raise command.UserError(f'{FLAGS.output_dir} was converted with the classes {", ".join(there["classes"])}; '
                                f'now they are {", ".join(names)}; choose another --output_dir')
    if not names:
        raise command.UserError(f'no object of any class stands in the XML files of {", ".join(FLAGS.dataset_dir)}')
    return names


def dataset_name():
    """--dataset_name, or the name of the output folder."""
    return FLAGS.dataset_name or os.path.basename(os.path.abspath(FLAGS.output_dir))


def check_flags():
    """Refuses what is wrong before anything is read or written."""
    command.require(FLAGS, 'dataset_dir')
    for folder in FLAGS.dataset_dir:
        if not os.path.isdir(folder):
            raise command.UserError(f'the dataset_dir {folder} does not exist')
    if FLAGS.check:
        nets_factory.get_params(FLAGS.model_name, FLAGS.anchor_preset)
        return None
    command.require(FLAGS, 'output_dir')
    if os.path.exists(FLAGS.output_dir) and not os.path.isdir(FLAGS.output_dir):
        raise command.UserError(f'the output_dir {FLAGS.output_dir} is a file')
    if FLAGS.skip_converted and not split_names():
        return 0
    return None


def holds_records(folder):
    """Whether a folder is one of TFRecords, and none in VOC layout."""
    return (not os.path.isdir(os.path.join(folder, 'Annotations'))
            and any(name.endswith('.tfrecord') for name in os.listdir(folder)))


def to_examine(params):
    """The `Examination` to fill, and the list of functions () that each look at one picture."""
    from datasets import dataset_factory, doctor, facts, voc
    folder = FLAGS.dataset_dir[0]
    if holds_records(folder):
        if len(FLAGS.dataset_dir) > 1:
            raise command.UserError('--check looks at one folder of TFRecords at a time')
        names = FLAGS.split_names or dataset_factory.split_names(FLAGS.dataset_name, folder)
        found = [dataset_factory.get_dataset(FLAGS.dataset_name, name, folder, FLAGS.num_classes) for name in names]
        examination = doctor.Examination(found[0].class_names, params.image_size)
        return examination, [look for dataset in found for look in doctor.examine_records(examination, dataset)]
    known = facts.read_labels(FLAGS.labels_file) if FLAGS.labels_file else \
        voc.CLASSES if FLAGS.dataset_name.startswith('pascalvoc') else None
    examination = doctor.Examination(known, params.image_size)
    return examination, [functools.partial(doctor.examine_folder, examination, split, folder, identifier)
                         for split in split_names() for folder in FLAGS.dataset_dir
                         for identifier in voc.read_split(folder, split)]


def print_coverage(boxes, params):
    """Says which share of the boxes [M, 4] no anchor reaches, and which anchors would."""
    from nets import anchors, coverage
    missed = boxes[coverage.best_overlaps(boxes, anchors.net_anchors(params)) <= .5]
    print(f'{len(missed)} of {len(boxes)} boxes ({len(missed) / max(len(boxes), 1):.1%}) overlap no anchor of '
          f'{params.name} ({params.anchor_preset}) by more than 0.5')
    for layer, height, width, count in coverage.missing_anchors(missed, params):
        print(f'  an anchor of {width:.0f}x{height:.0f} pixels (of {params.image_size}) on {layer} would reach '
              f'{count} of them')


def check_data():
    """The story of --check: look at every picture, then say what was found. 1 where something must be mended."""
    from tqdm import tqdm

    from datasets import doctor
    params = nets_factory.get_params(FLAGS.model_name, FLAGS.anchor_preset)
    examination, looks = to_examine(params)
    for look in tqdm(looks, 'check', unit=' pictures'):
        look()
    if not examination.classes:
        print('\n'.join(doctor.finding_lines(examination, FLAGS.check_most)))
        raise command.UserError(f'no usable box of any class stands in {", ".join(FLAGS.dataset_dir)}')
    print('\n'.join(doctor.class_table(examination)))
    boxes = examination.all_boxes()
    print(f'{sum(examination.pictures.values())} pictures and {len(boxes)} boxes are usable')
    print_coverage(boxes, params)
    print('\n'.join(doctor.finding_lines(examination, FLAGS.check_most)) or 'nothing is wrong')
    return 1 if examination.has_errors() else 0


def main():
    """Reads the lists, settles the classes, converts split by split; or checks."""
    if FLAGS.check:
        return check_data()
    from datasets import convert, facts, voc
    there = facts.read_facts(FLAGS.output_dir) or {'name': dataset_name(), 'splits': {}}
    if there['name'] != dataset_name():
        raise command.UserError(f"{FLAGS.output_dir} holds the data set '{there['name']}'; choose another "
                                f'--output_dir for {dataset_name()}')
    splits = {split: [(folder, voc.read_split(folder, split)) for folder in FLAGS.dataset_dir]
              for split in split_names()}
    again = [split for split in splits if split in there['splits']]
    if again and not FLAGS.overwrite:
        raise command.UserError(f'{FLAGS.output_dir} already holds {", ".join(again)}; pass --overwrite to '
                                f'convert anew')
    classes = class_names([pictures for split in splits.values() for pictures in split])

    for split, pictures in splits.items():
        bad_boxes = []
        on_bad_box = bad_boxes.append if FLAGS.skip_bad_boxes else None
        annotations = (voc.read_annotation(folder, identifier, on_bad_box)
                       for folder, identifiers in pictures for identifier in identifiers)
        count = sum(len(identifiers) for _, identifiers in pictures)
        boxes = convert.convert_split(annotations, count, FLAGS.output_dir, dataset_name(), split, classes,
                                      FLAGS.dataset_dir, FLAGS.num_shards, on_bad_box)
        print(f'{split}: {count} pictures, {boxes} boxes, {len(classes)} classes -> {FLAGS.output_dir}')
        if bad_boxes:
            print(f'{split}: left out {len(bad_boxes)} bad boxes, such as: {bad_boxes[0]} (--check lists them)')
    return 0


if __name__ == '__main__':
    command.run(main, check_flags)

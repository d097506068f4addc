"""Converts a VOC-layout folder (or several) into TFRecords.

python tf_convert_data.py --dataset_dir=VOCdevkit/VOC2007 --output_dir=data/voc2007 --dataset_name=pascalvoc_2007

Every split that --split_names names, or every list in ImageSets/Main that is no class list, becomes a set of
shards `<dataset_name>_<split>_*.tfrecord`; labels.txt and dataset.json beside them say what they hold.
"""
import os

from absl import flags

from deployment import command

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
flags.DEFINE_bool('skip_converted', False, 'Leaves splits alone that output_dir already holds.')


def split_names():
    """The splits to convert. Lists like VOC's `cat_train.txt`, which only flag a class, are left out."""
    from datasets import facts, voc
    there = voc.split_names(FLAGS.dataset_dir[0])
    usable = [name for name in there if '_' not in name or name.rpartition('_')[2] not in there]
    converted = (facts.read_facts(FLAGS.output_dir) or {'splits': {}})['splits']
    return [name for name in FLAGS.split_names or usable if not (FLAGS.skip_converted and name in converted)]


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
    command.require(FLAGS, 'dataset_dir', 'output_dir')
    for folder in FLAGS.dataset_dir:
        if not os.path.isdir(folder):
            raise command.UserError(f'the dataset_dir {folder} does not exist')
    if os.path.exists(FLAGS.output_dir) and not os.path.isdir(FLAGS.output_dir):
        raise command.UserError(f'the output_dir {FLAGS.output_dir} is a file')
    if FLAGS.skip_converted and not split_names():
        return 0
    return None


def main():
    """Reads the lists, settles the classes, converts split by split."""
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
        annotations = (voc.read_annotation(folder, identifier)
                       for folder, identifiers in pictures for identifier in identifiers)
        count = sum(len(identifiers) for _, identifiers in pictures)
        boxes = convert.convert_split(annotations, count, FLAGS.output_dir, dataset_name(), split, classes,
                                      FLAGS.dataset_dir, FLAGS.num_shards)
        print(f'{split}: {count} pictures, {boxes} boxes, {len(classes)} classes -> {FLAGS.output_dir}')


if __name__ == '__main__':
    command.run(main, check_flags)

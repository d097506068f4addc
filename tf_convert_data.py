"""Convert annotated images to TFRecords: Pascal VOC, COCO, YOLO, CSV, labelme or CVAT XML.

python tf_convert_data.py --dataset_dir=VOCdevkit/VOC2007 --output_dir=data/voc2007 \\
    --dataset_name=pascalvoc_2007
python tf_convert_data.py --dataset_dir=my_data --output_dir=data/mine \\
    --split_ratio=train=0.8,val=0.2

Each split becomes a set of shards `<dataset_name>_<split>_*.tfrecord`. labels.txt and dataset.json
beside them describe their content.

With --check, nothing is written: all problems of a folder of annotated images or TFRecords are
listed, and the exit code is 1 if conversion or training would fail.

python tf_convert_data.py --check --dataset_dir=FOLDER

docs/own_data.md shows the file layout of each format.
"""
import os
import shlex

from absl import flags

from cli import app, console
from cli.flag_help import flag_group
from common import files
from common.errors import UserError
from common.text import counted
from datasets import dataset_info, formats, splits, voc
from nets import nets_factory

_MAX_UNMATCHED = .1   # share of boxes that overlap no anchor; above, other anchors are recommended
_RECORDS_FOLDER = 'records'   # in the recommendation, if there is no --output_dir

FLAGS = flags.FLAGS

flag_group('Source')
flags.DEFINE_list('dataset_dir', None,
                  'Folder of annotated images, or a COCO JSON, CSV or CVAT XML file. Several, '
                  'separated by commas, become one dataset.')
flags.DEFINE_enum('format', 'auto', ('auto', *formats.FORMATS),
                  'Format of the annotations. auto: detect it by the names of the files.')
flags.DEFINE_list('split_names', [],
                  'Splits to convert, separated by commas. Default: all splits of the first '
                  'folder.')
flags.DEFINE_string('split_ratio', '',
                    'Split images that have no split lists by this ratio, such as '
                    'train=0.8,val=0.2.')
flags.DEFINE_integer('seed', 0, 'Seed of --split_ratio.')
flags.DEFINE_string('labels_file', '',
                    'File with one class per line (name, or id:name), a label map (.pbtxt) or a '
                    'data.yaml. Default: the classes of VOC '
                    'if dataset_name begins with pascalvoc, or those already in output_dir, or '
                    'those that the source lists, or those of the annotations, sorted.')
flags.DEFINE_bool('skip_bad_boxes', False,
                  'Skip and count boxes that are outside their image, inverted, unreadable or of '
                  'an unknown class. By default, conversion fails.')
flags.DEFINE_bool('without_labels', False,
                  'Convert the images without boxes, for test splits whose labels are not public, '
                  'such as VOC2012 test.')
flags.DEFINE_bool('apply_exif_orientation', False,
                  'Rotate the images as their EXIF orientation says, for annotations made in tools '
                  'that show them rotated. By default, pixels are used as they are stored.')
flags.DEFINE_integer('num_workers', 0,
                     'Number of processes that read images. 0: one per processor core.',
                     lower_bound=0, upper_bound=1024)

flag_group('Records')
flags.DEFINE_string('output_dir', None, 'Folder for the TFRecords.')
flags.DEFINE_string('dataset_name', '',
                    'Name of the dataset and prefix of its file names. Default: that of the '
                    'records in output_dir, or the name of the first dataset_dir.')
flags.DEFINE_integer('num_shards', 0,
                     'Number of files per split. 0: one per thousand images.', lower_bound=0)
flags.DEFINE_bool('overwrite', False, 'Convert splits that are already in output_dir again.')
flags.DEFINE_bool('skip_converted', False, 'Skip splits that are already in output_dir.')

flag_group('Check')
flags.DEFINE_bool('check', False,
                  'List all problems of the annotated images or TFRecords in dataset_dir, and '
                  'write nothing.')
flags.DEFINE_integer('max_findings', 10, 'For --check: maximum number of findings per problem.',
                     lower_bound=1)
flags.DEFINE_alias('check_most', 'max_findings')
flags.DEFINE_string('model_name', 'ssd_300_vgg',
                    'For --check: net whose anchors are compared with the boxes.')
flags.DEFINE_string('anchor_preset', 'voc',
                    'For --check: anchor sizes of the net: voc, coco or a file.')
flags.DEFINE_integer('num_classes', 0,
                     'For --check of TFRecords without dataset.json: number of classes, background '
                     'included.', lower_bound=0)


def check_flags():
    """Validate the flags without TensorFlow. Return 0, the exit code, if no split is to convert."""
    app.require_flags(FLAGS, 'dataset_dir')
    if FLAGS.skip_converted and FLAGS.overwrite:
        raise UserError('--skip_converted and --overwrite contradict each other. Pass one of them')
    for folder in FLAGS.dataset_dir:
        if not os.path.exists(folder):
            raise UserError(f'the dataset_dir {folder} does not exist. Correct the path')
    if FLAGS.check:
        nets_factory.get_params(FLAGS.model_name, FLAGS.anchor_preset)
        return None
    app.require_flags(FLAGS, 'output_dir')
    if os.path.exists(FLAGS.output_dir) and not os.path.isdir(FLAGS.output_dir):
        raise UserError(f'the output_dir {FLAGS.output_dir} is a file. Pass a folder')
    _, split_names = open_sources()
    return None if split_names else 0


def main():
    """Convert split by split, or check the dataset."""
    if FLAGS.check:
        return check_dataset()
    from datasets import check_report, convert, parallel_reading
    info = check_output_dir()
    sources, split_names = open_sources()
    check_existing_splits(info, split_names)
    readers = image_readers(sources, split_names)
    class_names = resolve_class_names(sources, split_names)
    source_ids = formats.merge_source_ids(sources, split_names, class_names)
    new_notes = source_notes(sources, split_names)
    details = {'source': FLAGS.dataset_dir}
    if FLAGS.split_ratio:
        details.update(split_ratio=FLAGS.split_ratio, seed=FLAGS.seed)
    files.make_output_folder(FLAGS.output_dir, 'output_dir')

    for split, split_readers in readers.items():
        notes = new_notes[split]
        check_report.note_lines(split, notes)   # fails if one of them is an error
        bad_boxes = [] if FLAGS.skip_bad_boxes else None
        spec = convert.SplitSpec(dataset_name(), split, class_names, len(split_readers),
                                 FLAGS.num_shards, source_ids, details)
        annotations = parallel_reading.read_annotations(
            split_readers, num_workers(), bad_boxes.append if FLAGS.skip_bad_boxes else None)
        num_boxes = convert.convert_split(annotations, spec, FLAGS.output_dir, bad_boxes, notes)
        console.print_lines([
            f'{split}: {counted(spec.num_images, "image")}, {counted(num_boxes, "box")}, '
            f'{counted(len(class_names), "class")} -> {FLAGS.output_dir}'])
        if bad_boxes:
            console.print_lines([
                f'{split}: skipped {counted(len(bad_boxes), "bad box")}, for example: '
                f'{bad_boxes[0]} (run with --check to list them)'])
        console.print_lines(check_report.note_lines(split, notes))
    return 0


def dataset_name():
    """Return --dataset_name, or that of the records in output_dir, or that of the source."""
    info = dataset_info.read_info(FLAGS.output_dir)
    if FLAGS.dataset_name or info:
        return FLAGS.dataset_name or info['name']
    source = os.path.abspath(FLAGS.dataset_dir[0])
    name = os.path.basename(source)
    return (os.path.splitext(name)[0] if os.path.isfile(source) else name) or 'dataset'


def is_pascal_voc():
    """Return whether the dataset is called pascalvoc... by the user, and not only by its source."""
    folder = os.path.basename(os.path.abspath(FLAGS.output_dir)) if FLAGS.output_dir else ''
    return (FLAGS.dataset_name or folder).startswith('pascalvoc')


def num_workers():
    """Return the number of processes that read images."""
    from datasets import input_pipeline
    return FLAGS.num_workers or input_pipeline.num_cores()


def check_output_dir():
    """Return the content of dataset.json, which is empty for a new dataset.

    Raises:
        UserError: If the folder contains another dataset.
    """
    info = dataset_info.read_info(FLAGS.output_dir) or {'name': dataset_name(), 'splits': {}}
    if info['name'] != dataset_name():
        raise UserError(f"{FLAGS.output_dir} contains the dataset '{info['name']}', not "
                        f"'{dataset_name()}'. Choose another --output_dir")
    return info


def open_sources():
    """Open the sources and select the splits to convert.

    Returns:
        List of `AnnotationSource`, one per --dataset_dir, and list of the names of the splits.
    """
    shares = splits.parse_ratio(FLAGS.split_ratio) if FLAGS.split_ratio else None
    sources = [formats.open_source(folder, FLAGS.format, shares, FLAGS.seed,
                                   FLAGS.apply_exif_orientation)
               for folder in FLAGS.dataset_dir]
    names = FLAGS.split_names or formats.require_split_names(sources[0], FLAGS.dataset_dir[0])
    info = dataset_info.read_info(FLAGS.output_dir) if FLAGS.skip_converted else None
    return sources, [name for name in names if name not in (info or {'splits': {}})['splits']]


def check_existing_splits(info, split_names):
    """Check that the new splits do not replace or overlap existing ones by mistake.

    Images that were split by another ratio or seed could be in both an existing and a new split.

    Args:
        info: Content of dataset.json.
        split_names: Names of the splits to convert.

    Raises:
        UserError: If they do.
    """
    existing = [name for name in split_names if name in info['splits']]
    if existing and not FLAGS.overwrite:
        raise UserError(f'{FLAGS.output_dir} already contains {", ".join(existing)}. Pass '
                        f'--overwrite to convert again')
    for name, split in info['splits'].items():
        ratio_and_seed = split.get('split_ratio'), split.get('seed')
        if FLAGS.split_ratio and name not in split_names and (
                ratio_and_seed != (FLAGS.split_ratio, FLAGS.seed)):
            raise UserError(f'{FLAGS.output_dir} contains {name}, which was not split by '
                            f'--split_ratio={FLAGS.split_ratio} --seed={FLAGS.seed} and could '
                            f'overlap the new splits. Choose another --output_dir')


def image_readers(sources, split_names):
    """Return the image readers of all sources: {split: list of functions}."""
    def readers(source, split):
        return (formats.unlabeled_readers(source, split) if FLAGS.without_labels
                else source.image_readers(split))
    return {split: [read for source in sources for read in readers(source, split).values()]
            for split in split_names}


def source_notes(sources, split_names):
    """Return the notes of all sources: {split: list of (problem, text)}.

    A note of several splits, such as a file that is in none, is listed once. There are none if the
    annotations are not read.
    """
    all_notes = {}   # (problem, text) -> split
    for split in () if FLAGS.without_labels else split_names:
        for source in sources:
            for note in source.notes(split):
                all_notes.setdefault(note, split)
    return {split: [note for note, first_split in all_notes.items() if first_split == split]
            for split in split_names}


def resolve_class_names(sources, split_names):
    """Return the class names by the order of precedence in the help of --labels_file.

    Raises:
        UserError: If no class is known, or output_dir contains splits with other classes.
    """
    info = dataset_info.read_info(FLAGS.output_dir)
    if FLAGS.labels_file:
        class_names = dataset_info.read_labels(FLAGS.labels_file)
    elif is_pascal_voc():
        class_names = list(voc.CLASSES)
    elif info:
        class_names = info['classes']
    elif FLAGS.without_labels and not any(source.has_class_order for source in sources):
        raise UserError('the classes are unknown with --without_labels. Pass --labels_file, or a '
                        '--dataset_name that begins with pascalvoc')
    else:
        class_names = formats.merge_class_names(sources, split_names)
    if info and info['classes'] != class_names:
        raise UserError(f'{FLAGS.output_dir} was converted with the classes '
                        f'{", ".join(info["classes"])}, but now the classes are '
                        f'{", ".join(class_names)}. Choose another --output_dir')
    if not class_names:
        raise UserError(f'the annotations in {", ".join(FLAGS.dataset_dir)} have no objects with '
                        f'a class. Add some, or pass --labels_file')
    return class_names


def check_dataset():
    """Check all images, and print statistics and problems.

    Returns:
        The exit code: 1 if conversion or training would fail, or else 0.
    """
    from datasets import check_report
    from nets import coverage
    params = nets_factory.get_params(FLAGS.model_name, FLAGS.anchor_preset)
    report = make_report(params.image_size)
    problems = check_report.finding_lines(report, FLAGS.max_findings)
    if not report.class_counts:
        console.print_lines(problems)
        raise UserError(f'{", ".join(FLAGS.dataset_dir)} has no valid boxes. Correct the '
                        f'annotations')
    boxes = report.all_boxes()
    num_images, num_distinct = sum(report.num_images.values()), report.num_distinct_images()
    distinct = f' ({num_distinct} different)' if num_distinct < num_images else ''
    unmatched = coverage.unmatched_boxes(boxes, params)
    advice = (fit_anchors_advice(list(report.num_images))
              if len(unmatched) > _MAX_UNMATCHED * len(boxes) else [])
    console.print_lines([
        *check_report.class_table(report),
        f'{counted(num_images, "valid image")}{distinct} with {counted(len(boxes), "valid box")}',
        *coverage.report_lines(unmatched, len(boxes), params), *advice, *problems])
    if not advice and not problems:
        console.print_lines(['no problems found'])
    return 1 if report.has_errors() else 0


def fit_anchors_advice(split_names):
    """Return the lines that recommend other anchors, with the command that fits them."""
    folder, is_converted = FLAGS.dataset_dir[0], contains_records(FLAGS.dataset_dir[0])
    values = {'dataset_dir': folder if is_converted else FLAGS.output_dir or _RECORDS_FOLDER,
              'dataset_split_name': 'train' if 'train' in split_names else split_names[0],
              'dataset_name': FLAGS.dataset_name if is_converted else '',
              'num_classes': FLAGS.num_classes, 'model_name': FLAGS.model_name,
              'output_file': 'anchors.txt'}
    command = ' '.join(['python fit_anchors.py', *(
        f'--{name}={shlex.quote(str(value))}' for name, value in values.items() if value)])
    after = '' if is_converted else f' after conversion with --output_dir={values["dataset_dir"]}'
    return [f'recommended: fit anchors to the boxes{after}, and train with '
            f'--anchor_preset={values["output_file"]}:', f'  {command}']


def make_report(image_size):
    """Return the `CheckReport` of the records or annotated images in --dataset_dir."""
    from datasets import check_report, dataset_check, dataset_factory
    folder = FLAGS.dataset_dir[0]
    if contains_records(folder):
        if len(FLAGS.dataset_dir) > 1:
            raise UserError('--check supports only one folder of TFRecords. Pass one --dataset_dir')
        names = FLAGS.split_names or dataset_factory.split_names(FLAGS.dataset_name, folder)
        datasets = [dataset_factory.get_dataset(FLAGS.dataset_name, name, folder, FLAGS.num_classes)
                    for name in names]
        report = check_report.CheckReport(datasets[0].class_names, image_size)
        dataset_check.check_datasets(report, datasets)
        return report
    class_names = None
    sources, names = open_sources()
    if FLAGS.labels_file:
        class_names = dataset_info.read_labels(FLAGS.labels_file)
    elif is_pascal_voc():
        class_names = voc.CLASSES
    elif any(source.has_class_order for source in sources):
        class_names = formats.merge_class_names(sources, names)
    report = check_report.CheckReport(class_names, image_size)
    for split, notes in source_notes(sources, names).items():
        for problem, text in notes:
            report.add_finding(problem, split, text)
    dataset_check.check_images(report, image_readers(sources, names), num_workers())
    return report


def contains_records(folder):
    """Return whether a path is a folder of TFRecords, and not one in VOC layout."""
    return (os.path.isdir(folder) and not os.path.isdir(os.path.join(folder, 'Annotations'))
            and any(name.endswith('.tfrecord') for name in os.listdir(folder)))


if __name__ == '__main__':
    app.run(main, check_flags)

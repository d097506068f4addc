r"""Export a checkpoint as SavedModel, frozen graph, TensorFlow Lite or ONNX.

python export_ssd_network.py --checkpoint_path=runs/mine/train --output_dir=exported \
    --formats=saved_model,tflite,onnx

docs/shipping.md describes the inputs and outputs of the exported nets, and how to load them.
"""
import os

from absl import flags

from cli import app
from cli.flag_help import flag_group
from common import files
from common.errors import UserError
from common.log import log
from common.text import counted
from exporting import exporters, output_files
from nets import anchor_presets

FLAGS = flags.FLAGS

flag_group('Input and output')
flags.DEFINE_string('checkpoint_path', None,
                    'Checkpoint to export: a file, or a folder, whose latest checkpoint is used.')
flags.DEFINE_string('output_dir', 'exported', 'Folder for the exported files and labels.txt.')
flags.DEFINE_list('formats', ['saved_model'],
                  f'Comma-separated formats to write: {", ".join(exporters.FORMATS)}.')
flags.DEFINE_bool('overwrite', False, 'Replace exported files that output_dir already holds.')

flag_group('Net')
flags.DEFINE_string('model_name', '',
                    'Name of the net. Required only if the checkpoint folder has no config.json.')
flags.DEFINE_string('anchor_preset', '',
                    'Anchor sizes: voc, coco or a file. Required only if the checkpoint folder '
                    'has no config.json.')
flags.DEFINE_string('labels_file', '',
                    'File of class names, one per line. Required only if the checkpoint folder '
                    'has no config.json.')
flags.DEFINE_bool('use_moving_averages', True,
                  'Export the moving averages of the weights, if the checkpoint has them.')

flag_group('Post-processing')
flags.DEFINE_float('min_score', .01, 'Minimum score of a detection.', lower_bound=0, upper_bound=1)
flags.DEFINE_float('nms_threshold', .45,
                   'IoU above which non-maximum suppression removes the box with the lower score.',
                   lower_bound=0, upper_bound=1)
flags.DEFINE_integer('max_detections', 200, 'Maximum number of detections per image.',
                     lower_bound=1, upper_bound=10000)

flag_group('Calibration of tflite_int8')
flags.DEFINE_list('calibration_images', [],
                  'Images to calibrate tflite_int8 with, similar to those it will be used on: '
                  'comma-separated files, folders or globs.')
flags.DEFINE_string('calibration_dataset_dir', None,
                    'Folder of TFRecords to calibrate tflite_int8 with, instead of '
                    'calibration_images.')
flags.DEFINE_string('calibration_split', 'train', 'Split of calibration_dataset_dir to use.')
flags.DEFINE_integer('calibration_size', 100, 'Maximum number of calibration images.',
                     lower_bound=1)


def check_flags():
    """Raise UserError for invalid flags that can be detected without TensorFlow."""
    app.require_flags(FLAGS, 'checkpoint_path', 'output_dir', 'formats')
    exporters.check_formats(FLAGS.formats)
    if FLAGS.anchor_preset:
        anchor_presets.canonical_text(FLAGS.anchor_preset)
    calibrated = [name for name in unique_formats() if exporters.FORMATS[name].is_calibrated]
    if not calibrated and (FLAGS.calibration_images or FLAGS.calibration_dataset_dir):
        raise UserError('only tflite_int8 uses calibration images. Add it to --formats, or leave '
                        'out the calibration flags')
    if calibrated and bool(FLAGS.calibration_images) == bool(FLAGS.calibration_dataset_dir):
        raise UserError(f'--formats={calibrated[0]} needs calibration images. Pass either '
                        f'--calibration_images or --calibration_dataset_dir')
    output_files.check_overwrite([output_path(name) for name in unique_formats()], FLAGS.overwrite)


def unique_formats():
    """Return the values of --formats without duplicates."""
    return list(dict.fromkeys(FLAGS.formats))


def output_path(name):
    """Return the path of the file or folder of a format."""
    return os.path.join(FLAGS.output_dir, exporters.FORMATS[name].output)


def load_calibration_images():
    """Return the encoded calibration images; an empty list if no format needs them."""
    from datasets import images
    from exporting import calibration
    if not any(exporters.FORMATS[name].is_calibrated for name in FLAGS.formats):
        return []
    if FLAGS.calibration_images:
        paths = images.expand_paths(FLAGS.calibration_images)
        encoded = calibration.load_from_files(paths, FLAGS.calibration_size)
    else:
        encoded = calibration.load_from_records(
            FLAGS.calibration_dataset_dir, FLAGS.calibration_split, FLAGS.calibration_size)
    log.info('calibrating with %s', counted(len(encoded), 'image'))
    return encoded


def write_labels(class_names):
    """Write labels.txt to the output folder, which is created if necessary.

    Raises:
        UserError: If the folder has a labels.txt with other class names, and --overwrite is not
            set.
    """
    from datasets import dataset_info
    path = os.path.join(FLAGS.output_dir, dataset_info.LABELS_FILE)
    if (os.path.exists(path) and not FLAGS.overwrite
            and dataset_info.read_labels(path) != class_names):
        raise UserError(f'{path} has the class names of another net. Choose another --output_dir, '
                        f'or pass --overwrite')
    files.make_output_folder(FLAGS.output_dir, 'output_dir')
    dataset_info.write_labels(FLAGS.output_dir, class_names)


def main():
    """Resolve the net of the checkpoint and write it in each format."""
    from checkpoints import trained_model
    from datasets import dataset_info
    from nets.post_processing import PostProcessingOptions

    class_names = dataset_info.read_labels(FLAGS.labels_file) if FLAGS.labels_file else None
    model = trained_model.resolve_model(FLAGS.checkpoint_path, FLAGS.model_name,
                                        FLAGS.anchor_preset, class_names)
    log.info('%s: %s, %s anchors, %d classes with the background', model.checkpoint,
             model.params.name, model.params.anchor_preset, len(model.class_names) + 1)
    post_processing = PostProcessingOptions(
        select_threshold=FLAGS.min_score, nms_threshold=FLAGS.nms_threshold,
        keep_top_k=FLAGS.max_detections)
    job = exporters.ExportJob(model, FLAGS.use_moving_averages, post_processing,
                              load_calibration_images())

    write_labels(model.class_names)
    for name in unique_formats():
        path = output_path(name)
        with output_files.atomic_output(path) as temporary_path:
            exporters.get_exporter(name)(temporary_path, job)
        log.info('%-12s %s, %.1f MB', name, path, output_files.total_bytes(path) / 1e6)


if __name__ == '__main__':
    os.environ['CUDA_VISIBLE_DEVICES'] = ''   # a training may be using the GPUs; no need for them
    app.run(main, check_flags)

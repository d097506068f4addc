"""Writes a checkpoint in the formats in which nets are shipped: SavedModel, frozen graph, TensorFlow Lite, ONNX.

python export_ssd_network.py --checkpoint_path=runs/mine/train --output_dir=exported --formats=saved_model,tflite,onnx

What each file takes and gives, and how it is loaded: docs/shipping.md.
"""
import os

from absl import flags

from cli import app
from common import files
from common.errors import UserError
from common.log import log
from exporting import exporters, output_files
from nets import anchor_presets

FLAGS = flags.FLAGS
flags.DEFINE_string('checkpoint_path', None, 'Checkpoint: a file, or a folder (its latest).')
flags.DEFINE_string('output_dir', 'exported', 'Folder for what is exported, and labels.txt.')
flags.DEFINE_list('formats', ['saved_model'], f'What to write, with commas: {", ".join(exporters.FORMATS)}.')
flags.DEFINE_bool('overwrite', False, 'Replaces what output_dir already holds of these formats.')
flags.DEFINE_string('model_name', '', 'The net; needed where no config.json lies beside the checkpoint.')
flags.DEFINE_string('anchor_preset', '', 'Sizes of its anchors (voc, coco, a file of your own), likewise.')
flags.DEFINE_string('labels_file', '', 'Class names, likewise.')
flags.DEFINE_bool('use_moving_averages', True, 'Uses the moving averages of the weights where there are.')
flags.DEFINE_float('min_score', .01, 'Least score of a detection.', lower_bound=0, upper_bound=1)
flags.DEFINE_float('nms_threshold', .45, 'Overlap from which a detection suppresses another.', lower_bound=0,
                   upper_bound=1)
flags.DEFINE_integer('max_detections', 200, 'Most detections of a picture.', lower_bound=1, upper_bound=10000)
flags.DEFINE_list('calibration_images', [], 'For tflite_int8: pictures like those that the net will see; files, '
                  'folders, globs, with commas.')
flags.DEFINE_string('calibration_dataset_dir', None, 'For tflite_int8, instead: a folder of TFRecords.')
flags.DEFINE_string('calibration_split', 'train', 'Its split.')
flags.DEFINE_integer('calibration_size', 100, 'Most pictures to calibrate with.', lower_bound=1)


def check_flags():
    """Refuses what can be known to be wrong before TensorFlow is loaded."""
    app.require_flags(FLAGS, 'checkpoint_path', 'output_dir', 'formats')
    exporters.check(FLAGS.formats)
    FLAGS.formats = list(dict.fromkeys(FLAGS.formats))
    if FLAGS.anchor_preset:
        anchor_presets.read(FLAGS.anchor_preset)
    calibrated = [name for name in FLAGS.formats if exporters.FORMATS[name].is_calibrated]
    if calibrated and bool(FLAGS.calibration_images) == bool(FLAGS.calibration_dataset_dir):
        raise UserError(f'--formats={calibrated[0]} needs pictures to calibrate with: give either '
                                f'--calibration_images or --calibration_dataset_dir')
    output_files.check_overwrite([output_path(name) for name in FLAGS.formats], FLAGS.overwrite)
    os.environ['CUDA_VISIBLE_DEVICES'] = ''   # nothing here needs a GPU, and somebody may be training there


def output_path(name):
    """Where a format goes."""
    return os.path.join(FLAGS.output_dir, exporters.FORMATS[name].output)


def calibration_pictures():
    """Encoded pictures for the formats that are calibrated, [] where none is wanted."""
    from datasets import images
    from exporting import calibration
    if not any(exporters.FORMATS[name].is_calibrated for name in FLAGS.formats):
        return []
    if FLAGS.calibration_images:
        found = calibration.from_files(images.expand_paths(FLAGS.calibration_images), FLAGS.calibration_size)
    else:
        found = calibration.from_records(FLAGS.calibration_dataset_dir, FLAGS.calibration_split,
                                         FLAGS.calibration_size)
    log.info('calibrating with %d pictures', len(found))
    return found


def write_labels(class_names):
    """labels.txt in the output folder; UserError where nets of other classes lie there."""
    from datasets import dataset_info
    path = os.path.join(FLAGS.output_dir, dataset_info.LABELS_FILE)
    if os.path.exists(path) and not FLAGS.overwrite and dataset_info.read_labels(path) != class_names:
        raise UserError(f'{path} names the classes of another net; choose another --output_dir, or pass '
                                f'--overwrite')
    files.make_output_folder(FLAGS.output_dir, 'output_dir')
    dataset_info.write_labels(FLAGS.output_dir, class_names)


def main():
    """Finds out which net it is, then writes it format by format."""
    from datasets import dataset_info
    from run_folder import trained_model

    class_names = dataset_info.read_labels(FLAGS.labels_file) if FLAGS.labels_file else None
    model = trained_model.resolve_model(FLAGS.checkpoint_path, FLAGS.model_name, FLAGS.anchor_preset, class_names)
    log.info('%s: %s, %s anchors, %d classes with the background', model.checkpoint, model.params.name,
             model.params.anchor_preset, len(model.class_names) + 1)
    options = exporters.Options(FLAGS.min_score, FLAGS.nms_threshold, FLAGS.max_detections)
    job = exporters.Job(model, FLAGS.use_moving_averages, options, calibration_pictures())

    write_labels(model.class_names)
    for name in FLAGS.formats:
        path = output_path(name)
        with output_files.atomic_output(path) as unfinished:
            exporters.exporter(name)(unfinished, job)
        log.info('%-12s %s, %.1f MB', name, path, output_files.total_bytes(path) / 1e6)


if __name__ == '__main__':
    app.run(main, check_flags)

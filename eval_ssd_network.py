r"""Evaluate a checkpoint: AP of Pascal VOC and COCO, precision-recall curves and error analysis.

python eval_ssd_network.py --checkpoint_path=runs/voc2007 --dataset_dir=data/voc2007 \
    --dataset_split_name=test

With --watch, evaluate each checkpoint of a running training and keep the best in train_dir/best:

python eval_ssd_network.py --watch --checkpoint_path=runs/voc2007 --dataset_dir=data/voc2007 \
    --dataset_split_name=val
"""
import contextlib
import importlib.util
import os

import numpy as np
from absl import flags

from cli import app
from cli.flag_help import flag_group
from common import files
from common.errors import UserError
from common.log import log
from common.text import counted, one_line
from metrics import common_classes, evaluated_image, submission
from metrics.evaluation import Evaluation
from nets import anchor_presets
from run_folder import checkpoint_files

FLAGS = flags.FLAGS

flag_group('Checkpoint and net')
flags.DEFINE_string('checkpoint_path', None,
                    'Checkpoint to evaluate: a file, or a folder, whose latest checkpoint is used.')
flags.DEFINE_string('model_name', '',
                    'Name of the net. Required only if no config.json is beside the checkpoint.')
flags.DEFINE_string('anchor_preset', '',
                    'Anchor sizes: voc, coco or a file. Required only if no config.json is beside '
                    'the checkpoint.')
flags.DEFINE_bool('use_moving_averages', True,
                  'Use the moving averages of the weights, if the checkpoint has them.')
flags.DEFINE_float('gpu_memory_fraction', .8, 'Fraction of the GPU memory to use.',
                   lower_bound=.01, upper_bound=1)

flag_group('Data')
flags.DEFINE_string('dataset_dir', None, 'Folder of TFRecords written by tf_convert_data.py.')
flags.DEFINE_string('dataset_name', '',
                    'Name of the dataset. Required only if dataset_dir has no dataset.json.')
flags.DEFINE_string('dataset_split_name', '',
                    'Split to evaluate on. Default: test, or else val.')
flags.DEFINE_integer('num_classes', 0,
                     'Number of classes, background included. 0: as in the dataset.', lower_bound=0)
flags.DEFINE_integer('batch_size', 32, 'Number of images per batch.', lower_bound=1)
flags.DEFINE_integer('num_preprocessing_threads', 0,
                     'Number of images preprocessed in parallel. 0: one per processor core.',
                     lower_bound=0, upper_bound=1024)

flag_group('Post-processing')
flags.DEFINE_float('select_threshold', .01, 'Score above which a detection is kept.', lower_bound=0,
                   upper_bound=1)
flags.DEFINE_integer('select_top_k', 400,
                     'Maximum number of boxes per class that enter non-maximum suppression.',
                     lower_bound=1)
flags.DEFINE_float('nms_threshold', .45,
                   'IoU above which non-maximum suppression removes the box with the lower score.',
                   lower_bound=0, upper_bound=1)
flags.DEFINE_integer('keep_top_k', 200, 'Maximum number of detections per image.', lower_bound=1)

flag_group('Metrics and results')
flags.DEFINE_float('matching_threshold', .5, 'Minimum IoU of a correct detection.', lower_bound=0,
                   upper_bound=1)
flags.DEFINE_float('min_score', .5,
                   'Minimum score of the detections that the error analysis counts and draws.',
                   lower_bound=0, upper_bound=1)
flags.DEFINE_integer('num_worst_images', 30,
                     'Maximum number of images on the page that shows the images with the most '
                     'errors.', lower_bound=0)
flags.DEFINE_alias('num_worst_pictures', 'num_worst_images')
flags.DEFINE_string('eval_dir', None,
                    'Folder for the results. Default: eval_<split> beside the checkpoint.')
flags.DEFINE_list('write_detections', [],
                  'Formats of evaluation servers to write the detections in, separated by commas: '
                  'voc, coco.')

flag_group('Evaluation during training')
flags.DEFINE_bool('watch', False,
                  'Evaluate each new checkpoint of the training in checkpoint_path (its train_dir) '
                  'until the training ends, and keep the best one in train_dir/best.')
flags.DEFINE_enum('best_metric', 'VOC07', ('VOC07', 'VOC12', 'COCO'),
                  'With --watch: the mAP that selects the best checkpoint.')
flags.DEFINE_float('watch_timeout_secs', 3600.,
                   'With --watch: seconds to wait for a training to start. 0: no limit.',
                   lower_bound=0)
flags.DEFINE_float('watch_restart_secs', 120.,
                   'With --watch: seconds to wait for a training that is not running, but has not '
                   'reached its last step, to resume.', lower_bound=0)

# Flags that change the metrics of a checkpoint. The history of --watch is valid only for the same
# values.
_METRIC_FLAGS = ('use_moving_averages', 'select_threshold', 'select_top_k', 'nms_threshold',
                 'keep_top_k', 'matching_threshold')
_NUM_BOARD_IMAGES = 6   # images in TensorBoard, the same for every checkpoint


def check_flags():
    """Raise UserError for invalid flags that can be detected without TensorFlow."""
    app.require_flags(FLAGS, 'checkpoint_path', 'dataset_dir')
    if FLAGS.anchor_preset:
        anchor_presets.canonical_text(FLAGS.anchor_preset)
    for package in ('faster_coco_eval', 'matplotlib'):
        if not importlib.util.find_spec(package):
            raise UserError(f'evaluation needs {package}, which is not installed. '
                            'Run pip install -r requirements.txt')
    for name in FLAGS.write_detections:
        if name not in submission.FORMATS:
            raise UserError(f"--write_detections: unknown format '{name}'. "
                            f'Pass {" or ".join(submission.FORMATS)}')
    if FLAGS.watch:
        checkpoint_files.check_path(FLAGS.checkpoint_path)
        if FLAGS.write_detections:
            raise UserError('--watch cannot be combined with --write_detections. Evaluate one '
                            'checkpoint without --watch, for example train_dir/best')
        is_prefix = os.path.basename(FLAGS.checkpoint_path).startswith('model.ckpt')
        if is_prefix or os.path.isfile(FLAGS.checkpoint_path):
            raise UserError('--watch needs the train_dir of a training as --checkpoint_path, but '
                            f'{FLAGS.checkpoint_path} is a checkpoint. Pass its folder')


def resolve_model(checkpoint_path, dataset):
    """Return the `Model` of a checkpoint; without class names of its own, it has the dataset's."""
    from checkpoints import trained_model
    model = trained_model.resolve_model(checkpoint_path, FLAGS.model_name, FLAGS.anchor_preset,
                                        default_class_names=dataset.class_names)
    if model.class_names != dataset.class_names:
        names = common_classes.find(model.class_names, dataset.class_names).names
        log.info('the detector has other classes than the dataset; evaluating %s: %s',
                 counted(len(names), 'common class'), one_line(', '.join(names)))
    return model


@contextlib.contextmanager
def open_network(model, dataset, classes):
    """Build the net and its input, and open a session that evaluates checkpoints.

    Args:
        model: `trained_model.Model`.
        dataset: `Dataset` of the split.
        classes: `CommonClasses` to evaluate.

    Yields:
        A function (checkpoint prefix, `Evaluation`) that restores the checkpoint and adds every
        image of the split to the evaluation.
    """
    import tensorflow.compat.v1 as tf
    from tqdm import tqdm

    from checkpoints import trained_model
    from datasets import broken_records, input_pipeline
    from deployment import model_deploy
    from nets.post_processing import PostProcessingOptions
    from preprocessing import ssd_preprocessing

    with tf.device('/device:CPU:0'):
        batch = input_pipeline.evaluation_batches(
            dataset, lambda record: ssd_preprocessing.preprocess_for_eval(
                record, model.params.image_size),
            FLAGS.batch_size, FLAGS.num_preprocessing_threads)
    options = PostProcessingOptions(FLAGS.select_threshold, FLAGS.select_top_k, FLAGS.nms_threshold,
                                    FLAGS.keep_top_k)
    images, ground_truth = batch.pop('image'), batch
    detections = trained_model.detect(images, model, options=options)
    restore = trained_model.make_restore_fn(model, FLAGS.use_moving_averages)
    rewind = tf.tables_initializer()
    config = model_deploy.inference_session_config(FLAGS.gpu_memory_fraction)

    def evaluate(checkpoint, evaluation):
        restore(session, checkpoint)
        session.run(rewind)
        num_batches = -(-dataset.num_examples // FLAGS.batch_size)
        with tqdm(total=dataset.num_examples, unit=' images', leave=not FLAGS.watch,
                  disable=None) as progress:
            for _ in range(num_batches):
                batch_truth, batch_detections = session.run([ground_truth, detections])
                for image in evaluated_image.split_batch(batch_truth, batch_detections):
                    evaluation.add(classes.select(image))
                progress.update(len(batch_detections.count))

    with broken_records.report_broken_records(dataset), tf.Session(config=config) as session:
        yield evaluate


def new_evaluation(dataset, extra_metrics=()):
    """Return an `Evaluation` without images, which keeps evenly spaced images for TensorBoard."""
    positions = np.linspace(0, dataset.num_examples - 1, _NUM_BOARD_IMAGES)
    board_indices = np.unique(positions.astype(int)).tolist()
    return Evaluation(dataset.class_names, FLAGS.matching_threshold, FLAGS.min_score,
                      FLAGS.num_worst_images, board_indices, extra_metrics)


def write_results(evaluation, model, dataset, eval_dir, writer):
    """Write the results of one checkpoint: JSON, plots and page, and TensorBoard summaries.

    Without ground truth, only the JSON file is written.

    Args:
        evaluation: `Evaluation` of all images.
        model: `trained_model.Model` with the evaluated checkpoint.
        dataset: `Dataset` of the split.
        eval_dir: folder for the files.
        writer: `tf.summary.FileWriter`.

    Returns:
        The content of `result.json`.
    """
    from visualization import board, evaluation_files
    result = {'checkpoint': model.checkpoint, 'step': model.step, 'model_name': model.params.name,
              'dataset': dataset.name, 'split': dataset.split, **evaluation.result()}
    files.write_json(os.path.join(eval_dir, 'result.json'), result)
    if evaluation.has_ground_truth():
        title = f'{dataset.name} {dataset.split}, {model.params.name}, step {model.step}'
        evaluation_files.write_files(eval_dir, title, evaluation, dataset)
        images = evaluation_files.draw_kept_images(evaluation, dataset)
        writer.add_summary(board.evaluation_summary(result, images), model.step)
        writer.flush()
    return result


def watch(dataset):
    """Evaluate the checkpoints of a training as they are written, until the training ends."""
    import tensorflow.compat.v1 as tf

    from run_folder import watching
    train_dir = os.path.normpath(FLAGS.checkpoint_path)
    eval_dir = FLAGS.eval_dir or os.path.join(train_dir, f'eval_{dataset.split}')
    evaluated_on = {'data': f'{dataset.name} {dataset.split} {dataset.fingerprint}',
                    **{name: getattr(FLAGS, name) for name in _METRIC_FLAGS}}
    log.info('watching %s, on %s %s: %s', train_dir, dataset.name, dataset.split,
             counted(dataset.num_examples, 'image'))
    evaluate = None
    with contextlib.ExitStack() as stack:
        watcher = stack.enter_context(watching.CheckpointWatcher(
            train_dir, eval_dir, FLAGS.best_metric, evaluated_on,
            timeout_secs=FLAGS.watch_timeout_secs, restart_secs=FLAGS.watch_restart_secs))
        for prefix, candidate in watcher.checkpoints():
            if evaluate is None:   # the net is known once the first checkpoint is written
                files.make_output_folder(eval_dir, 'eval_dir')
                model = resolve_model(train_dir, dataset)
                evaluated, classes = common_classes.restrict(dataset, model.class_names)
                evaluate = stack.enter_context(
                    open_network(model._replace(checkpoint=candidate), dataset, classes))
                writer = stack.enter_context(tf.summary.FileWriter(eval_dir))
            evaluation = new_evaluation(evaluated)
            evaluate(candidate, evaluation)
            if not evaluation.has_ground_truth():
                raise UserError(f'{dataset.name} {dataset.split} has no ground truth, so its '
                                'checkpoints cannot be compared. Pass another '
                                '--dataset_split_name')
            result = write_results(evaluation, model._replace(checkpoint=prefix), evaluated,
                                   eval_dir, writer)
            watcher.add_result(candidate, result['step'], result['mAP'], COCO=result['COCO'])
        log.info('%s', watcher.best_summary())
    log.info('results written to %s', eval_dir)


def main():
    """Evaluate one checkpoint, or with --watch all checkpoints of a training."""
    import tensorflow.compat.v1 as tf

    from datasets import dataset_factory, ground_truth
    from run_folder import poor_results
    split = FLAGS.dataset_split_name or dataset_factory.evaluation_split(
        FLAGS.dataset_name, FLAGS.dataset_dir)
    dataset = dataset_factory.get_dataset(
        FLAGS.dataset_name, split, FLAGS.dataset_dir, FLAGS.num_classes)
    if FLAGS.watch:
        return watch(dataset)
    model = resolve_model(FLAGS.checkpoint_path, dataset)
    evaluated, classes = common_classes.restrict(dataset, model.class_names)
    eval_dir = FLAGS.eval_dir or os.path.join(
        os.path.dirname(model.checkpoint), f'eval_{dataset.split}')
    files.make_output_folder(eval_dir, 'eval_dir')
    submissions = [submission.create(name, evaluated, model.params.name)
                   for name in FLAGS.write_detections]
    log.info('evaluating %s on %s %s: %s', model.checkpoint, dataset.name, dataset.split,
             counted(dataset.num_examples, 'image'))

    evaluation = new_evaluation(evaluated, submissions)
    with open_network(model, dataset, classes) as evaluate:
        evaluate(model.checkpoint, evaluation)
    with tf.summary.FileWriter(eval_dir) as writer:
        result = write_results(evaluation, model, evaluated, eval_dir, writer)
    for submission_metric in submissions:
        log.info('%s', submission_metric.write(os.path.join(eval_dir, 'detections')))
    for line in evaluation.report():
        log.info('%s', line)
    if evaluation.has_ground_truth() and poor_results.is_poor(result):
        for line in poor_results.likely_reasons(
                model, result, evaluation.max_score, ground_truth.read_boxes(dataset)):
            log.info('%s', line)
    log.info('results written to %s', eval_dir)
    return 0


if __name__ == '__main__':
    app.run(main, check_flags)

"""Evaluates a checkpoint: average precision as Pascal VOC 2007 and 2012 and COCO count, curves, mistakes.

python eval_ssd_network.py --checkpoint_path=runs/voc2007 --dataset_dir=data/voc2007 --dataset_split_name=test

With --watch, the checkpoints of a running training as they come, the best of which is kept in train_dir/best:

python eval_ssd_network.py --watch --checkpoint_path=runs/voc2007 --dataset_dir=data/voc2007 --dataset_split_name=val
"""
import contextlib
import importlib.util
import os

from absl import flags

from cli import app
from common import files
from common.errors import UserError
from common.log import log
from metrics.servers import SERVERS
from nets import anchor_presets
from run_folder import checkpoint_files

FLAGS = flags.FLAGS
flags.DEFINE_string('checkpoint_path', None, 'Checkpoint to evaluate: a file, or a folder (its latest).')
flags.DEFINE_string('eval_dir', None, 'Folder for the results. Default: eval_<split> beside the checkpoint.')
flags.DEFINE_string('dataset_name', '', 'Name of the data set; needed where its folder has no dataset.json.')
flags.DEFINE_string('dataset_split_name', 'test', 'Split to evaluate on.')
flags.DEFINE_string('dataset_dir', None, 'Folder of TFRecords, as tf_convert_data.py writes them.')
flags.DEFINE_integer('num_classes', 0, 'Classes, background included; 0: as the data set says.', lower_bound=0)
flags.DEFINE_string('model_name', '', 'The net; needed where no config.json lies beside the checkpoint.')
flags.DEFINE_string('anchor_preset', '', 'Sizes of its anchors (voc, coco, a file of your own); needed where '
                    'no config.json lies beside the checkpoint.')
flags.DEFINE_bool('use_moving_averages', True, 'Uses the moving averages of the weights where there are.')
flags.DEFINE_integer('batch_size', 32, 'Images in a batch.', lower_bound=1)
flags.DEFINE_integer('num_preprocessing_threads', 0, 'Images made at a time; 0: one for every processor core.',
                     lower_bound=0, upper_bound=1024)
flags.DEFINE_float('select_threshold', .01, 'Least score of a detection.', lower_bound=0, upper_bound=1)
flags.DEFINE_integer('select_top_k', 400, 'Detections of a class that go into suppression.', lower_bound=1)
flags.DEFINE_float('nms_threshold', .45, 'Overlap from which a detection suppresses another.', lower_bound=0,
                   upper_bound=1)
flags.DEFINE_integer('keep_top_k', 200, 'Detections of an image that are kept.', lower_bound=1)
flags.DEFINE_float('matching_threshold', .5, 'Overlap from which a detection is right.', lower_bound=0,
                   upper_bound=1)
flags.DEFINE_float('min_score', .5, 'Least score of a detection that counts as found, false or taken for another '
                   'class, and is drawn.', lower_bound=0, upper_bound=1)
flags.DEFINE_integer('num_worst_pictures', 30, 'Pictures on the page of those with the most mistakes.', lower_bound=0)
flags.DEFINE_list('write_detections', [], 'Writes them for the evaluation servers of voc, coco or both.')
flags.DEFINE_bool('watch', False, 'Evaluates each new checkpoint of the training in --checkpoint_path, its train_dir, '
                  'until that ends, and keeps the best in train_dir/best.')
flags.DEFINE_enum('best_metric', 'VOC07', ('VOC07', 'VOC12', 'COCO'), 'For --watch: the mAP by which it is the best.')
flags.DEFINE_float('watch_timeout_secs', 3600., 'For --watch: how long to wait for a training to begin; 0: without '
                   'end.', lower_bound=0)
flags.DEFINE_float('watch_restart_secs', 120., 'For --watch: how long to wait for a training to go on that was '
                   'stopped or killed, or that nobody was seen to run.', lower_bound=0)
flags.DEFINE_float('gpu_memory_fraction', .8, 'Share of the GPU\'s memory to take.', lower_bound=.01, upper_bound=1)


# What the numbers of a checkpoint depend on beside the data.
_MATTERS = ('use_moving_averages', 'select_threshold', 'select_top_k', 'nms_threshold', 'keep_top_k',
            'matching_threshold')
_SHOWN = 6   # pictures that the board shows, the same for every checkpoint


def check_flags():
    """Refuses what can be known to be wrong before TensorFlow is loaded."""
    app.require_flags(FLAGS, 'checkpoint_path', 'dataset_dir')
    if FLAGS.anchor_preset:
        anchor_presets.read(FLAGS.anchor_preset)
    for package in ('faster_coco_eval', 'matplotlib'):
        if not importlib.util.find_spec(package):
            raise UserError(f'evaluation needs {package}, which is missing: pip install -r requirements.txt')
    unknown = [name for name in FLAGS.write_detections if name not in SERVERS]
    if unknown:
        raise UserError(f"--write_detections: there is no server '{unknown[0]}', but {', '.join(SERVERS)}")
    if FLAGS.watch:
        checkpoint_files.check_path(FLAGS.checkpoint_path)
        if FLAGS.write_detections:
            raise UserError('--write_detections is for one checkpoint, train_dir/best say; leave out it or '
                                    '--watch')
        if os.path.basename(FLAGS.checkpoint_path).startswith('model.ckpt') or os.path.isfile(FLAGS.checkpoint_path):
            raise UserError(f'--watch wants the train_dir of a training as --checkpoint_path, and '
                                    f'{FLAGS.checkpoint_path} is a checkpoint')


@contextlib.contextmanager
def network(model, dataset):
    """The net on the split's pictures. In its block, a function (prefix of a checkpoint, `Evaluation`) that restores
    the one and adds every picture to the other."""
    import tensorflow.compat.v1 as tf
    from tqdm import tqdm

    from datasets import broken_records, input_pipeline
    from deployment import model_deploy
    from metrics import picture
    from nets.post_processing import PostProcessingOptions
    from preprocessing import ssd_preprocessing
    from run_folder import trained_model

    with tf.device('/device:CPU:0'):
        batch = input_pipeline.evaluation_batches(
            dataset, lambda record: ssd_preprocessing.preprocess_for_eval(
                record, model.params.image_size, model.params.mean),
            FLAGS.batch_size, FLAGS.num_preprocessing_threads)
    detections = trained_model.detect(
        batch.pop('image'), model, options=PostProcessingOptions(
            FLAGS.select_threshold, FLAGS.select_top_k, FLAGS.nms_threshold, FLAGS.keep_top_k))
    restore = trained_model.make_restore_fn(model, FLAGS.use_moving_averages)
    begin = tf.tables_initializer()
    config = model_deploy.inference_session_config(FLAGS.gpu_memory_fraction)

    def run(checkpoint, evaluation):
        restore(session, checkpoint)
        session.run(begin)
        with tqdm(total=dataset.num_examples, unit=' pictures', leave=not FLAGS.watch,
                  disable=None if FLAGS.watch else False) as progress:
            for _ in range(-(-dataset.num_examples // FLAGS.batch_size)):
                truths, found = session.run([batch, detections])
                for one in picture.of_batch(truths, found):
                    evaluation.add(one)
                progress.update(len(found.count))

    with broken_records.report_broken_records(dataset), tf.Session(config=config) as session:
        yield run


def new_evaluation(dataset, servers=()):
    """An `Evaluation` without any picture yet."""
    import numpy as np

    from metrics.evaluation import Evaluation
    shown = np.unique(np.linspace(0, dataset.num_examples - 1, _SHOWN).astype(int)).tolist()
    return Evaluation(dataset.class_names, FLAGS.matching_threshold, FLAGS.min_score, FLAGS.num_worst_pictures, shown,
                      servers)


def write(evaluation, model, dataset, eval_dir, writer):
    """Writes what came out: numbers, files for people, and what TensorBoard shows. Returns the numbers."""
    from visualization import board, evaluation_files
    result = {'checkpoint': model.checkpoint, 'step': model.step, 'model_name': model.params.name,
              'dataset': dataset.name, 'split': dataset.split, **evaluation.result()}
    files.write_json(os.path.join(eval_dir, 'result.json'), result)
    if evaluation.has_truths():
        evaluation_files.write(eval_dir, f'{dataset.name} {dataset.split}, {model.params.name}, step {model.step}',
                               evaluation, dataset)
        writer.add_summary(board.evaluation_summary(result, evaluation_files.kept_pictures(evaluation, dataset)), model.step)
        writer.flush()
    return result


def watch(dataset):
    """Evaluates the checkpoints of a training as they come, until it ends."""
    import tensorflow.compat.v1 as tf

    from run_folder import trained_model, watching
    train_dir = os.path.normpath(FLAGS.checkpoint_path)
    eval_dir = FLAGS.eval_dir or os.path.join(train_dir, f'eval_{dataset.split}')
    evaluated_on = {'data': f'{dataset.name} {dataset.split} {dataset.fingerprint}',
                    **{name: getattr(FLAGS, name) for name in _MATTERS}}
    log.info('watching %s, on %s %s: %d pictures', train_dir, dataset.name, dataset.split, dataset.num_examples)
    run = None
    with contextlib.ExitStack() as stack:
        watcher = stack.enter_context(watching.CheckpointWatcher(
            train_dir, eval_dir, FLAGS.best_metric, evaluated_on, timeout_secs=FLAGS.watch_timeout_secs,
            restart_secs=FLAGS.watch_restart_secs))
        for prefix, held in watcher.checkpoints():
            if run is None:
                model = trained_model.resolve_model(train_dir, FLAGS.model_name, FLAGS.anchor_preset, dataset.class_names)
                run = stack.enter_context(network(model._replace(checkpoint=held), dataset))
                writer = stack.enter_context(tf.summary.FileWriter(eval_dir))
            evaluation = new_evaluation(dataset)
            run(held, evaluation)
            if not evaluation.has_truths():
                raise UserError(f'{dataset.name} {dataset.split} has no ground truth, by which one checkpoint '
                                        f'could be better than another; choose another --dataset_split_name')
            result = write(evaluation, model._replace(checkpoint=prefix), dataset, eval_dir, writer)
            watcher.add_result(held, result['step'], result['mAP'], COCO=result['COCO'])
        log.info('%s', watcher.best_summary())
    log.info('written to %s', eval_dir)


def main():
    """Builds the graph of the net on the split's batches, runs it over all of them, writes what came out."""
    import tensorflow.compat.v1 as tf

    from datasets import dataset_factory
    from run_folder import trained_model
    dataset = dataset_factory.get_dataset(FLAGS.dataset_name, FLAGS.dataset_split_name, FLAGS.dataset_dir,
                                          FLAGS.num_classes)
    if FLAGS.watch:
        return watch(dataset)
    model = trained_model.resolve_model(FLAGS.checkpoint_path, FLAGS.model_name, FLAGS.anchor_preset, dataset.class_names)
    eval_dir = FLAGS.eval_dir or os.path.join(os.path.dirname(model.checkpoint), f'eval_{dataset.split}')
    files.make_output_folder(eval_dir, 'eval_dir')
    servers = [SERVERS[name](dataset, model.params.name) for name in FLAGS.write_detections]
    log.info('%s on %s %s: %d pictures', model.checkpoint, dataset.name, dataset.split, dataset.num_examples)

    evaluation = new_evaluation(dataset, servers)
    with network(model, dataset) as run:
        run(model.checkpoint, evaluation)
    with tf.summary.FileWriter(eval_dir) as writer:
        write(evaluation, model, dataset, eval_dir, writer)
    for server in servers:
        log.info('%s', server.write(os.path.join(eval_dir, 'detections')))
    for line in evaluation.lines():
        log.info('%s', line)
    log.info('written to %s', eval_dir)
    return 0


if __name__ == '__main__':
    app.run(main, check_flags)

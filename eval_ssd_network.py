"""Evaluates a checkpoint: average precision of every class and their mean, as Pascal VOC 2007 and 2012 count.

python eval_ssd_network.py --checkpoint_path=runs/voc2007 --dataset_dir=data/voc2007 --dataset_split_name=test
"""
import os

from absl import flags

from deployment import command, files
from deployment.console import log
from nets import anchor_presets

FLAGS = flags.FLAGS
flags.DEFINE_string('checkpoint_path', None, 'Checkpoint to evaluate: a file, or a folder (its latest).')
flags.DEFINE_string('eval_dir', None, 'Folder for the results. Default: eval_<split> beside the checkpoint.')
flags.DEFINE_string('dataset_name', '', 'Name of the data set; needed where its folder has no dataset.json.')
flags.DEFINE_string('dataset_split_name', 'test', 'Split to evaluate on.')
flags.DEFINE_string('dataset_dir', None, 'Folder of TFRecords, as tf_convert_data.py writes them.')
flags.DEFINE_integer('num_classes', 0, 'Classes, background included; 0: as the data set says.', lower_bound=0)
flags.DEFINE_string('model_name', '', 'The net; needed where no config.json lies beside the checkpoint.')
flags.DEFINE_string('anchor_preset', '', 'Sizes of its anchors (voc, coco, a file of your own), likewise.')
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
flags.DEFINE_float('gpu_memory_fraction', .8, 'Share of the GPU\'s memory to take.', lower_bound=.01, upper_bound=1)


def check_flags():
    """Refuses what can be known to be wrong before TensorFlow is loaded."""
    command.require(FLAGS, 'checkpoint_path', 'dataset_dir')
    if FLAGS.anchor_preset:
        anchor_presets.read(FLAGS.anchor_preset)


def _number(value):
    """A float for JSON, which has no NaN: None where there was nothing to find."""
    return None if value != value else float(value)


def report(metric, model, dataset):
    """The result as it is written and printed."""
    years = {year: metric.average_precisions(year) for year in ('VOC07', 'VOC12')}
    return {
        'checkpoint': model.checkpoint, 'step': model.step, 'model_name': model.params.name,
        'dataset': dataset.name, 'split': dataset.split, 'pictures': dataset.num_examples,
        'mAP': {year: _number(metric.mean_average_precision(year)) for year in years},
        'classes': {name: {'truths': metric.num_truths(label),
                           **{year: _number(found[label]) for year, found in years.items()}}
                    for label, name in enumerate(model.class_names, 1)}}


def _shown(value):
    return '-' if value is None else f'{value:.3f}'


def print_report(result):
    """The table that a person reads."""
    width = max(map(len, [*result['classes'], 'class']))
    log.info('%s', f'{"class":{width}}  truths  AP VOC07  AP VOC12')
    for name, row in result['classes'].items():
        values = '  '.join(f'{_shown(row[year]):>8}' for year in result['mAP'])
        log.info('%s', f'{name:{width}}  {row["truths"]:6}  {values}')
    log.info('mAP over the classes that occur: %s',
             ', '.join(f'{year} {_shown(value)}' for year, value in result['mAP'].items()))


def main():
    """Builds the graph of the net on the split's batches, runs it over all of them, writes what came out."""
    import tensorflow.compat.v1 as tf
    from tqdm import tqdm

    from datasets import broken_records, dataset_factory, input_pipeline
    from deployment import model_deploy
    from metrics.voc import VocMetric
    from nets import inference
    from preprocessing import ssd_preprocessing

    dataset = dataset_factory.get_dataset(FLAGS.dataset_name, FLAGS.dataset_split_name, FLAGS.dataset_dir,
                                          FLAGS.num_classes)
    model = inference.find_model(FLAGS.checkpoint_path, FLAGS.model_name, FLAGS.anchor_preset, dataset.class_names)
    eval_dir = FLAGS.eval_dir or os.path.join(os.path.dirname(model.checkpoint), f'eval_{dataset.split}')
    log.info('%s on %s %s: %d pictures', model.checkpoint, dataset.name, dataset.split, dataset.num_examples)

    with tf.device('/device:CPU:0'):
        batch = input_pipeline.evaluation_batches(
            dataset, lambda record: ssd_preprocessing.preprocess_for_eval(
                record, model.params.image_size, model.params.mean),
            FLAGS.batch_size, FLAGS.num_preprocessing_threads)
    detections = inference.detect(batch['image'], model, select_threshold=FLAGS.select_threshold,
                                  select_top_k=FLAGS.select_top_k, nms_threshold=FLAGS.nms_threshold,
                                  keep_top_k=FLAGS.keep_top_k)
    restore = inference.restorer(model, FLAGS.use_moving_averages)

    metric = VocMetric(dataset.num_classes, FLAGS.matching_threshold)
    truths = (batch['boxes'], batch['labels'], batch['difficult'])
    config = model_deploy.session_config(model_deploy.deploy(
        1, False, len(tf.config.list_physical_devices('GPU'))), FLAGS.gpu_memory_fraction)
    with broken_records.named(dataset), tf.Session(config=config) as session, \
         tqdm(total=dataset.num_examples, unit=' pictures') as progress:
        restore(session)
        for _ in range(-(-dataset.num_examples // FLAGS.batch_size)):
            (boxes, labels, difficult), found = session.run([truths, detections])
            for i, count in enumerate(found.count):
                real = labels[i] > 0   # the rest is padding
                metric.add(boxes[i][real], labels[i][real], difficult[i][real], found.boxes[i, :count],
                           found.labels[i, :count], found.scores[i, :count])
            progress.update(len(labels))

    result = report(metric, model, dataset)
    os.makedirs(eval_dir, exist_ok=True)
    files.write_json(os.path.join(eval_dir, 'result.json'), result)
    with tf.summary.FileWriter(eval_dir) as writer:
        scalars = {f'mAP/{year}': value for year, value in result['mAP'].items() if value is not None}
        scalars |= {f'AP_VOC07/{name}': row['VOC07'] for name, row in result['classes'].items()
                    if row['VOC07'] is not None}
        writer.add_summary(tf.Summary(value=[tf.Summary.Value(tag=tag, simple_value=value)
                                             for tag, value in scalars.items()]), model.step)
    print_report(result)
    log.info('written to %s', eval_dir)


if __name__ == '__main__':
    command.run(main, check_flags)

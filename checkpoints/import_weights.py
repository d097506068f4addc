"""Writes weights of any kind that --checkpoint_path takes as a TensorFlow checkpoint of one of this project's nets.

python checkpoints/import_weights.py --checkpoint_path=VGG_VOC0712_SSD_300x300.caffemodel --model_name=ssd_300_vgg \\
  --labels_file=labels.txt --anchor_preset=voc --output_dir=checkpoints/ssd_300_voc

What is there of the net is written, layers that are not are left out. A whole detector, given the names of its
classes and the preset of its anchors, can be evaluated and can predict at once.
"""
import os
import sys

sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))   # as scripts of the top level have it

from absl import flags  # noqa: E402

from cli import app  # noqa: E402
from common import files  # noqa: E402
from common.errors import UserError  # noqa: E402
from common.log import log  # noqa: E402
from datasets import dataset_info  # noqa: E402
from nets import anchor_presets, nets_factory  # noqa: E402
from run_folder import checkpoint_files, run_config  # noqa: E402

FLAGS = flags.FLAGS
flags.DEFINE_string('checkpoint_path', None, 'Weights to import: a TensorFlow checkpoint (a file, or a folder: its '
                    'latest), .npz, .pth or .caffemodel.')
flags.DEFINE_string('model_name', None, f'The net that they become: {", ".join(nets_factory.names())}.')
flags.DEFINE_string('output_dir', None, 'Folder to write the checkpoint to; it may not hold one.')
flags.DEFINE_string('checkpoint_model_scope', None, 'Name that stands there for model_name/, if another.')
flags.DEFINE_bool('use_moving_averages', False, 'Takes the moving averages of the weights.')
flags.DEFINE_string('labels_file', None, 'Names of the classes of a detector: lines id:name, or names in order.')
flags.DEFINE_string('anchor_preset', None, 'Sizes of the anchors that a detector was trained with: voc for those of '
                    'the SSD authors, coco for the public TF1 ones, or a file of your own.')
flags.DEFINE_bool('ignore_missing_vars', False, 'Imports what is there of a file that lacks some.')


def check_flags():
    """Refuses what can be known to be wrong before TensorFlow is loaded."""
    app.require_flags(FLAGS, 'checkpoint_path', 'model_name', 'output_dir')
    nets_factory.get_params(FLAGS.model_name, FLAGS.anchor_preset or 'voc')
    if checkpoint_files.list_checkpoints(FLAGS.output_dir):
        raise UserError(f'{FLAGS.output_dir} holds a checkpoint already; choose another --output_dir')


def make_variables(params, num_classes):
    """The model variables of a net, made in the default graph."""
    import tensorflow.compat.v1 as tf

    from nets import ssd
    ssd.build(tf.zeros([1, params.image_size, params.image_size, 3]), params, num_classes, is_training=False)
    return tf.model_variables()


def description(source):
    """What a detector was trained for, for its configuration, with None for what is not known.

    The configuration beside the source cannot be overruled by flags. UserError where it contradicts them.
    """
    kept = run_config.model_of_checkpoint(source.path)
    given = {'model_name': FLAGS.model_name,
             'anchor_preset': FLAGS.anchor_preset and anchor_presets.read(FLAGS.anchor_preset),
             'class_names': dataset_info.read_labels(FLAGS.labels_file) if FLAGS.labels_file else None}
    for name, value in given.items():
        if name != 'model_name' and value and kept.get(name, value) != value:
            raise UserError(f'{source.path} was trained with {name} {kept[name]}, not {value}; leave that out')
    return {name: value or kept.get(name) for name, value in given.items()}


def check_class_names(source, names, num_classes):
    """UserError where there are other names than classes."""
    if names and num_classes and len(names) + 1 != num_classes:
        raise UserError(f'{source.path} has {num_classes} classes with the background, but {len(names)} names '
                                f'are given; the background is not named')


def main():
    """Reads the weights, says what they give, writes them."""
    import tensorflow.compat.v1 as tf

    from checkpoints import report, restoring, sources
    from run_folder import saved_checkpoints as saved

    source = sources.open_source(FLAGS.checkpoint_path)
    model = description(source)
    params = nets_factory.get_params(FLAGS.model_name, model['anchor_preset'] or 'voc')
    num_classes = restoring.count_classes(source, params, FLAGS.checkpoint_model_scope)
    check_class_names(source, model['class_names'], num_classes)
    variables = make_variables(params, num_classes or 2)
    plan = restoring.make_plan(source, variables, params.name, (), FLAGS.checkpoint_model_scope,
                               FLAGS.use_moving_averages)
    restoring.check_plan(plan, params.name, FLAGS.ignore_missing_vars)
    report.log_restore_table(plan)

    restore = restoring.make_init_fn(plan)
    saver = saved.CheckpointSaver(var_list=[v for v in variables if v.op.name in plan.values])
    os.makedirs(FLAGS.output_dir, exist_ok=True)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        restore(session)
        saver.save(session, os.path.join(FLAGS.output_dir, 'model.ckpt'), global_step=0, write_meta_graph=False)
    if plan.not_restored:
        log.info('to train from it: --checkpoint_path=%s', FLAGS.output_dir)
    elif not all(model.values()):
        log.info('a whole detector of %d classes and the background; with --labels_file and --anchor_preset it could '
                 'be evaluated and could predict', num_classes - 1)
    else:
        files.write_json(os.path.join(FLAGS.output_dir, run_config.CONFIG_FILE), {
            'model': {**model, 'num_classes': num_classes}, 'flags': {}})
        log.info('a whole detector: --checkpoint_path=%s to train, evaluate or predict with it', FLAGS.output_dir)


if __name__ == '__main__':
    app.run(main, check_flags)

"""Writes weights of any kind that --checkpoint_path takes as a TensorFlow checkpoint of one of this project's nets.

python checkpoints/import_weights.py --checkpoint_path=VGG_VOC0712_SSD_300x300.caffemodel --model_name=ssd_300_vgg \\
  --labels_file=voc_labels.txt --output_dir=checkpoints/ssd_300_voc

What is there of the net is written, layers that are not are left out. A whole detector, given the names of its
classes, can be evaluated and predict right away.
"""
import os
import sys

sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))   # as scripts of the top level have it

from absl import flags  # noqa: E402

from datasets import facts  # noqa: E402
from deployment import command, files, run_folder  # noqa: E402
from deployment.console import log  # noqa: E402
from nets import nets_factory, ssd_params  # noqa: E402

FLAGS = flags.FLAGS
flags.DEFINE_string('checkpoint_path', None, 'Weights to import: a TensorFlow checkpoint (a file, or a folder: its '
                    'latest), .npz, .pth or .caffemodel.')
flags.DEFINE_string('model_name', None, 'The net that they become.')
flags.DEFINE_string('output_dir', None, 'Folder to write the checkpoint to; it may not hold one.')
flags.DEFINE_string('checkpoint_model_scope', None, 'Name that stands there for model_name/, if another.')
flags.DEFINE_bool('use_moving_averages', False, 'Takes the moving averages of the weights.')
flags.DEFINE_string('labels_file', None, 'Names of the classes of a detector: lines id:name, or names in order.')
flags.DEFINE_enum('anchor_preset', 'voc', list(ssd_params.PRESETS), 'Sizes of the anchors that a detector was '
                  'trained with.')


def check_flags():
    """Refuses what can be known to be wrong before TensorFlow is loaded."""
    command.require(FLAGS, 'checkpoint_path', 'model_name', 'output_dir')
    nets_factory.get_params(FLAGS.model_name)
    if run_folder.checkpoints_in(FLAGS.output_dir):
        raise command.UserError(f'{FLAGS.output_dir} holds a checkpoint already; choose another --output_dir')


def make_variables(params, num_classes):
    """The model variables of a net, made in the default graph."""
    import tensorflow.compat.v1 as tf

    from nets import ssd
    ssd.build(tf.zeros([1, params.image_size, params.image_size, 3]), params, num_classes, is_training=False)
    return tf.model_variables()


def main():
    """Reads the weights, says what they give, writes them."""
    import tensorflow.compat.v1 as tf

    from checkpoints import report, restoring, sources
    from deployment import checkpoints as saved

    params = nets_factory.get_params(FLAGS.model_name, FLAGS.anchor_preset)
    source = sources.open_source(FLAGS.checkpoint_path)
    class_names = facts.read_labels(FLAGS.labels_file) if FLAGS.labels_file else []
    num_classes = len(class_names) + 1 if class_names else restoring.num_classes(source, params) or 2
    variables = make_variables(params, num_classes)
    plan = restoring.make_plan(source, variables, params.name, (), FLAGS.checkpoint_model_scope,
                               FLAGS.use_moving_averages)
    restoring.check(plan, params.name, ignore_missing=True)
    report.log_table(plan)

    restore = restoring.init_fn(plan)
    saver = saved.CheckpointSaver(var_list=[v for v in variables if v.op.name in plan.values])
    os.makedirs(FLAGS.output_dir, exist_ok=True)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        restore(session)
        saver.save(session, os.path.join(FLAGS.output_dir, 'model.ckpt'), global_step=0, write_meta_graph=False)
    if plan.left:
        log.info('to train from it: --checkpoint_path=%s', FLAGS.output_dir)
    elif not class_names:
        log.info('a whole detector of %d classes; give --labels_file to evaluate and predict with it', num_classes - 1)
    else:
        model = {'model_name': params.name, 'anchor_preset': params.anchor_preset, 'num_classes': num_classes,
                 'class_names': class_names}
        files.write_json(os.path.join(FLAGS.output_dir, run_folder.CONFIG), {'model': model, 'flags': {}})
        log.info('a whole detector: --checkpoint_path=%s to train, evaluate or predict with it', FLAGS.output_dir)


if __name__ == '__main__':
    command.run(main, check_flags)

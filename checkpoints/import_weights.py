"""Convert pretrained weights of any supported format to a TensorFlow checkpoint of one of our nets.

python checkpoints/import_weights.py --checkpoint_path=ssd300_vgg16_coco.pth \\
  --output_dir=checkpoints/ssd300_coco

The kind of the file is recognized. For a detector of a known kind, its net, its anchors and mostly
its class names need no flag; it can be evaluated and can predict without training. Layers that the
file does not hold are left out.
"""
import os
import sys

# Import from the root of the repository, like the scripts that are there.
sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from absl import flags  # noqa: E402

from cli import app  # noqa: E402
from cli.flag_help import flag_group  # noqa: E402
from common import files  # noqa: E402
from common.errors import UserError  # noqa: E402
from common.log import log  # noqa: E402
from common.text import counted  # noqa: E402
from datasets import dataset_info  # noqa: E402
from nets import anchor_presets, nets_factory  # noqa: E402
from run_folder import checkpoint_files, run_config  # noqa: E402

FLAGS = flags.FLAGS
flag_group('Weights to import')
flags.DEFINE_string(
    'checkpoint_path', None,
    'Weights to import: a TensorFlow checkpoint (a file, or a folder: its latest checkpoint), '
    'or a weight file of another program.')
flags.DEFINE_string(
    'checkpoint_model_scope', None,
    'Scope of the net in the imported weights, if it differs from --model_name.')
flags.DEFINE_bool(
    'use_moving_averages', False,
    'Import the moving averages of the variables that have one. Unlike in evaluation, prediction '
    'and export, the default is false.')
flags.DEFINE_bool(
    'ignore_missing_vars', False, 'Import a file that lacks some of the variables.')

flag_group('Checkpoint to write')
flags.DEFINE_string(
    'output_dir', None, 'Folder for the new checkpoint; it must not hold a checkpoint yet.')
flags.DEFINE_string(
    'model_name', None, 'Name of the net, if the weights are not those of a detector of a known '
    f'kind: {", ".join(nets_factory.names())}.')
flags.DEFINE_string(
    'labels_file', None,
    'Class names of a detector: lines "label:name", or the names in the order of their labels.')
flags.DEFINE_string(
    'anchor_preset', None,
    'Anchor sizes the detector was trained with, if its file does not tell: voc (the SSD authors), '
    'coco (the public TF1 checkpoints), or a file of anchor sizes.')


def check_flags():
    """Validate the flags before TensorFlow is imported."""
    app.require_flags(FLAGS, 'checkpoint_path', 'output_dir')
    if FLAGS.model_name:
        nets_factory.get_params(FLAGS.model_name, FLAGS.anchor_preset or 'voc')
    if checkpoint_files.list_checkpoints(FLAGS.output_dir):
        raise UserError(f'{FLAGS.output_dir} holds a checkpoint already. Choose another '
                        f'--output_dir')


def build_variables(params, num_classes):
    """Build a net in the default graph and return its model variables."""
    import tensorflow.compat.v1 as tf

    from nets import ssd
    images = tf.zeros([1, params.image_size, params.image_size, 3])
    ssd.build(images, params, num_classes, is_training=False)
    return tf.model_variables()


def resolve_model(source, known):
    """Return the net to write, from the flags and from what is known of the source.

    Args:
        source: a `WeightSource`.
        known: what `description.describe_weights` tells of it. --anchor_preset and --labels_file
            must agree with it; --model_name may name another net.

    Returns:
        (params, preset, class_names): `SSDParams`, the text of its anchors, and the names of its
        classes. The last two are None if unknown; `params` then has the anchors 'voc'.

    Raises:
        UserError: If a flag contradicts the source, or the net is unknown.
    """
    from checkpoints import description, nearest_kind
    preset = FLAGS.anchor_preset and anchor_presets.canonical_text(FLAGS.anchor_preset)
    class_names = dataset_info.read_labels(FLAGS.labels_file) if FLAGS.labels_file else None
    model_name = FLAGS.model_name or known.get('model_name')
    if not model_name:
        raise UserError(nearest_kind.explain_unknown_net(source))
    is_same_net = model_name == known.get('model_name')
    model = description.with_flags(source, known, anchor_preset=preset, class_names=class_names)
    preset = model.get('anchor_preset') if is_same_net else preset
    params = nets_factory.get_params(model_name, preset or 'voc',
                                     nets_factory.inherited_differences(model_name, known))
    return params, preset, model.get('class_names')


def check_class_names(source, class_names, num_classes):
    """Check that there is a name for each class except the background.

    Args:
        source: a `WeightSource`, for the error.
        class_names: list of str, or None if unknown.
        num_classes: number of classes with the background; 0 if the source is not a detector.

    Raises:
        UserError: If the numbers differ.
    """
    if class_names and num_classes and len(class_names) + 1 != num_classes:
        raise UserError(f'{source.path} has {num_classes - 1} classes besides the background, but '
                        f'there are {len(class_names)} class names. Pass one name for each class '
                        f'in --labels_file, without the background')


def log_usage(model, num_classes, is_incomplete):
    """Log how the new checkpoint can be used.

    Args:
        model: what is known of the detector, see `description.model_config`.
        num_classes: number of classes with the background; 0 if it is not a detector.
        is_incomplete: the checkpoint lacks variables of the net.
    """
    missing = [flag for flag, field in (('--labels_file', 'class_names'),
                                        ('--anchor_preset', 'anchor_preset')) if field not in model]
    if is_incomplete:
        log.info('%s: it cannot detect objects before it is trained; pass --checkpoint_path=%s to '
                 'train_ssd_network.py',
                 'an incomplete detector' if num_classes else 'backbone only', FLAGS.output_dir)
    elif missing:
        log.info('a complete detector of %s and the background; to evaluate or predict with it, '
                 'pass --checkpoint_path=%s with %s', counted(num_classes - 1, 'class'),
                 FLAGS.output_dir, ' and '.join(missing))
    else:
        log.info('a complete detector: pass --checkpoint_path=%s to train, evaluate or predict',
                 FLAGS.output_dir)


def main():
    """Read the weights, report which of them the net uses, and write the checkpoint."""
    import tensorflow.compat.v1 as tf

    from checkpoints import description, report, restoring
    from run_folder.saved_checkpoints import CheckpointSaver

    source, known = description.describe_weights(FLAGS.checkpoint_path, FLAGS.anchor_preset)
    params, preset, class_names = resolve_model(source, known)
    num_classes = restoring.count_classes(source, params, FLAGS.checkpoint_model_scope)
    check_class_names(source, class_names, num_classes)
    variables = build_variables(params, num_classes or 2)
    plan = restoring.make_plan(source, variables, params.name, (), FLAGS.checkpoint_model_scope,
                               FLAGS.use_moving_averages, params)
    restoring.check_plan(plan, params.name, FLAGS.ignore_missing_vars)
    report.log_restore_table(plan, 'importing', 'left out')

    restore = restoring.make_init_fn(plan)
    saver = CheckpointSaver(var_list=[v for v in variables if v.op.name in plan.values])
    files.make_output_folder(FLAGS.output_dir, 'output_dir')
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        restore(session)
        saver.save(session, os.path.join(FLAGS.output_dir, 'model.ckpt'), global_step=0,
                   write_meta_graph=False)
    is_incomplete = bool(plan.not_restored)
    model = (description.model_config(params, anchors_known=False) if is_incomplete else
             description.model_config(params, num_classes, class_names, bool(preset)))
    run_config.write(FLAGS.output_dir, {'model': model, 'flags': {}})
    log_usage(model, num_classes, is_incomplete)


if __name__ == '__main__':
    app.run(main, check_flags)

"""Inference with a checkpoint: which net it holds, the inference graph and its weights."""
import difflib
from typing import NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from checkpoints import description, kinds, restoring
from common.errors import UserError, op_error_message
from nets import anchor_presets, anchors, nets_factory, post_processing, ssd
from run_folder import checkpoint_files, run_config, saved_checkpoints


class Model(NamedTuple):
    """A checkpoint or a weight file of another program, and the net whose weights it holds."""
    checkpoint: str       # prefix, or path of the file
    params: object        # `SSDParams`
    class_names: list     # str; class_names[0] has label 1
    source: object = None   # `WeightSource` of another program's file

    @property
    def step(self):
        """The training step in the name of the checkpoint; 0 if the name has none."""
        return checkpoint_files.step_of(self.checkpoint)


def resolve_model(checkpoint_path, model_name='', anchor_preset='', class_names=None,
                  default_class_names=None):
    """Find a checkpoint or a detector of another program, and the net whose weights it holds.

    The net is read from the configuration beside the checkpoint, or follows from the kind of the
    file. Arguments must agree with it: a net with other anchors or classes would run, but give
    wrong detections. For a checkpoint without a configuration, all arguments are required.

    Args:
        checkpoint_path: a prefix, a file of the checkpoint, a folder (its latest checkpoint), or
            a weight file of a detector of another program.
        model_name: a name in `nets_factory`.
        anchor_preset: a preset name, anchor sizes or a file: see `anchor_presets.canonical_text`.
        class_names: list of str without the background.
        default_class_names: class names if neither the argument nor the weights name them.

    Returns:
        A `Model`.

    Raises:
        UserError: If there is no checkpoint or no detector, or an argument contradicts the weights
            or is missing.
    """
    source, known = description.describe_weights(checkpoint_path)
    weight_kind = kinds.identify(source)
    if weight_kind and not known:
        raise UserError(f'{source.path} holds {weight_kind.title}, but not a complete detector. '
                        f'Train from it with train_ssd_network.py first')
    known = description.with_flags(
        source, known, model_name=model_name, class_names=class_names,
        anchor_preset=anchor_preset and anchor_presets.canonical_text(anchor_preset))
    resolved = {'class_names': default_class_names, **known}
    if weight_kind and not resolved['class_names']:
        raise UserError(f'{source.path} does not hold the names of its '
                        f'{known["num_classes"] - 1} classes. Pass them as --labels_file')
    missing = [name for name in ('model_name', 'anchor_preset', 'class_names')
               if not resolved.get(name)]
    if missing:
        flag_of = {'class_names': 'labels_file'}
        flags = ', '.join(f'--{flag_of.get(name, name)}' for name in missing)
        raise UserError(f'{source.path} has no {run_config.CONFIG_FILE} of this project beside it, '
                        f'which would describe its net. Pass {flags}')
    num_classes = len(resolved['class_names']) + 1
    if known.get('num_classes', num_classes) != num_classes:
        raise UserError(f'{source.path} has {known["num_classes"] - 1} classes, but there are '
                        f'{num_classes - 1} class names. Pass its names in --labels_file')
    params = nets_factory.get_params(resolved['model_name'], resolved['anchor_preset'],
                                     known.get('net'))
    return Model(source.path, params, resolved['class_names'], source if weight_kind else None)


def labels_from_names(names, class_names):
    """Return the labels of the classes with these names, ascending and without duplicates.

    Args:
        names: class names to look up.
        class_names: all class names; class_names[0] has label 1.

    Raises:
        UserError: If a name is unknown. The message lists similar class names.
    """
    for name in names:
        if name not in class_names:
            similar = ', '.join(difflib.get_close_matches(name, class_names, 3, 0))
            raise UserError(f"--classes: there is no class '{name}'; similar names are {similar}")
    return sorted({class_names.index(name) + 1 for name in names})


def detect(images, model, labels=None, options=post_processing.PostProcessingOptions()):
    """Build the net and its post-processing.

    Args:
        images: [B, S, S, 3] uint8, RGB, with S the `image_size` of the net.
        model: a `Model`.
        labels: ascending labels of the classes to detect; None for all. The other classes count as
            background, so that they take none of the `keep_top_k` detections.
        options: `PostProcessingOptions`.

    Returns:
        `post_processing.Detections`.
    """
    predictions = ssd.build(ssd.normalize(images, model.params), model.params,
                            len(model.class_names) + 1, is_training=False)
    with tf.device('/device:CPU:0'):   # NMS is many small ops
        logits = predictions.logits
        if labels:
            logits = post_processing.select_classes(logits, labels, model.params.scores)
        detections = post_processing.detect(
            logits, predictions.offsets, anchors.net_anchors(model.params),
            model.params.variances, options, model.params.scores)
        if labels:   # back from positions in `labels` to labels of the net
            detections = detections._replace(labels=tf.gather([0, *labels], detections.labels))
        return detections


def make_restore_fn(model, use_averages=True):
    """Return a function that restores the model variables of the default graph.

    Args:
        model: a `Model`. Its checkpoint is the default of the returned function.
        use_averages: restore the moving average of each variable that has one in the checkpoint.

    Returns:
        restore(session, checkpoint=model.checkpoint). Other checkpoints must hold the same
        variables. It raises UserError if the checkpoint cannot be read or holds weights that are
        not finite.

    Raises:
        UserError: If the checkpoint lacks a model variable, or has another shape for it.
    """
    if model.source:
        return _restore_fn_of_other_program(model)
    checkpoint_shapes = saved_checkpoints.read_shapes(model.checkpoint)
    variables = {}   # name in the checkpoint -> variable
    for variable in tf.model_variables():
        name = variable.op.name
        average_name = name + saved_checkpoints.MOVING_AVERAGE_SUFFIX
        use_average = use_averages and average_name in checkpoint_shapes
        checkpoint_name = average_name if use_average else name
        if checkpoint_shapes.get(checkpoint_name) != variable.shape.as_list():
            is_detector = any('_box/' in name for name in checkpoint_shapes)
            remedy = ('Correct --model_name, --anchor_preset and --labels_file' if is_detector else
                      'It holds a backbone only: train from it with train_ssd_network.py first')
            raise UserError(f'{model.checkpoint} does not hold {name} of shape '
                            f'{variable.shape.as_list()}: it is not a checkpoint of '
                            f'{model.params.name} with {len(model.class_names)} classes. {remedy}')
        variables[checkpoint_name] = variable
    saver = tf.train.Saver(variables)

    def restore(session, checkpoint=model.checkpoint):
        try:
            saver.restore(session, checkpoint)
        except tf.errors.OpError as error:
            raise UserError(f'the checkpoint {checkpoint} cannot be read '
                            f'({op_error_message(error)}). Use the previous one') from error
        not_finite = [name for name, value in session.run(variables).items()
                      if not np.isfinite(value).all()]
        if not_finite:
            raise UserError(f'{len(not_finite)} variables of the checkpoint {checkpoint} are not '
                            f'finite, such as {not_finite[0]}: its training diverged. Use an '
                            f'earlier checkpoint')
    return restore


def _restore_fn_of_other_program(model):
    """Return the function of `make_restore_fn` for a file of another program."""
    plan = restoring.make_plan(model.source, tf.model_variables(), model.params.name,
                               params=model.params)
    if plan.not_restored:
        reason, ((variable, _), *_) = next(iter(plan.not_restored.items()))
        raise UserError(f'{model.checkpoint} does not hold all of {model.params.name} with '
                        f'{len(model.class_names)} classes: {variable.op.name} is {reason}. '
                        f'Train from it with train_ssd_network.py first')
    assign = restoring.make_init_fn(plan)

    def restore(session, _checkpoint=model.checkpoint):
        assign(session)
    return restore

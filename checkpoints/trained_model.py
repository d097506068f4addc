"""Inference with a checkpoint: which net it holds, the inference graph and its weights."""
import difflib
import os
from typing import NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from checkpoints import description, kinds, nearest_kind, restoring
from common.errors import UserError, op_error_message
from common.text import counted
from nets import anchor_presets, anchors, nets_factory, post_processing, ssd
from run_folder import checkpoint_files, run_config, saved_checkpoints


class Model(NamedTuple):
    """A checkpoint or a weight file of another format, and the net whose weights it holds."""
    checkpoint: str       # prefix, or path of the file
    params: object        # `SSDParams`
    class_names: list     # str; class_names[0] has label 1
    source: object = None   # `WeightSource` of a file that is no checkpoint of ours

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
    source, described = description.describe_weights(checkpoint_path, anchor_preset)
    known = description.with_flags(
        source, described, model_name=model_name, class_names=class_names,
        anchor_preset=anchor_preset and anchor_presets.canonical_text(anchor_preset))
    _check_is_detector(source, described, known)
    resolved = {'class_names': default_class_names, **known}
    _check_is_known(source, resolved)
    num_classes = len(resolved['class_names']) + 1
    if known.get('num_classes', num_classes) != num_classes:
        raise UserError(f'{source.path} has {known["num_classes"] - 1} classes, but there are '
                        f'{num_classes - 1} class names. Pass its names in --labels_file')
    params = nets_factory.get_params(resolved['model_name'], resolved['anchor_preset'],
                                     known.get('net'))
    # TensorFlow restores its own checkpoints only.
    is_read_here = kinds.identify(source) or os.path.isfile(source.path)
    return Model(source.path, params, resolved['class_names'], source if is_read_here else None)


def _check_is_detector(source, described, known):
    """Check that weights belong to a detector.

    Args:
        source: a `WeightSource`.
        described: what `description.describe_weights` tells of it.
        known: the same, completed by flags.

    Raises:
        UserError: If the weights are a backbone, an incomplete detector, or of no known kind.
    """
    row = kinds.identify(source)
    is_unknown = not described and not nearest_kind.nets_in(source)
    backbone = nearest_kind.backbone_in(source) if is_unknown else described.get('backbone')
    if backbone or described and not known.keys() & {'anchor_preset', 'class_names', 'num_classes'}:
        title = row.title if row else f'weights of {backbone or known.get("model_name")}'
        raise UserError(f'{source.path} holds {title}, but not a complete detector. '
                        f'Train from it with train_ssd_network.py first')
    if is_unknown:
        raise UserError(f'{source.path} is not a detector: {nearest_kind.explain(source)}')


def _check_is_known(source, resolved):
    """Check that net, anchors and class names of a detector are known.

    Args:
        source: a `WeightSource`.
        resolved: dict of what is known of it, flags and defaults included.

    Raises:
        UserError: If one is missing.
    """
    flag_of = {'model_name': 'model_name', 'anchor_preset': 'anchor_preset',
               'class_names': 'labels_file'}
    missing = [name for name in flag_of if not resolved.get(name)]
    if missing == ['class_names'] and 'num_classes' in resolved:
        raise UserError(f'{source.path} does not hold the names of its '
                        f'{counted(resolved["num_classes"] - 1, "class")}. Pass them as '
                        f'--labels_file')
    if missing:
        flags = ', '.join(f'--{flag_of[name]}' for name in missing)
        raise UserError(f'{source.path} has no {run_config.CONFIG_FILE} of this project beside it '
                        f'that describes all of its net. Pass {flags}')


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
        return _restore_fn_of_file(model, use_averages)
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


def _restore_fn_of_file(model, use_averages):
    """Return the function of `make_restore_fn` for a file that is no checkpoint of ours."""
    has_averages = any(name.endswith(saved_checkpoints.MOVING_AVERAGE_SUFFIX)
                       for name in model.source.shapes)
    plan = restoring.make_plan(model.source, tf.model_variables(), model.params.name,
                               use_averages=use_averages and has_averages, params=model.params)
    if plan.not_restored:
        reason, ((variable, _), *_) = next(iter(plan.not_restored.items()))
        raise UserError(f'{model.checkpoint} does not hold all of {model.params.name} with '
                        f'{len(model.class_names)} classes: {variable.op.name} is {reason}. '
                        f'Train from it with train_ssd_network.py first')
    assign = restoring.make_init_fn(plan)

    def restore(session, _checkpoint=model.checkpoint):
        assign(session)
    return restore

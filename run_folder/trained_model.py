"""A trained net put to work: which net a checkpoint holds, its graph, its weights."""
import difflib
from typing import NamedTuple

import tensorflow.compat.v1 as tf

from common.errors import UserError, op_error_message
from nets import anchor_presets, anchors, nets_factory, post_processing, ssd
from run_folder import run_config, saved_checkpoints


class Model(NamedTuple):
    """A checkpoint and what it is one of."""
    checkpoint: str       # prefix
    params: object        # SSDParams
    class_names: list     # label 1 first

    @property
    def step(self):
        """The training step that the checkpoint's name carries, 0 if none."""
        digits = self.checkpoint.rpartition('-')[2]
        return int(digits) if digits.isdigit() else 0


def resolve_model(checkpoint_path, model_name='', anchor_preset='', class_names=None):
    """The `Model` of a checkpoint (file or folder).

    What the configuration beside the checkpoint says cannot be overruled: a net with other anchors or classes
    than it was trained with only seems to work. Without one (a foreign checkpoint), the arguments say it.
    """
    prefix = saved_checkpoints.find_checkpoint(checkpoint_path)
    kept = run_config.model_of_checkpoint(prefix)
    anchor_preset = anchor_preset and anchor_presets.read(anchor_preset)
    given = {'model_name': model_name, 'anchor_preset': anchor_preset, 'class_names': class_names}
    for name, value in given.items():
        if value and kept and kept.get(name) != value:
            raise UserError(f'{prefix} was trained with {name} {kept.get(name)}, not {value}; leave that out')
    final = {name: value or kept.get(name) for name, value in given.items()}
    missing = [name for name, value in final.items() if not value]
    if missing:
        wanted = ', '.join({'class_names': '--labels_file'}.get(name, f'--{name}') for name in missing)
        raise UserError(f'{prefix} has no {run_config.CONFIG_FILE} of this project beside it, so it must be said what it '
                        f'is: give {wanted}')
    return Model(prefix, nets_factory.get_params(final['model_name'], final['anchor_preset']), final['class_names'])


def labels_from_names(names, class_names):
    """Labels of the classes with these names, rising; UserError with the nearest names for one that is none."""
    for name in names:
        if name not in class_names:
            near = ', '.join(difflib.get_close_matches(name, class_names, 3, 0))
            raise UserError(f"--classes: no class is called '{name}'; the nearest names are {near}")
    return sorted({class_names.index(name) + 1 for name in names})


def detect(images, model, labels=None, options=post_processing.PostProcessingOptions()):
    """`Detections` of uint8 RGB images [B, S, S, 3]; options: `PostProcessingOptions`.

    labels: rising, of the classes to look for; None for all. No other takes the place of one of them.
    """
    predictions = ssd.build(ssd.normalize(images, model.params), model.params, len(model.class_names) + 1,
                            is_training=False)
    with tf.device('/device:CPU:0'):   # suppression is many small steps
        logits = post_processing.merge_others(predictions.logits, labels) if labels else predictions.logits
        found = post_processing.detect(logits, predictions.offsets, anchors.net_anchors(model.params),
                                       model.params.variances, options)
        return found._replace(labels=tf.gather([0, *labels], found.labels)) if labels else found


def make_restore_fn(model, use_averages=True):
    """A function (session) that restores the model variables of the graph, as moving averages where there are.

    It takes the prefix of another checkpoint of the same run, too, if that is to be restored.
    """
    there = saved_checkpoints.read_shapes(model.checkpoint)
    names = {}
    for variable in tf.model_variables():
        name = variable.op.name
        averaged = name + saved_checkpoints.MOVING_AVERAGE_SUFFIX
        source = averaged if use_averages and averaged in there else name
        if there.get(source) != variable.shape.as_list():
            raise UserError(f'{model.checkpoint} does not hold {name} of shape {variable.shape.as_list()}: it is '
                            f'no checkpoint of {model.params.name} with {len(model.class_names)} classes')
        names[source] = variable
    saver = tf.train.Saver(names)

    def restore(session, checkpoint=model.checkpoint):
        try:
            saver.restore(session, checkpoint)
        except tf.errors.OpError as error:
            raise UserError(f'the checkpoint {checkpoint} cannot be read ({op_error_message(error)}); take the one '
                            f'before it') from error
    return restore

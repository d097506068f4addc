"""The net as the training graph uses it: targets of an example, model function of a clone, parts of the loss."""
import contextlib

import tensorflow.compat.v1 as tf

from nets import layers, losses, matching, ssd


def add_targets(example, anchors, variances, match_threshold):
    """An example (as preprocessing returns it) with what its anchors should say.

    Adds 'target_labels' [A] int32, 'target_offsets' [A, 4] float32 and 'num_well_matched' [] int32.
    """
    targets = matching.match(example['boxes'], example['labels'], anchors, variances, match_threshold)
    return {**example, 'target_labels': targets.labels, 'target_offsets': targets.offsets,
            'num_well_matched': targets.num_well_matched}


def split_batch(batch, num_clones):
    """The global batch, a dict of [K * B, ...], as a list of K dicts of [B, ...]."""
    return [dict(zip(batch, parts, strict=True))
            for parts in zip(*(tf.split(value, num_clones) for value in batch.values()), strict=True)]


def loss_normalizer(batch, num_replicas, over_processes=list):
    """N of eq. 1 for each clone, [] float32: the matched anchors of the global batch, never below 1, over K.

    The losses are averaged over all K clones (num_replicas) later, which leaves the sum over the global batch divided
    by N. batch: that of this process; over_processes: function (list of tensors) -> their sums over the processes.
    """
    matched, = over_processes([tf.count_nonzero(batch['target_labels'] > 0, dtype=tf.float32)])
    return tf.maximum(matched, 1.) / num_replicas


def clone_fn(params, num_classes, loss_options, build_options, freeze_batch_norm=False, xla=False):
    """Return the model function that `model_deploy.create_clones` calls for each clone.

    It takes the batch of the clone and the normalizer, adds the parts of the loss to
    `tf.GraphKeys.LOSSES` and returns them as `Losses`.

    Args:
      params: `SSDParams`.
      num_classes: C, background included.
      loss_options: `losses.LossOptions`.
      build_options: `ssd.BuildOptions`.
      freeze_batch_norm: normalize with the moving moments and leave them unchanged.
      xla: compile the net and its gradients with XLA. The loss is not compiled: the number of anchors
        in it changes from step to step, and XLA would compile each number anew.
    """
    def model_fn(batch, normalizer):
        with layers.xla_scope() if xla else contextlib.nullcontext():
            predictions = ssd.build(ssd.normalize(batch['image'], params), params, num_classes,
                                    is_training=not freeze_batch_norm, options=build_options)
        parts = losses.ssd_losses(predictions.logits, predictions.offsets, batch['target_labels'],
                                  batch['target_offsets'], normalizer, loss_options)
        for part in parts:
            tf.losses.add_loss(part)
        return parts
    return model_fn


def loss_parts(clones, num_replicas, over_processes=list):
    """Name -> [] tensor: the parts of the loss, averaged over all clones, and the weight decay if there is any.

    over_processes: as of `loss_normalizer`.
    """
    names = losses.Losses._fields
    parts = over_processes([tf.add_n([getattr(clone.outputs, name) for clone in clones]) / num_replicas
                            for name in names])
    parts = dict(zip(names, parts, strict=True))
    decay = tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
    return {**parts, **({'decay': tf.add_n(decay)} if decay else {})}

"""SSD in the training graph: targets of examples, model function of a clone, parts of the loss."""
import contextlib

import tensorflow.compat.v1 as tf

from nets import layers, losses, matching, ssd


def add_targets(example, anchors, variances, match_threshold):
    """Add the training targets to an example.

    Args:
        example: dict as preprocessing returns it, with 'boxes' and 'labels'.
        anchors: [A, 4] float32 array `[cy, cx, h, w]`.
        variances: divisors of the offsets.
        match_threshold: overlap above which an anchor is matched.

    Returns:
        A copy of the dict with 'target_labels' [A] int32, 'target_offsets' [A, 4] float32,
        'num_well_matched' and 'num_unmatched' [] int32, the fields of `matching.Targets`.
    """
    targets = matching.match(
        example['boxes'], example['labels'], anchors, variances, match_threshold)
    return {**example, 'target_labels': targets.labels, 'target_offsets': targets.offsets,
            'num_well_matched': targets.num_well_matched, 'num_unmatched': targets.num_unmatched}


def split_batch(batch, num_parts):
    """Split a batch, a dict of [K * B, ...], into a list of K = `num_parts` dicts of [B, ...]."""
    return [dict(zip(batch, parts, strict=True))
            for parts in zip(*(tf.split(value, num_parts) for value in batch.values()),
                             strict=True)]


def loss_normalizer(batch, num_replicas, sum_over_processes=list):
    """Return the divisor of the loss of each clone: N of eq. 1 divided by the number of replicas.

    Averaging the losses of all replicas then gives the sum over the global batch divided by N.

    Args:
        batch: the batch of this process, with 'target_labels'.
        num_replicas: number of clones in all processes.
        sum_over_processes: function that maps a list of tensors to their sums over all processes.
            The default is for one process.

    Returns:
        [] float32. N, the number of matched anchors of the global batch, is taken as at least 1.
    """
    num_matched, = sum_over_processes(
        [tf.count_nonzero(batch['target_labels'] > 0, dtype=tf.float32)])
    return tf.maximum(num_matched, 1.) / num_replicas


def clone_fn(params, num_classes, loss_options, build_options, freeze_batch_norm=False, xla=False):
    """Return the model function that `model_deploy.create_clones` calls for each clone.

    It takes the batch of the clone and the normalizer, adds the parts of the loss to
    `tf.GraphKeys.LOSSES` and returns them as `Losses`.

    Args:
        params: `SSDParams`.
        num_classes: C, background included.
        loss_options: `losses.LossOptions`.
        build_options: `ssd.BuildOptions`.
        freeze_batch_norm: normalize with the moving moments and do not update them.
        xla: compile the net and its gradients with XLA. The loss is not compiled: its number of
            anchors changes from step to step, and XLA compiles for each shape.
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


def loss_parts(clones, num_replicas, sum_over_processes=list):
    """Return the parts of the loss, averaged over all replicas, by name.

    Args:
        clones: clones of this process, whose outputs are `Losses`.
        num_replicas: number of clones in all processes.
        sum_over_processes: see `loss_normalizer`.

    Returns:
        Dict of [] float32 tensors: 'confidence', 'localization', and 'decay' if the graph has
        regularization losses.
    """
    names = losses.Losses._fields
    parts = sum_over_processes(
        [tf.add_n([getattr(clone.outputs, name) for clone in clones]) / num_replicas
         for name in names])
    parts = dict(zip(names, parts, strict=True))
    decay = tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
    return {**parts, **({'decay': tf.add_n(decay)} if decay else {})}

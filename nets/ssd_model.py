"""The net as the training graph uses it: targets of an example, model function of a clone, parts of the loss."""
import contextlib
from typing import NamedTuple

import tensorflow.compat.v1 as tf

from nets import layers, losses, matching, ssd


class LossOptions(NamedTuple):
    """What of the loss is a matter of choice."""
    negative_ratio: float = 3.
    alpha: float = 1.
    label_smoothing: float = 0.


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


def clone_fn(params, num_classes, weight_decay, seed, options, freeze_batch_norm=False, precision=tf.float32,
             replicas=None, xla=False):
    """The model function of `model_deploy.create_clones`: (batch of the clone, normalizer) -> `Losses`.

    The parts of the loss go into `tf.GraphKeys.LOSSES`. freeze_batch_norm: it normalises with the moving moments,
    and they stay as they are. precision: what convolutions compute in. replicas: those over which batch norm takes its
    moments; None, each its own. xla: the net and its gradients are compiled; the loss is not, because the number of its
    chosen anchors differs from step to step, and each would be compiled anew.
    """
    def model_fn(batch, normalizer):
        with layers.compiled_by_xla() if xla else contextlib.nullcontext():
            predictions = ssd.build(ssd.normalize(batch['image'], params), params, num_classes,
                                    is_training=not freeze_batch_norm, weight_decay=weight_decay, seed=seed,
                                    precision=precision, replicas=replicas)
        parts = losses.ssd_losses(predictions.logits, predictions.offsets, batch['target_labels'],
                                  batch['target_offsets'], normalizer, *options)
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

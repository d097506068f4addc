"""The net as a training script sees it: targets of an example, loss of a clone, and what TensorBoard shows."""
import contextlib
from typing import NamedTuple

import tensorflow.compat.v1 as tf

from deployment import described
from nets import layers, losses, matching, ssd


class LossOptions(NamedTuple):
    """What of the loss is a matter of choice."""
    negative_ratio: float = 3.
    alpha: float = 1.
    label_smoothing: float = 0.


def add_targets(example, anchors, variances, match_threshold):
    """An example (as preprocessing returns it) with what its anchors should say.

    Adds 'target_labels' [A] int32, 'target_offsets' [A, 4] float32 and 'reached' [] int32.
    """
    targets = matching.match(example['boxes'], example['labels'], anchors, variances, match_threshold)
    return {**example, 'target_labels': targets.labels, 'target_offsets': targets.offsets,
            'reached': targets.reached}


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


# Part of the loss -> its name on the board, and what that means.
_LOSSES = {
    'confidence': ('confidence', 'How wrong the classes are: softmax loss of the matched anchors and of the negatives '
                   'mined for them, summed, per matched anchor.'),
    'localization': ('localization', 'How wrong the places are: smooth L1 loss of the offsets of matched anchors, '
                     'summed, per matched anchor, times --loss_alpha.'),
    'decay': ('weight_decay', 'L2 loss of the weights, times --weight_decay.')}


def summaries(parts, learning_rate, batch, draw, num_pictures=4):
    """A list of summaries: the loss by part, the rate, the matching, and training pictures with their boxes.

    draw: function of arrays (picture [H, W, 3] uint8, boxes [M, 4], labels [M]) -> the picture with its boxes,
    [H', W', 3] uint8. It is called when the summaries are fetched, and only then.
    """
    losses_by_part = [described.scalar(f'losses/{_LOSSES[part][0]}', value, _LOSSES[part][1])
                      for part, value in parts.items()]
    num_truths = tf.count_nonzero(batch['labels'] > 0, dtype=tf.int32)
    num_images = batch['image'].shape[0]
    pictures = []
    with tf.device('/device:CPU:0'):
        for k in range(min(num_pictures, num_images)):
            drawn = tf.numpy_function(draw, [batch[name][k] for name in ('image', 'boxes', 'labels')], tf.uint8)
            pictures.append(described.picture(
                f'training_pictures/{k + 1}', tf.ensure_shape(drawn, [None, None, 3]),
                'A picture of the batch as the net sees it, after augmentation, with its ground truths.'))
    return [*losses_by_part, *pictures,
            described.scalar('training/learning_rate', learning_rate,
                             'That of the weights; biases and the backbone may have a multiple of it.'),
            described.scalar('matching/well_matched_share', tf.reduce_sum(batch['reached']) / tf.maximum(num_truths, 1),
                             'The share of the ground truths that some anchor overlaps by more than --match_threshold. '
                             'The others have their best anchor alone. Where it is low, fit_anchors.py helps.'),
            described.scalar('matching/matched_anchors_per_picture',
                             tf.count_nonzero(batch['target_labels'] > 0, dtype=tf.float32) / num_images,
                             'Anchors that learn an object; all others are background.')]

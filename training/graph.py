"""The training graph, built from `TrainOptions`: input batches, clones, train op.

The three functions are steps 4 to 6 of a run (see `train_ssd_network.main`).
"""
import functools
from typing import NamedTuple

import tensorflow.compat.v1 as tf

import tf_utils
from datasets import input_pipeline
from deployment import collectives, model_deploy
from nets import anchors as anchors_lib
from nets import backbones, layers, losses, ssd, ssd_model
from preprocessing import preprocessing_factory
from visualization import batches, board


def input_batch(options, params, dataset, group, global_step):
    """Build the input pipeline of this process.

    Args:
        options: `TrainOptions`.
        params: `SSDParams`.
        dataset: `Dataset`.
        group: `ProcessGroup`.
        global_step: variable; its value when the tables are initialized selects the first batch.

    Returns:
        batch: name -> tensor [B, ...], this process's share of the global batch, augmented and
            matched to the anchors.
        normalizer: [] float32, the loss normalizer of a clone (`ssd_model.loss_normalizer`).
    """
    deployment = group.deployment
    preprocess = preprocessing_factory.get_preprocessing(options.augmentation)
    anchors = anchors_lib.net_anchors(params)
    order = input_pipeline.ExampleOrder(
        options.seed, options.images_per_clone * deployment.num_clones, group.rank,
        group.num_processes)

    def to_example(record, seed):
        example = preprocess(record, seed, params.image_size, params.mean)
        return ssd_model.add_targets(example, anchors, params.variances, options.match_threshold)

    with tf.device(deployment.inputs_device()):
        batch = input_pipeline.training_batches(
            dataset, to_example, order, global_step, options.num_readers,
            options.num_preprocessing_threads)
        return batch, ssd_model.loss_normalizer(batch, deployment.num_replicas, group.sum)


def create_clones(options, params, num_classes, deployment, batch, normalizer, global_step):
    """Build the net and its loss on each clone's share of the batch; return a list of `Clone`.

    With options.gradient_accumulation_steps each clone takes its share in that many parts.

    Args:
        options: `TrainOptions`.
        params: `SSDParams`.
        num_classes: C, background included.
        deployment: `DeploymentConfig`.
        batch, normalizer: as returned by `input_batch`.
        global_step: variable, the number of updates of the moving moments of batch norm.
    """
    with tf.device(deployment.inputs_device()):
        shares = ssd_model.split_batch(batch, deployment.num_clones)
        inputs = [(share, normalizer) for share in shares]
        if options.gradient_accumulation_steps > 1:
            inputs = [[(part, normalizer) for part in ssd_model.split_batch(
                share, options.gradient_accumulation_steps)] for share in shares]
    replicas = collectives.Replicas(deployment.num_replicas, options.collective_timeout_secs) \
        if options.sync_batch_norm else None
    with tf.device(deployment.variables_device()):
        batch_norm_decay = layers.warmed_up_decay(global_step)
    model_fn = ssd_model.clone_fn(
        params, num_classes,
        losses.LossOptions(options.negative_ratio, options.loss_alpha, options.label_smoothing,
                           options.min_negatives_per_image, params.scores),
        ssd.BuildOptions(options.weight_decay, options.seed, tf.as_dtype(options.precision),
                         replicas, batch_norm_decay),
        options.freeze_batch_norm, options.xla)
    return model_deploy.create_clones(
        deployment, model_fn, inputs, functools.partial(tf_utils.get_variables_to_train, options))


class TrainOp(NamedTuple):
    """Tensors of a training step: train op, summaries, loss by part, learning rate."""
    train_tensor: tf.Tensor    # [] float32, the total loss; fetching it runs the step
    summary_op: tf.Tensor      # [] string, merged summaries
    loss_parts: dict           # name -> [] float32, the loss by part
    learning_rate: tf.Tensor   # [] float32


def create_train_op(options, params, dataset, group, clones, batch, global_step):
    """Build learning rate, optimizer, summaries and train op; return a `TrainOp`.

    Args:
        options: `TrainOptions`.
        params: `SSDParams`.
        dataset: `Dataset`.
        group: `ProcessGroup`.
        clones: as returned by `create_clones`.
        batch: name -> tensor, as returned by `input_batch`.
        global_step: variable.
    """
    deployment = group.deployment
    loss_parts = ssd_model.loss_parts(clones, deployment.num_replicas, group.sum)
    learning_rate = tf_utils.configure_learning_rate(
        options, deployment.num_replicas, dataset.num_examples, global_step)
    optimizer = tf_utils.configure_optimizer(
        options, learning_rate, backbones.scopes_of(params))
    draw = functools.partial(batches.draw_example, class_names=dataset.class_names)
    summaries = board.training_summaries(loss_parts, learning_rate, batch, draw)
    with tf.device(deployment.variables_device()):
        update_ops = tf.get_collection(tf.GraphKeys.UPDATE_OPS, clones[0].scope)
        update_ops += tf_utils.moving_average_ops(
            options.moving_average_decay, global_step, loss_parts.values())
        train_tensor, summary_op = tf_utils.get_train_op(
            optimizer, summaries, clones, global_step, clones[0].scope, update_ops,
            tf_utils.get_variables_to_train(options), options.clip_gradient_norm, group)
    return TrainOp(train_tensor, summary_op, loss_parts, learning_rate)

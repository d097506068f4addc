"""The train op and its parts: learning rate, optimizer, trained variables, initial weights.

`options` and `flags` are any object with the attributes that a function names: the FLAGS of a
script or `training.options.TrainOptions`. No box code is used here.
"""
from typing import NamedTuple

import tensorflow.compat.v1 as tf

from checkpoints import description, report, restoring, scopes
from common.errors import UserError
from common.log import log
from common.text import one_line
from run_folder import saved_checkpoints
from visualization import summary_ops


def configure_learning_rate(options, num_replicas, num_samples_per_epoch, global_step):
    """Return the learning rate at `global_step`, a [] float32 tensor.

    With learning_rate_per_image, the initial rate is that times the global batch size: the rate
    scales linearly with the batch, after a warm-up (Goyal et al., arXiv 1706.02677). So does the
    final rate of polynomial decay: end_learning_rate_per_image times the global batch size, or a
    tenth of the initial rate. During the first warmup_steps, the scheduled rate is multiplied by
    (step + 1) / warmup_steps.

    Args:
        options: `LearningRateOptions`, batch_size (per clone), gradient_accumulation_steps and
            max_number_of_steps. Default of num_epochs_per_decay: 2 for exponential decay; for
            polynomial decay the whole run, which then needs max_number_of_steps.
        num_replicas: number of clones of all processes.
        num_samples_per_epoch: number of images in the dataset.
        global_step: [] int64.

    Raises:
        UserError: If polynomial decay would raise the rate.
    """
    global_batch = options.batch_size * options.gradient_accumulation_steps * num_replicas
    if options.learning_rate_per_image is None:
        initial, end = options.learning_rate, options.end_learning_rate
    else:
        initial = options.learning_rate_per_image * global_batch
        end = initial / 10 if options.end_learning_rate_per_image is None \
            else options.end_learning_rate_per_image * global_batch
    schedule = _SCHEDULES[options.learning_rate_decay_type]
    decay_steps = max(1, int(
        num_samples_per_epoch * _or(options.num_epochs_per_decay, 2.) / global_batch))
    rate = schedule(options, _Rates(initial, end), decay_steps, global_step)
    if options.warmup_steps:
        progress = (tf.cast(global_step, tf.float32) + 1) / options.warmup_steps
        rate *= tf.minimum(progress, 1.)
    return tf.identity(rate, name='learning_rate')


class _Rates(NamedTuple):
    """Initial and final learning rate; the latter is that of polynomial decay only."""
    initial: float
    end: float


def _exponential(options, rates, decay_steps, global_step):
    return tf.train.exponential_decay(
        rates.initial, global_step, decay_steps, _or(options.learning_rate_decay_factor, .94),
        staircase=True)


def _polynomial(options, rates, decay_steps, global_step):
    if rates.initial < rates.end:
        flag = 'end_learning_rate' if options.learning_rate_per_image is None \
            else 'end_learning_rate_per_image'
        raise UserError(f'the learning rate would rise, from {rates.initial:g} to {rates.end:g} '
                        f'(--{flag}={getattr(options, flag):g}). Pass a smaller --{flag}')
    if options.num_epochs_per_decay is None:
        decay_steps = options.max_number_of_steps
    return tf.train.polynomial_decay(
        rates.initial, global_step, decay_steps, rates.end, power=1.)


def _piecewise(options, rates, _, global_step):
    """Multiply the rate by the decay factor at each boundary (the paper: 0.1 at 80k and 100k)."""
    boundaries = [int(boundary) for boundary in options.learning_rate_boundaries]
    factor = _or(options.learning_rate_decay_factor, .1)
    num_passed = tf.reduce_sum(
        tf.cast(global_step >= tf.constant(boundaries, tf.int64), tf.float32))
    return rates.initial * tf.pow(factor, num_passed)


# Name -> function (options, `_Rates`, steps per decay, global step) -> rate.
_SCHEDULES = {'fixed': lambda _, rates, *__: tf.constant(rates.initial),
              'exponential': _exponential, 'polynomial': _polynomial, 'piecewise': _piecewise}


def _or(value, default):
    return default if value is None else value


# Name -> function (options, learning rate) -> optimizer.
_OPTIMIZERS = {
    'adadelta': lambda options, rate: tf.train.AdadeltaOptimizer(
        rate, rho=options.adadelta_rho, epsilon=options.opt_epsilon),
    'adagrad': lambda options, rate: tf.train.AdagradOptimizer(
        rate, initial_accumulator_value=options.adagrad_initial_accumulator_value),
    'adam': lambda options, rate: tf.train.AdamOptimizer(
        rate, beta1=options.adam_beta1, beta2=options.adam_beta2, epsilon=options.opt_epsilon),
    'ftrl': lambda options, rate: tf.train.FtrlOptimizer(
        rate, learning_rate_power=options.ftrl_learning_rate_power,
        initial_accumulator_value=options.ftrl_initial_accumulator_value,
        l1_regularization_strength=options.ftrl_l1, l2_regularization_strength=options.ftrl_l2),
    'momentum': lambda options, rate: tf.train.MomentumOptimizer(rate, momentum=options.momentum),
    'rmsprop': lambda options, rate: tf.train.RMSPropOptimizer(
        rate, decay=options.rmsprop_decay, momentum=options.rmsprop_momentum,
        epsilon=options.opt_epsilon),
    'sgd': lambda _, rate: tf.train.GradientDescentOptimizer(rate),
}
OPTIMIZERS = tuple(sorted(_OPTIMIZERS))


def configure_optimizer(options, learning_rate, backbone_scopes=()):
    """Return the optimizer named by options.optimizer.

    Biases learn at bias_learning_rate_multiplier times the rate (2 in the paper's released
    configuration), variables of the backbone at backbone_learning_rate_multiplier times the rate.

    Args:
        options: `OptimizerOptions`.
        learning_rate: [] float32.
        backbone_scopes: variable scopes of the backbone.
    """
    def multiplier(variable):
        name = variable.op.name
        in_backbone = any(scopes.is_under(name, scope) for scope in backbone_scopes)
        return (options.bias_learning_rate_multiplier if name.endswith('/biases') else 1.) * (
            options.backbone_learning_rate_multiplier if in_backbone else 1.)

    make = _OPTIMIZERS[options.optimizer]
    if options.bias_learning_rate_multiplier == options.backbone_learning_rate_multiplier == 1:
        return make(options, learning_rate)
    return _RateGroups(lambda factor: make(options, learning_rate * factor), multiplier)


class _RateGroups:
    """Optimizer with one inner optimizer per multiple of the learning rate.

    Variables with the multiple 0 are not updated. Scaling the gradients instead would have no
    effect under Adam, Adagrad and other optimizers that normalize them.
    """

    def __init__(self, make, multiplier):
        """make: function (multiple) -> optimizer. multiplier: function (variable) -> multiple."""
        self._make, self._multiplier = make, multiplier

    def compute_gradients(self, *args, **kwargs):
        """Compute gradients as `tf.train.Optimizer.compute_gradients` does."""
        return self._make(1.).compute_gradients(*args, **kwargs)

    def apply_gradients(self, grads_and_vars, global_step=None, name=None):
        """Apply gradients as `tf.train.Optimizer` does; the global step increases once."""
        groups = {}
        for gradient, variable in grads_and_vars:
            groups.setdefault(self._multiplier(variable), []).append((gradient, variable))
        applied = [self._make(factor).apply_gradients(groups[factor])
                   for factor in sorted(groups) if factor]
        if not applied:
            raise UserError(
                'no variable would be trained: those selected by --trainable_scopes have a '
                'learning rate of 0. Change --trainable_scopes, '
                '--backbone_learning_rate_multiplier or --bias_learning_rate_multiplier')
        with tf.control_dependencies(applied):
            if global_step is None:
                return tf.no_op(name)
            return tf.assign_add(global_step, 1, name=name)


def moving_average_ops(decay, global_step, dependencies=()):
    """Return a list of ops that update moving averages of the trainable variables.

    The ops run with the other update ops, before the weights change, so the averages lag one step
    behind. During the first steps the decay is smaller, so that the averages catch up.

    Args:
        decay: decay of the averages; None returns [].
        global_step: [] int64.
        dependencies: tensors to wait for; if the input fails, no average is updated.
    """
    if not decay:
        return []
    averages = tf.train.ExponentialMovingAverage(decay, global_step)
    with tf.control_dependencies(dependencies):
        return [averages.apply(tf.trainable_variables())]


def get_variables_to_train(options):
    """Return the trainable variables under options.trainable_scopes (comma-separated; None: all).

    Raises:
        UserError: If no variable lies under one of the scopes.
    """
    trainable = tf.trainable_variables()
    return scopes.variables_under('trainable_scopes', options.trainable_scopes, trainable) \
        or trainable


def get_init_fn(flags, params=None, class_names=()):
    """Return a function (session) that restores the pretrained weights.

    A checkpoint in flags.train_dir always wins over flags.checkpoint_path: the supervisor resumes
    from it. The log says which weights are used, and lists what is restored and what is not.

    Args:
        flags: train_dir, model_name and `FineTuningOptions`. checkpoint_path may be of any format
            that `checkpoints.sources` opens.
        params: `SSDParams` of the net; None: those of flags.model_name in the table of nets.
        class_names: names of the classes without the background. Of a pretrained detector whose
            classes are known, the class layers keep the outputs of classes with the same name.

    Returns:
        The function; None if train_dir has a checkpoint or checkpoint_path is not set.

    Raises:
        UserError: If the checkpoint does not fit the graph, or cannot be read.
    """
    latest = saved_checkpoints.latest_checkpoint(flags.train_dir)
    if latest:
        _check_fits_graph(latest)
        log.info('resuming from %s', latest)
        if flags.checkpoint_path:
            log.info('--checkpoint_path=%s is ignored because train_dir has a checkpoint',
                     flags.checkpoint_path)
        return None
    if not flags.checkpoint_path:
        log.info('starting from random weights (no checkpoint in %s, no --checkpoint_path)',
                 flags.train_dir)
        return None
    variables = tf.model_variables()
    excluded = scopes.variables_under(
        'checkpoint_exclude_scopes', flags.checkpoint_exclude_scopes, variables)
    source, model = description.describe_weights(flags.checkpoint_path, flags.anchor_preset)
    plan = restoring.make_plan(
        source, variables, flags.model_name, excluded, flags.checkpoint_model_scope,
        flags.checkpoint_moving_averages, params)
    known_classes = class_names and 'class_names' in model and restoring.keep_known_classes(
        plan, variables, model['class_names'], class_names)
    restoring.check_plan(plan, flags.model_name, flags.ignore_missing_vars)
    report.log_restore_table(plan)
    if known_classes:
        log.info('  classes known to the detector: %s', one_line(', '.join(known_classes)))
    if flags.freeze_batch_norm:
        report.log_unrestored_moments(plan)
    return restoring.make_init_fn(plan)


def _check_fits_graph(checkpoint):
    """Raise UserError if a checkpoint lacks a variable of the graph or its shape differs."""
    shapes = saved_checkpoints.read_shapes(checkpoint)
    mismatched_names = [variable.op.name for variable in tf.global_variables()
             if shapes.get(variable.op.name) != variable.shape.as_list()]
    if mismatched_names:
        raise UserError(
            f'{checkpoint} does not fit this run: {len(mismatched_names)} variables are missing or '
            f'have another shape, such as {", ".join(mismatched_names[:3])}. The net, number of '
            f'classes, optimizer, learning rate multipliers, trained variables or moving averages '
            f'have changed. Choose another --train_dir, and pass --checkpoint_path={checkpoint} to '
            f'start from these weights')


def get_train_op(optimizer, summaries, clones, global_step, first_clone_scope, update_ops,
                 variables=None, clip_gradient_norm=0., group=None):
    """Return (train_tensor, summary_op) of a training step over all clones.

    The loss of a clone is the sum of `tf.GraphKeys.LOSSES` under its scope. The clones' losses are
    averaged, the regularization losses are added once, and the gradients of each variable are
    summed over the clones and applied once. No argument is modified.

    Args:
        optimizer: a `tf.train.Optimizer`, or an object with compute_gradients and apply_gradients.
        summaries: collection of summary tensors.
        clones: list of `deployment.model_deploy.Clone`.
        global_step: variable, increased by one per step.
        first_clone_scope: name scope whose summaries are merged too.
        update_ops: ops to run before the gradients are applied.
        variables: variables to train; None trains all trainable variables.
        clip_gradient_norm: upper bound of the global norm of the summed gradients; 0: no clipping.
        group: `deployment.process_group.ProcessGroup` of processes that train together; losses are
            averaged and gradients summed over the clones of all of them. None: this process alone.

    Returns:
        train_tensor: [] float32, the total loss; fetching it runs the step.
        summary_op: [] string, `summaries`, those of the first clone and the total loss, merged.
    """
    variables = tf.trainable_variables() if variables is None else variables
    num_replicas = group.deployment.num_replicas if group else len(clones)
    losses, gradients = _clone_gradients(optimizer, clones, variables, num_replicas)
    if num_replicas > len(clones):
        losses, gradients = _sum_over_processes(group, losses, gradients)
    regularization = tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
    if regularization:
        with tf.name_scope(clones[0].scope), tf.device(clones[0].device):
            losses.append(tf.add_n(regularization))
            gradients.append(optimizer.compute_gradients(losses[-1], variables))
    total_loss = tf.add_n(losses, name='total_loss')

    grads_and_vars = _sum_gradients(gradients)
    if clip_gradient_norm:
        grads_and_vars = _clip_by_global_norm(grads_and_vars, clip_gradient_norm)
    with tf.control_dependencies(list(update_ops)):
        applied = optimizer.apply_gradients(grads_and_vars, global_step=global_step)
    with tf.control_dependencies([applied]):
        train_tensor = tf.identity(total_loss, name='train_op')
    total_loss_summary = summary_ops.scalar(
        'losses/total', total_loss, 'Sum of all parts: the minimized loss.')
    merged = {*summaries, *tf.get_collection(tf.GraphKeys.SUMMARIES, first_clone_scope),
              total_loss_summary}
    return train_tensor, tf.summary.merge(sorted(merged, key=lambda summary: summary.name))


def _clone_gradients(optimizer, clones, variables, num_replicas):
    """Return the loss and [(gradient, variable), ...] of each clone, divided by num_replicas."""
    losses, gradients = [], []
    for clone in clones:
        with tf.name_scope(clone.scope), tf.device(clone.device):
            clone_loss = tf.add_n(tf.get_collection(tf.GraphKeys.LOSSES, clone.scope))
            losses.append(clone_loss / num_replicas)
            if clone.gradients is None:
                gradients.append(optimizer.compute_gradients(losses[-1], variables))
            else:   # accumulated, and not divided yet
                gradients.append([(None if gradient is None else gradient / num_replicas, variable)
                                  for gradient, variable in clone.gradients])
    return losses, gradients


def _sum_over_processes(group, losses, gradients):
    """Replace this process's losses and gradients by their sums over all processes.

    Returns:
        ([loss], [[(gradient, variable), ...]]), as of a single clone.
    """
    grads_and_vars = _sum_gradients(gradients)
    loss, = group.sum([tf.add_n(losses)])
    sums = group.sum([gradient for gradient, _ in grads_and_vars], group.gradient_precision)
    sum_of = {variable.ref(): total
              for (_, variable), total in zip(grads_and_vars, sums, strict=True)}
    return [loss], [[(sum_of.get(variable.ref()), variable) for _, variable in gradients[0]]]


def _sum_gradients(gradients):
    """Sum [[(gradient, variable), ...] per clone] -> [(sum, variable), ...].

    Each sum is computed on the device of its variable. Variables without a gradient are left out.
    """
    sums = []
    for pairs in zip(*gradients, strict=True):
        variable = pairs[0][1]
        terms = [gradient for gradient, _ in pairs if gradient is not None]
        if terms:
            with tf.device(variable.device):
                sums.append((tf.add_n(terms) if len(terms) > 1 else terms[0], variable))
    return sums


def _clip_by_global_norm(grads_and_vars, norm):
    """Scale gradients down to a global norm of `norm` if theirs is larger."""
    gradients, variables = zip(*grads_and_vars, strict=True)
    return list(zip(tf.clip_by_global_norm(gradients, norm)[0], variables, strict=True))

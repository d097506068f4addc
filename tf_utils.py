"""The train step: learning rate, optimizer, variables to train, initial weights, and `get_train_op`.

`flags` is any object with the attributes that a function names (the FLAGS of a script, a SimpleNamespace).
Nothing here knows of boxes.
"""
import tensorflow.compat.v1 as tf

from checkpoints import report, restoring, scopes, sources
from common.errors import UserError
from common.log import log
from run_folder import saved_checkpoints as saved
from visualization import summary_ops


def configure_learning_rate(flags, num_replicas, num_samples_per_epoch, global_step):
    """The learning rate at `global_step`, a [] float32 tensor.

    Reads learning_rate, or learning_rate_per_image instead, which is multiplied by the pictures of a step over all
    clones (Goyal et al., arXiv 1706.02677: k times the batch wants k times the rate, after a warm-up); further
    learning_rate_decay_type, learning_rate_decay_factor, learning_rate_boundaries, end_learning_rate,
    num_epochs_per_decay (None: 2, or the max_number_of_steps for polynomial), warmup_steps, batch_size (of one clone)
    and gradient_accumulation_steps. Warm-up rises linearly over the first steps, whatever the type.
    """
    global_batch = flags.batch_size * flags.gradient_accumulation_steps * num_replicas
    initial = flags.learning_rate if flags.learning_rate_per_image is None \
        else flags.learning_rate_per_image * global_batch
    decay_steps = max(1, int(num_samples_per_epoch * _or(flags.num_epochs_per_decay, 2.) / global_batch))
    if flags.learning_rate_decay_type == 'polynomial' and initial < flags.end_learning_rate:
        raise UserError(f'the learning rate would rise, from {initial:g} to --end_learning_rate='
                        f'{flags.end_learning_rate:g}; give another')
    whole_run = flags.max_number_of_steps if flags.num_epochs_per_decay is None else None
    rate = {
        'fixed': lambda: tf.constant(initial),
        'exponential': lambda: tf.train.exponential_decay(
            initial, global_step, decay_steps, _or(flags.learning_rate_decay_factor, .94), staircase=True),
        'polynomial': lambda: tf.train.polynomial_decay(
            initial, global_step, whole_run or decay_steps, flags.end_learning_rate, power=1.),
        'piecewise': lambda: _piecewise(flags, initial, global_step),
    }[flags.learning_rate_decay_type]()
    if flags.warmup_steps:
        done = (tf.cast(global_step, tf.float32) + 1) / flags.warmup_steps
        rate *= tf.minimum(done, 1.)
    return tf.identity(rate, name='learning_rate')


def _piecewise(flags, initial, global_step):
    """The initial rate times the decay factor once for every boundary reached (the paper: 0.1 at 80k and 100k)."""
    boundaries = [int(boundary) for boundary in flags.learning_rate_boundaries]
    factor = _or(flags.learning_rate_decay_factor, .1)
    passed = tf.reduce_sum(tf.cast(global_step >= tf.constant(boundaries, tf.int64), tf.float32))
    return initial * tf.pow(factor, passed)


def _or(value, default):
    return default if value is None else value


# Name -> the optimizer of these flags at a learning rate.
_OPTIMIZERS = {
    'adadelta': lambda flags, rate: tf.train.AdadeltaOptimizer(
        rate, rho=flags.adadelta_rho, epsilon=flags.opt_epsilon),
    'adagrad': lambda flags, rate: tf.train.AdagradOptimizer(
        rate, initial_accumulator_value=flags.adagrad_initial_accumulator_value),
    'adam': lambda flags, rate: tf.train.AdamOptimizer(
        rate, beta1=flags.adam_beta1, beta2=flags.adam_beta2, epsilon=flags.opt_epsilon),
    'ftrl': lambda flags, rate: tf.train.FtrlOptimizer(
        rate, learning_rate_power=flags.ftrl_learning_rate_power,
        initial_accumulator_value=flags.ftrl_initial_accumulator_value,
        l1_regularization_strength=flags.ftrl_l1, l2_regularization_strength=flags.ftrl_l2),
    'momentum': lambda flags, rate: tf.train.MomentumOptimizer(rate, momentum=flags.momentum),
    'rmsprop': lambda flags, rate: tf.train.RMSPropOptimizer(
        rate, decay=flags.rmsprop_decay, momentum=flags.rmsprop_momentum, epsilon=flags.opt_epsilon),
    'sgd': lambda _, rate: tf.train.GradientDescentOptimizer(rate),
}
OPTIMIZERS = tuple(sorted(_OPTIMIZERS))


def configure_optimizer(flags, learning_rate, backbone_scopes=()):
    """The optimizer that flags.optimizer names, with that optimizer's own flags.

    Reads also bias_learning_rate_multiplier: biases learn at that multiple of the rate (2 in the paper's
    released configuration); and backbone_learning_rate_multiplier: so do variables under the backbone's scopes.
    """
    def multiplier(variable):
        name = variable.op.name
        return (flags.bias_learning_rate_multiplier if name.endswith('/biases') else 1.) * (
            flags.backbone_learning_rate_multiplier if any(scopes.is_under(name, scope) for scope in backbone_scopes)
            else 1.)

    make = _OPTIMIZERS[flags.optimizer]
    if flags.bias_learning_rate_multiplier == flags.backbone_learning_rate_multiplier == 1:
        return make(flags, learning_rate)
    return _RateGroups(lambda factor: make(flags, learning_rate * factor), multiplier)


class _RateGroups:
    """An optimizer of one kind for each multiple of the rate, each for its own variables; none for the multiple 0.

    Scaling the gradients instead would change nothing under Adam, Adagrad and their like.
    """

    def __init__(self, make, multiplier):
        self._make, self._multiplier = make, multiplier   # factor -> optimizer, variable -> factor

    def compute_gradients(self, *args, **kwargs):
        """As of tf.train.Optimizer."""
        return self._make(1.).compute_gradients(*args, **kwargs)

    def apply_gradients(self, grads_and_vars, global_step=None, name=None):
        """As of tf.train.Optimizer; the step is counted once, after all."""
        groups = {}
        for gradient, variable in grads_and_vars:
            groups.setdefault(self._multiplier(variable), []).append((gradient, variable))
        applied = [self._make(factor).apply_gradients(groups[factor]) for factor in sorted(groups) if factor]
        if not applied:
            raise UserError('nothing would be trained: all variables that --trainable_scopes leaves have the rate 0, '
                            'by --backbone_learning_rate_multiplier or --bias_learning_rate_multiplier')
        with tf.control_dependencies(applied):
            return tf.assign_add(global_step, 1, name=name) if global_step is not None else tf.no_op(name)


def moving_average_ops(decay, global_step, after=()):
    """Ops, as a list, that let moving averages of the trainable variables follow them; none without a decay.

    They run with the update ops, so before a step changes the weights: the averages are one step behind. after:
    tensors that are computed first, so that a step whose input fails changes nothing.
    """
    if not decay:
        return []
    averages = tf.train.ExponentialMovingAverage(decay, global_step)   # follows faster in the first steps
    with tf.control_dependencies(after):
        return [averages.apply(tf.trainable_variables())]


def get_variables_to_train(flags):
    """Trainable variables under flags.trainable_scopes (commas), or all; UserError for a scope without any."""
    return scopes.variables_under('trainable_scopes', flags.trainable_scopes, tf.trainable_variables()) \
        or tf.trainable_variables()


def get_init_fn(flags):
    """A function (session) that gives the net its pretrained weights, or None where there is nothing to do.

    A checkpoint in flags.train_dir always wins: the supervisor goes on from there. Reads also checkpoint_path (of
    any kind that `checkpoints.sources` opens), checkpoint_exclude_scopes, checkpoint_model_scope (the name that
    model_name has in the checkpoint), checkpoint_moving_averages, ignore_missing_vars and freeze_batch_norm. Says what
    is restored and what is not, and why.
    """
    latest = saved.pass_over_broken(flags.train_dir)
    if latest:
        _refuse_foreign(latest)
        log.info('going on from %s%s', latest, f'; --checkpoint_path={flags.checkpoint_path} is not read, '
                 f'because a checkpoint in train_dir wins' if flags.checkpoint_path else '')
        return None
    if not flags.checkpoint_path:
        log.info('starting from random weights (no checkpoint in %s, no --checkpoint_path)', flags.train_dir)
        return None
    variables = tf.model_variables()
    excluded = scopes.variables_under('checkpoint_exclude_scopes', flags.checkpoint_exclude_scopes, variables)
    plan = restoring.make_plan(sources.open_source(flags.checkpoint_path), variables, flags.model_name, excluded,
                               flags.checkpoint_model_scope, flags.checkpoint_moving_averages)
    restoring.check(plan, flags.model_name, flags.ignore_missing_vars)
    report.log_table(plan)
    if flags.freeze_batch_norm:
        report.log_moments_not_learned(plan)
    return restoring.init_fn(plan)


def _refuse_foreign(latest):
    """UserError where the checkpoint of the train_dir is not one of this very graph."""
    there = saved.shapes(latest)
    wrong = [v.op.name for v in tf.global_variables() if there.get(v.op.name) != v.shape.as_list()]
    if wrong:
        raise UserError(f'{latest} does not fit this run: it lacks {len(wrong)} variables, or has them in another '
                        f'shape, such as {", ".join(wrong[:3])} (another net, number of classes, optimizer, '
                        f'multiplier of its rate, set of trained variables, or moving averages switched on); choose '
                        f'another --train_dir, and pass this one as --checkpoint_path to start from it')


def get_train_op(optimizer, summaries, clones, global_step, first_clone_scope, update_ops, variables=None,
                 clip_gradient_norm=0., group=None):
    """The training step over all clones: (train_tensor, summary_op).

    train_tensor: [] float32, the average of the clones' losses plus the regularisation losses, once; fetching
    it applies the sum over clones of each variable's gradients of that, once. A clone's loss is the sum of
    `tf.GraphKeys.LOSSES` under its scope. summary_op: `summaries`, those made under `first_clone_scope` and
    the total loss, merged. update_ops: run before the gradients are applied. variables: what to train, all
    trainable ones by default. clip_gradient_norm: where the norm of all summed gradients together is larger, they are
    scaled down to it; 0 lets them be. group: the `deployment.process_group.ProcessGroup` over whose clones, too, losses
    are averaged and gradients summed. None of the arguments is changed.
    """
    variables = tf.trainable_variables() if variables is None else variables
    num_replicas = len(clones) * (group.size if group else 1)
    regularization = tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
    losses, gradients = [], []
    for clone in clones:
        with tf.name_scope(clone.scope), tf.device(clone.device):
            losses.append(tf.add_n(tf.get_collection(tf.GraphKeys.LOSSES, clone.scope)) / num_replicas)
            if clone.gradients is None:
                gradients.append(optimizer.compute_gradients(losses[-1], variables))
            else:   # of its losses, not yet averaged
                gradients.append([(None if gradient is None else gradient / num_replicas, variable)
                                  for gradient, variable in clone.gradients])
    if num_replicas > len(clones):
        losses, gradients = _over_processes(group, losses, gradients)
    if regularization:
        with tf.name_scope(clones[0].scope), tf.device(clones[0].device):
            losses.append(tf.add_n(regularization))
            gradients.append(optimizer.compute_gradients(losses[-1], variables))
    total_loss = tf.add_n(losses, name='total_loss')

    summed = _sum_gradients(gradients)
    if clip_gradient_norm:
        summed = _clipped(summed, clip_gradient_norm)
    with tf.control_dependencies(list(update_ops)):
        applied = optimizer.apply_gradients(summed, global_step=global_step)
    with tf.control_dependencies([applied]):
        train_tensor = tf.identity(total_loss, name='train_op')
    total = summary_ops.scalar('losses/total', total_loss, 'All parts together: what training makes smaller.')
    merged = {*summaries, *tf.get_collection(tf.GraphKeys.SUMMARIES, first_clone_scope), total}
    return train_tensor, tf.summary.merge(sorted(merged, key=lambda summary: summary.name))


def _over_processes(group, losses, shares):
    """The losses and the gradients of this process's clones -> those of all processes, as if they were of one clone."""
    pairs = _sum_gradients(shares)
    loss, = group.sum([tf.add_n(losses)])
    gradients = group.sum([gradient for gradient, _ in pairs], group.gradient_precision)
    summed = {variable.ref(): gradient for (_, variable), gradient in zip(pairs, gradients, strict=True)}
    return [loss], [[(summed.get(variable.ref()), variable) for _, variable in shares[0]]]


def _sum_gradients(shares):
    """[[(gradient, variable), ...] of each share] -> [(sum, variable), ...], summed where the variable is."""
    summed = []
    for pairs in zip(*shares, strict=True):
        variable = pairs[0][1]
        parts = [gradient for gradient, _ in pairs if gradient is not None]
        if parts:
            with tf.device(variable.device):
                summed.append((tf.add_n(parts) if len(parts) > 1 else parts[0], variable))
    return summed


def _clipped(pairs, norm):
    """[(gradient, variable), ...] with the norm of all gradients together at `norm`, if it was larger."""
    gradients, variables = zip(*pairs, strict=True)
    return list(zip(tf.clip_by_global_norm(gradients, norm)[0], variables, strict=True))

"""The train step: learning rate, optimizer, variables to train, initial weights, and `get_train_op`.

`flags` is any object with the attributes that a function names (the FLAGS of a script, a SimpleNamespace).
Nothing here knows of boxes.
"""
import difflib

import tensorflow.compat.v1 as tf

from deployment import checkpoints
from deployment.console import log
from deployment.errors import UserError


def configure_learning_rate(flags, num_clones, num_samples_per_epoch, global_step):
    """The learning rate at `global_step`, a [] float32 tensor.

    Reads learning_rate, learning_rate_decay_type, learning_rate_decay_factor, learning_rate_boundaries,
    end_learning_rate, num_epochs_per_decay, warmup_steps and batch_size (of one clone). Warm-up rises linearly
    over the first steps, whatever the type.
    """
    decay_steps = max(1, int(num_samples_per_epoch * flags.num_epochs_per_decay
                             / (flags.batch_size * num_clones)))
    rate = {
        'fixed': lambda: tf.constant(flags.learning_rate),
        'exponential': lambda: tf.train.exponential_decay(
            flags.learning_rate, global_step, decay_steps, _or(flags.learning_rate_decay_factor, .94),
            staircase=True),
        'polynomial': lambda: tf.train.polynomial_decay(
            flags.learning_rate, global_step, decay_steps, flags.end_learning_rate, power=1.),
        'piecewise': lambda: _piecewise(flags, global_step),
    }[flags.learning_rate_decay_type]()
    if flags.warmup_steps:
        done = (tf.cast(global_step, tf.float32) + 1) / flags.warmup_steps
        rate *= tf.minimum(done, 1.)
    return tf.identity(rate, name='learning_rate')


def _piecewise(flags, global_step):
    """learning_rate times the decay factor once for every boundary reached (the paper: 0.1 at 80k and 100k)."""
    boundaries = [int(boundary) for boundary in flags.learning_rate_boundaries]
    factor = _or(flags.learning_rate_decay_factor, .1)
    passed = tf.reduce_sum(tf.cast(global_step >= tf.constant(boundaries, tf.int64), tf.float32))
    return flags.learning_rate * tf.pow(factor, passed)


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


def configure_optimizer(flags, learning_rate):
    """The optimizer that flags.optimizer names, with that optimizer's own flags.

    Reads also bias_learning_rate_multiplier: biases learn at that multiple of the rate (2 in the paper's
    released configuration).
    """
    make = _OPTIMIZERS[flags.optimizer]
    if flags.bias_learning_rate_multiplier == 1:
        return make(flags, learning_rate)
    return _TwoRates(make(flags, learning_rate),
                     make(flags, learning_rate * flags.bias_learning_rate_multiplier))


class _TwoRates:
    """Two optimizers of one kind: the second one, with another rate, applies the gradients of the biases.

    Scaling the gradients instead would change nothing under Adam, Adagrad and their like.
    """

    def __init__(self, others, biases):
        self._others, self._biases = others, biases

    def compute_gradients(self, *args, **kwargs):
        """As of tf.train.Optimizer."""
        return self._others.compute_gradients(*args, **kwargs)

    def apply_gradients(self, grads_and_vars, global_step=None, name=None):
        """As of tf.train.Optimizer; the step is counted once, after both."""
        pairs = list(grads_and_vars)
        biases = [pair for pair in pairs if pair[1].op.name.endswith('/biases')]
        others = [pair for pair in pairs if not pair[1].op.name.endswith('/biases')]
        applied = [optimizer.apply_gradients(share)
                   for optimizer, share in ((self._others, others), (self._biases, biases)) if share]
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
    if not flags.trainable_scopes:
        return tf.trainable_variables()
    chosen = []
    for scope in _scopes(flags.trainable_scopes):
        under = [v for v in tf.trainable_variables() if _is_under(v.op.name, scope)]
        if not under:
            raise UserError(f"--trainable_scopes: no variable lies under '{scope}'; "
                            f'{_near(scope, tf.trainable_variables())}')
        chosen += [v for v in under if v not in chosen]
    return chosen


def _scopes(text):
    return [scope.strip().rstrip('/') for scope in text.split(',') if scope.strip()]


def _is_under(name, scope):
    return name == scope or name.startswith(scope + '/')


def _near(scope, variables):
    """Names like a scope, for an error."""
    prefixes = {'/'.join(v.op.name.split('/')[:depth]) for v in variables for depth in (1, 2, 3)}
    return 'like it are ' + ', '.join(difflib.get_close_matches(scope, sorted(prefixes), 3, 0)) + '.'


def get_init_fn(flags):
    """A function (session) that restores the pretrained weights, or None where there is nothing to do.

    A checkpoint in flags.train_dir always wins: the supervisor goes on from there. Reads also
    checkpoint_path, checkpoint_exclude_scopes, checkpoint_model_scope (the name that model_name has in the
    checkpoint) and ignore_missing_vars. Says what is restored and what is not, and why.
    """
    latest = checkpoints.pass_over_broken(flags.train_dir)
    if latest:
        _refuse_foreign(latest)
        log.info('going on from %s%s', latest, f'; --checkpoint_path={flags.checkpoint_path} is not read, '
                 f'because a checkpoint in train_dir wins' if flags.checkpoint_path else '')
        return None
    if not flags.checkpoint_path:
        log.info('starting from random weights (no checkpoint in %s, no --checkpoint_path)', flags.train_dir)
        return None
    prefix = checkpoints.find(flags.checkpoint_path)
    restored, left = _restore_plan(flags, prefix)
    log.info('starting from %s: %d of %d variables restored', prefix, len(restored),
             len(restored) + sum(map(len, left.values())))
    for reason, names in left.items():
        log.info('  %d left at their initial values (%s): %s%s', len(names), reason, ', '.join(names[:4]),
                 ', ...' if len(names) > 4 else '')
    saver = tf.train.Saver(restored)
    return lambda session: saver.restore(session, prefix)


def _restore_plan(flags, prefix):
    """({name in the checkpoint: variable}, {reason: [names left at their initial values]})."""
    there = checkpoints.shapes(prefix)
    excluded = _scopes(flags.checkpoint_exclude_scopes or '')
    variables = tf.model_variables()
    for scope in excluded:
        if not any(_is_under(v.op.name, scope) for v in variables):
            raise UserError(f"--checkpoint_exclude_scopes: no variable lies under '{scope}'; "
                            f'{_near(scope, variables)}')
    restored, left = {}, {}
    for variable in variables:
        name = variable.op.name
        source = name
        if flags.checkpoint_model_scope and _is_under(name, flags.model_name):
            source = flags.checkpoint_model_scope + name[len(flags.model_name):]
        if any(_is_under(name, scope) for scope in excluded):
            left.setdefault('excluded', []).append(name)
        elif source not in there:
            left.setdefault('not in the checkpoint', []).append(name)
        elif there[source] != variable.shape.as_list():
            left.setdefault('of another shape', []).append(f'{name} {there[source]} -> {variable.shape.as_list()}')
        else:
            restored[source] = variable
    _check_plan(flags, prefix, there, restored, left)
    return restored, left


def _check_plan(flags, prefix, there, restored, left):
    missing = left.get('not in the checkpoint', [])
    if not restored:
        wanted = (missing or ['no variable'])[0]
        near = difflib.get_close_matches(wanted, list(there), 3, 0)
        raise UserError(f'{prefix} holds no variable of this net; the net wants {wanted}, and the nearest names in '
                        f'the checkpoint are {", ".join(near)}; --checkpoint_model_scope maps {flags.model_name}/ '
                        f'to another name')
    if missing and not flags.ignore_missing_vars:
        raise UserError(f'{prefix} lacks {len(missing)} variables of this net, such as {", ".join(missing[:3])}; '
                        f'pass --ignore_missing_vars to start them afresh, or name them in '
                        f'--checkpoint_exclude_scopes')


def _refuse_foreign(latest):
    """UserError where the checkpoint of the train_dir is not one of this very graph."""
    there = checkpoints.shapes(latest)
    wrong = [v.op.name for v in tf.global_variables() if there.get(v.op.name) != v.shape.as_list()]
    if wrong:
        raise UserError(f'{latest} does not fit this run: it lacks {len(wrong)} variables, or has them in another '
                        f'shape, such as {", ".join(wrong[:3])} (another net, number of classes, optimizer, set of '
                        f'trained variables, or moving averages switched on); choose another --train_dir, and pass '
                        f'this one as --checkpoint_path to start from it')


def get_train_op(optimizer, summaries, clones, global_step, first_clone_scope, update_ops, variables=None):
    """The training step over all clones: (train_tensor, summary_op).

    train_tensor: [] float32, the average of the clones' losses plus the regularisation losses, once; fetching
    it applies the sum over clones of each variable's gradients of that, once. A clone's loss is the sum of
    `tf.GraphKeys.LOSSES` under its scope. summary_op: `summaries`, those made under `first_clone_scope` and
    the total loss, merged. update_ops: run before the gradients are applied. variables: what to train, all
    trainable ones by default. None of the arguments is changed.
    """
    variables = tf.trainable_variables() if variables is None else variables
    losses, gradients = [], []
    for clone in clones:
        with tf.name_scope(clone.scope), tf.device(clone.device):
            loss = tf.add_n(tf.get_collection(tf.GraphKeys.LOSSES, clone.scope)) / len(clones)
            regularization = tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
            if regularization and clone is clones[0]:
                loss += tf.add_n(regularization)
            losses.append(loss)
            gradients.append(optimizer.compute_gradients(loss, variables))
    total_loss = tf.add_n(losses, name='total_loss')

    with tf.control_dependencies(list(update_ops)):
        applied = optimizer.apply_gradients(_sum_gradients(gradients), global_step=global_step)
    with tf.control_dependencies([applied]):
        train_tensor = tf.identity(total_loss, name='train_op')
    merged = {*summaries, *tf.get_collection(tf.GraphKeys.SUMMARIES, first_clone_scope),
              tf.summary.scalar('losses/total', total_loss)}
    return train_tensor, tf.summary.merge(sorted(merged, key=lambda summary: summary.name))


def _sum_gradients(by_clone):
    """[[(gradient, variable), ...] for each clone] -> [(sum, variable), ...], summed where the variable is."""
    summed = []
    for pairs in zip(*by_clone, strict=True):
        variable = pairs[0][1]
        parts = [gradient for gradient, _ in pairs if gradient is not None]
        if parts:
            with tf.device(variable.device):
                summed.append((tf.add_n(parts) if len(parts) > 1 else parts[0], variable))
    return summed

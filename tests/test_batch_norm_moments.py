import contextlib
import math
import signal
import types

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import tf_utils
from deployment.model_deploy import Clone
from nets import layers
from training.batch_norm_moments import (
    EstimatePartner,
    MomentEstimator,
    batch_limit,
    num_batches,
    population_moments,
)
from training.options import RunOptions
from training.stop_signals import StopSignals

CLONES = [Clone(None, 'clone_0/', ''), Clone(None, 'clone_1/', '')]


@pytest.mark.parametrize('images_per_batch, step, last_saved_step, expected', [
    (16, 8000, 0, 63),       # 1,008 images
    (1, 8000, 0, 1000),
    (64, 8000, 0, 20),       # 16 batches would be enough
    (16, 8000, 7600, 50),    # 400 steps
    (16, 8000, 7990, 20),
    (16, 9000, 8990, 63),    # the last step, whenever the run was saved before
    (16, 9, 0, 20)])
def test_number_of_batches(images_per_batch, step, last_saved_step, expected):
    options = RunOptions(max_number_of_steps=9000)
    assert num_batches(options, images_per_batch, step, last_saved_step) == expected


def test_number_of_batches_from_the_flag():
    assert num_batches(RunOptions(precise_batch_norm_batches=7), 16, 8000, 0) == 7


@pytest.mark.parametrize('number, limit', [
    (None, math.inf), (signal.SIGINT, 20), (signal.SIGHUP, 20), (signal.SIGTERM, 0)])
def test_batch_limit_after_a_signal(number, limit):
    signals = StopSignals()
    signals.received = number
    assert batch_limit(signals, is_joint=False) == limit


def test_batch_limit_of_several_processes_changes_when_they_agree():
    signals = StopSignals()
    signals.received = signal.SIGTERM   # the others do not know yet
    assert batch_limit(signals, is_joint=True) == math.inf
    signals.is_agreed = True
    assert batch_limit(signals, is_joint=True) == 0


def test_a_process_takes_part_in_the_estimates_of_the_saver():
    updates = []
    partner = EstimatePartner(lambda *arguments: updates.append(arguments))
    partner.mark_as_saved(5)   # resumed
    for step in (5, 8, 8, 12):
        partner.save('session', 'path', global_step=step)
    assert updates == [('session', 8, 5), ('session', 12, 8)]


def test_population_moments_are_those_of_all_values():
    # Batches 1, 3 and 5, 7: means 2 and 6, variances 1 and 1.
    mean, variance = population_moments([[2.], [6.]], [[1.], [1.]])
    assert mean == [4] and variance == [5] and np.var([1, 3, 5, 7]) == 5


def test_population_moments_of_a_large_mean_keep_their_precision():
    mean, variance = population_moments(np.float32([[4096], [4096]]), np.float32([[1e-4], [3e-4]]))
    assert mean == [4096]
    np.testing.assert_allclose(variance, [2e-4], rtol=1e-6)


class Net:
    """A layer w * x and batch norm on two clones; their batches at step k are k and 10 * k.

    Each batch has the two values n - 1 and n + 1. The weight w is 1.
    """

    def __init__(self, step=1, num_micro_batches=1, last_step=9, decay=None):
        self.global_step = tf.train.get_or_create_global_step()
        values = tf.range(last_step, dtype=tf.float32)   # reading a step after the last one fails
        steps = tf.data.Dataset.range(tf.cast(self.global_step, tf.int64), 99).map(
            lambda k: tf.gather(values, k))
        iterator = tf.data.make_initializable_iterator(steps)
        tf.add_to_collection(tf.GraphKeys.TABLE_INITIALIZERS, iterator.initializer)
        self.next_step = iterator.get_next()
        self.weight = tf.get_variable('w', [], initializer=tf.ones_initializer())
        for index, clone in enumerate(CLONES):
            for part in range(num_micro_batches):
                self._layer(clone.scope, index, part)
        tf_utils.moving_average_ops(decay, self.global_step)
        self.session = tf.Session()
        self.session.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
        self.global_step.load(step, self.session)
        self.session.run(tf.tables_initializer())

    def _layer(self, scope, index, part):
        with tf.name_scope(scope), tf.variable_scope('', reuse=True if index + part else None):
            value = self.next_step * 10 ** index + 100 * part
            layers.batch_norm(self.weight * tf.reshape(tf.stack([value - 1, value + 1]),
                                                       [2, 1, 1, 1]), True)

    def update(self, estimator):
        """Update the moments; return (mean, variance)."""
        self.session.run(tf.local_variables_initializer())   # those of the estimator
        estimator.update(self.session, 1, 0)
        return self.values('BatchNorm/moving_mean', 'BatchNorm/moving_variance')

    def values(self, *names):
        variables = {v.op.name: v for v in [*tf.global_variables(), *tf.local_variables()]}
        return [self.session.run(variables[name]).item() for name in names]


@pytest.mark.parametrize('num_micro_batches', [1, 2])
def test_moments_are_those_of_the_next_batches_of_all_clones(num_micro_batches):
    net = Net(1, num_micro_batches)
    # Means 1, 10, 2 and 20 of two batches of two clones; each batch has the variance 1.
    mean, variance = net.update(MomentEstimator(CLONES, lambda *_: 2))
    assert mean == 33 / 4
    assert variance == pytest.approx(np.var([1, 10, 2, 20]) + 1)
    assert net.session.run(net.next_step) == 1   # the input starts again at the current step


def test_moments_of_averaged_weights_are_separate_and_the_weights_stay():
    net = Net(decay=.9)
    estimator = MomentEstimator(CLONES[:1], lambda *_: 2)
    average, = (v for v in tf.global_variables() if v.op.name == 'w/ExponentialMovingAverage')
    average.load(3., net.session)
    assert net.update(estimator) == [1.5, 1.25]   # means 1 and 2: variance 1 + 1/4
    suffix = 'ExponentialMovingAverage'
    assert net.values(f'BatchNorm/moving_mean/{suffix}',
                      f'BatchNorm/moving_variance/{suffix}') == [10.5, 11.25]   # 9 and 12, 9 + 9/4
    assert net.values('w', f'w/{suffix}') == [1, 3]
    assert net.session.run(net.next_step) == 1
    assert estimator.averaged_moments == tf.local_variables()


def limits(*values):
    """Return a function that returns these values one after the other, then the last one."""
    values = list(values)
    return lambda: values.pop(0) if len(values) > 1 else values[0]


def test_estimate_ends_early_at_the_batch_limit():
    """Ctrl-C arrives during the second of four batches."""
    net = Net()
    mean, _ = net.update(MomentEstimator(
        CLONES[:1], lambda *_: 4, limits(math.inf, math.inf, math.inf, 1)))
    assert mean == 1.5   # of the batches 1 and 2


@pytest.mark.parametrize('estimator, last_step', [
    ({'num_batches': None}, 9),                                            # switched off
    ({'num_batches': lambda *_: 2, 'batch_limit': lambda: 0}, 9),
    ({'num_batches': lambda *_: 2, 'batch_limit': limits(9, 9, 0)}, 9),    # SIGTERM meanwhile
    ({'num_batches': lambda *_: 2}, 2)])                                   # no second batch
def test_otherwise_the_moving_moments_are_kept(estimator, last_step):
    net = Net(1, last_step=last_step, decay=.9)
    assert net.update(MomentEstimator(CLONES, **estimator)) == [0, 1]
    assert net.session.run(net.next_step) == 1
    averaged = {v.op.name: net.session.run(v).item() for v in tf.local_variables()}
    assert averaged == ({} if not estimator['num_batches'] else {
        'BatchNorm/moving_mean/ExponentialMovingAverage': 0,
        'BatchNorm/moving_variance/ExponentialMovingAverage': 1})


def test_processes_that_estimate_together_fail_if_the_input_of_one_fails():
    """The others would wait for its moments."""
    net = Net(last_step=2)
    group = types.SimpleNamespace(detect_lost_processes=contextlib.nullcontext)
    with pytest.raises(tf.errors.InvalidArgumentError):
        net.update(MomentEstimator(CLONES, lambda *_: 2, joint_group=group))


def test_net_without_batch_norm_in_training_mode_has_no_moments():
    layers.batch_norm(tf.zeros([2, 1, 1, 1]), False)   # frozen
    estimator = MomentEstimator([Clone(None, '', '')], lambda *_: 2)
    estimator.update(None, 1, 0)
    assert estimator.averaged_moments == []

import types

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import tf_utils
from common.errors import UserError
from deployment import model_deploy

DEFAULTS = {
    'adadelta_rho': .95, 'adagrad_initial_accumulator_value': .1, 'adam_beta1': .9, 'adam_beta2': .999,
    'opt_epsilon': 1., 'ftrl_learning_rate_power': -.5, 'ftrl_initial_accumulator_value': .1, 'ftrl_l1': 0.,
    'ftrl_l2': 0., 'momentum': .9, 'rmsprop_momentum': .9, 'rmsprop_decay': .9, 'optimizer': 'momentum',
    'bias_learning_rate_multiplier': 2., 'backbone_learning_rate_multiplier': 1., 'learning_rate': .1,
    'learning_rate_per_image': None, 'learning_rate_decay_type': 'piecewise',
    'learning_rate_decay_factor': None, 'learning_rate_boundaries': ['10', '20'], 'end_learning_rate': .01,
    'num_epochs_per_decay': 2., 'max_number_of_steps': None, 'warmup_steps': 0, 'batch_size': 5,
    'gradient_accumulation_steps': 1,
    'trainable_scopes': None, 'model_name': 'net',
    'checkpoint_path': None, 'checkpoint_model_scope': None, 'checkpoint_exclude_scopes': None,
    'ignore_missing_vars': False, 'freeze_batch_norm': False, 'checkpoint_moving_averages': False,
    'train_dir': '/nowhere'}


def flags(**changes):
    return types.SimpleNamespace(**{**DEFAULTS, **changes})


def rates(steps, **changes):
    """Learning rate at these steps; an epoch of 100 examples, so of 10 steps of two clones of 5."""
    step = tf.placeholder(tf.int64, [])
    rate = tf_utils.configure_learning_rate(flags(**changes), 2, 100, step)
    with tf.Session() as session:
        return [session.run(rate, {step: s}) for s in steps]


@pytest.mark.parametrize('changes, steps, expected', [
    ({'learning_rate_decay_type': 'fixed'}, [0, 1000], [.1, .1]),
    ({}, [0, 9, 10, 19, 20, 99], [.1, .1, .01, .01, .001, .001]),
    ({'learning_rate_decay_factor': .5}, [9, 10, 20], [.1, .05, .025]),
    ({'learning_rate_decay_type': 'exponential'}, [0, 19, 20, 40], [.1, .1, .094, .08836]),
    ({'learning_rate_decay_type': 'exponential', 'learning_rate_decay_factor': .5}, [20, 40], [.05, .025]),
    ({'learning_rate_decay_type': 'polynomial'}, [0, 10, 20, 99], [.1, .055, .01, .01]),
    ({'learning_rate_decay_type': 'polynomial', 'num_epochs_per_decay': None, 'max_number_of_steps': 40},
     [0, 20, 40], [.1, .055, .01]),
    ({'learning_rate_decay_type': 'polynomial', 'num_epochs_per_decay': None}, [10, 20], [.055, .01]),
    # Two clones of 5: ten pictures a step.
    ({'learning_rate_per_image': .02, 'learning_rate_decay_type': 'fixed'}, [0], [.2]),
    ({'learning_rate_per_image': .02, 'learning_rate_decay_type': 'fixed', 'gradient_accumulation_steps': 3}, [0],
     [.6]),
    ({'learning_rate_per_image': .02, 'warmup_steps': 4}, [0, 3, 10], [.05, .2, .02]),
    ({'warmup_steps': 4}, [0, 1, 3, 4, 10], [.025, .05, .1, .1, .01])])
def test_learning_rates_by_hand(changes, steps, expected):
    np.testing.assert_allclose(rates(steps, **changes), expected, rtol=1e-5)


def test_a_rate_that_would_rise():
    with pytest.raises(UserError, match='would rise, from 0.005 to --end_learning_rate=0.01'):
        rates([0], learning_rate_decay_type='polynomial', learning_rate_per_image=.0005)


def first_update(optimizer, gradient=2., **changes):
    """What one step of an optimizer at rate 0.1 subtracts from a weight and a bias that both have this gradient."""
    weights, biases = (tf.get_variable(f'conv/{name}', initializer=1.) for name in ('weights', 'biases'))
    made = tf_utils.configure_optimizer(flags(optimizer=optimizer, **changes), tf.constant(.1))
    step = tf.train.get_or_create_global_step()
    train = made.apply_gradients([(tf.constant(gradient), v) for v in (weights, biases)], global_step=step)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(train)
        assert session.run(step) == 1
        return 1 - np.array(session.run([weights, biases]))


@pytest.mark.parametrize('optimizer, changes, expected', [
    ('sgd', {}, .2),
    ('momentum', {}, .2),
    ('adagrad', {}, .1 * 2 / np.sqrt(.1 + 4)),
    ('adagrad', {'adagrad_initial_accumulator_value': 5.}, .1 * 2 / 3),
    # With TensorFlow's bias correction inside the rate: m = .2, v = .004, rate * sqrt(.001) / .1.
    ('adam', {}, .1 * np.sqrt(.001) / .1 * .2 / (np.sqrt(.004) + 1)),
    ('adam', {'opt_epsilon': 1e-8}, .1),
    ('adam', {'opt_epsilon': 0., 'adam_beta1': .5}, .1),
    # The mean square starts at 1: .9 + .1 * 4 = 1.3.
    ('rmsprop', {}, .1 * 2 / np.sqrt(1.3 + 1)),
    ('rmsprop', {'rmsprop_decay': .5, 'opt_epsilon': 0.}, .1 * 2 / np.sqrt(2.5)),
    ('adadelta', {}, .1 * 2 * np.sqrt(1.) / np.sqrt(.05 * 4 + 1)),
    ('adadelta', {'adadelta_rho': .5, 'opt_epsilon': .25}, .1 * 2 * np.sqrt(.25) / np.sqrt(2 + .25))])
def test_optimizers_by_hand(optimizer, changes, expected):
    weights, biases = first_update(optimizer, **changes)
    assert weights == pytest.approx(expected, rel=1e-4)
    assert biases == pytest.approx(2 * expected, rel=1e-4)      # twice the rate, whatever the optimizer


def test_ftrl_learns_and_its_l1_holds_back():
    free, _ = first_update('ftrl')
    with tf.Graph().as_default():
        held, _ = first_update('ftrl', ftrl_l1=100.)
    assert free > 0 and held == 1      # held: the weight itself went to 0
    assert tf_utils.OPTIMIZERS == ('adadelta', 'adagrad', 'adam', 'ftrl', 'momentum', 'rmsprop', 'sgd')


def test_momentum_gathers():
    variable = tf.get_variable('weights', initializer=1.)
    made = tf_utils.configure_optimizer(flags(momentum=.5), tf.constant(.1))
    train = made.apply_gradients([(tf.constant(1.), variable)])
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(train)
        session.run(train)
        assert session.run(variable) == pytest.approx(1 - .1 - .15)


def test_one_rate_is_the_plain_optimizer():
    made = tf_utils.configure_optimizer(flags(bias_learning_rate_multiplier=1.), tf.constant(.1))
    assert isinstance(made, tf.train.MomentumOptimizer)


@pytest.mark.parametrize('optimizer, plain', [('sgd', .2), ('adam', .1)])
def test_the_backbone_has_its_own_rate(optimizer, plain):
    names = ['trunk/weights', 'trunk/biases', 'trunk_other/weights', 'head/biases']
    made = [tf.get_variable(name, initializer=1.) for name in names]
    optimizer = tf_utils.configure_optimizer(
        flags(optimizer=optimizer, opt_epsilon=1e-8, backbone_learning_rate_multiplier=.1), tf.constant(.1), ['trunk'])
    step = tf.train.get_or_create_global_step()
    train = optimizer.apply_gradients([(tf.constant(2.), v) for v in made], global_step=step)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(train)
        assert session.run(step) == 1
        changes = 1 - np.array(session.run(made))
    np.testing.assert_allclose(changes / plain, [.1, .2, 1, 2], rtol=1e-4)


def test_a_backbone_without_a_rate_stays_as_it_is():
    made = [tf.get_variable(name, initializer=[1.]) for name in ('trunk/weights', 'head/weights')]
    optimizer = tf_utils.configure_optimizer(flags(optimizer='ftrl', backbone_learning_rate_multiplier=0.),
                                             tf.constant(.1), ['trunk'])
    train = optimizer.apply_gradients([(tf.constant([2.]), v) for v in made])
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(train)
        trunk, head = session.run(made)
    assert trunk == [1.] and np.isfinite(head) and head != [1.]      # ftrl divides by the rate


def variables():
    return [tf.get_variable(name, initializer=tf.zeros(shape), collections=[
        tf.GraphKeys.GLOBAL_VARIABLES, tf.GraphKeys.MODEL_VARIABLES, tf.GraphKeys.TRAINABLE_VARIABLES])
        for name, shape in (('net/conv1/weights', [2]), ('net/conv10/weights', [2]), ('net/head/weights', [3]))]


def test_trainable_scopes():
    conv1, _, head = variables()
    assert tf_utils.get_variables_to_train(flags()) == tf.trainable_variables()
    found = tf_utils.get_variables_to_train(flags(trainable_scopes='net/conv1, net/head/,net/conv1'))
    assert found == [conv1, head]         # conv10 does not lie under conv1
    with pytest.raises(UserError, match="no variable lies under 'net/conv2'.*net/conv1"):
        tf_utils.get_variables_to_train(flags(trainable_scopes='net/conv2'))


def save(folder, values):
    """A checkpoint of name -> value, written from a graph of its own."""
    with tf.Graph().as_default(), tf.Session() as session:
        made = [tf.get_variable(name, initializer=tf.constant(value, tf.float32)) for name, value in values.items()]
        session.run(tf.global_variables_initializer())
        return tf.train.Saver(made).save(session, str(folder / 'model.ckpt'), global_step=7)


def restore(**changes):
    """Values of the three variables after the init function of these flags."""
    made = variables()
    init_fn = tf_utils.get_init_fn(flags(**changes))
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        init_fn(session)
        return [value.tolist() for value in session.run(made)]


WHOLE = {'net/conv1/weights': [1, 1], 'net/conv10/weights': [2, 2], 'net/head/weights': [3, 3, 3]}


@pytest.mark.parametrize('path', ['{folder}', '{folder}/model.ckpt-7', '{folder}/model.ckpt-7.index',
                                  '{folder}/model.ckpt-7.data-00000-of-00001'])
def test_a_checkpoint_by_any_of_its_names(tmp_path, path):
    save(tmp_path, WHOLE)
    assert restore(checkpoint_path=path.format(folder=tmp_path)) == [[1, 1], [2, 2], [3, 3, 3]]


def test_excluded_scopes(tmp_path):
    save(tmp_path, WHOLE)
    assert restore(checkpoint_path=str(tmp_path), checkpoint_exclude_scopes='net/conv1,net/head') == [
        [0, 0], [2, 2], [0, 0, 0]]
    with tf.Graph().as_default(), pytest.raises(UserError, match="no variable lies under 'head'"):
        restore(checkpoint_path=str(tmp_path), checkpoint_exclude_scopes='head')


def test_another_model_scope(tmp_path):
    save(tmp_path, {name.replace('net/', 'vgg_16/'): value for name, value in WHOLE.items()})
    assert restore(checkpoint_path=str(tmp_path), checkpoint_model_scope='vgg_16') == [[1, 1], [2, 2], [3, 3, 3]]


@pytest.mark.parametrize('make, message', [
    (lambda folder: folder / 'gone', 'there is no checkpoint'),
    (lambda folder: folder, 'holds no TensorFlow checkpoint')])
def test_no_checkpoint(tmp_path, make, message):
    with pytest.raises(UserError, match=message):
        restore(checkpoint_path=str(make(tmp_path)))


def test_the_fine_tuned_checkpoint_wins(tmp_path, caplog):
    (tmp_path / 'run').mkdir()
    (tmp_path / 'pretrained').mkdir()
    save(tmp_path / 'run', WHOLE)
    save(tmp_path / 'pretrained', WHOLE)
    variables()
    with caplog.at_level('INFO', 'ssd'):
        assert tf_utils.get_init_fn(flags(train_dir=str(tmp_path / 'run'),
                                          checkpoint_path=str(tmp_path / 'pretrained'))) is None
    assert 'going on from' in caplog.text and 'is not read, because a checkpoint in train_dir wins' in caplog.text


def test_a_train_dir_of_another_net_is_refused(tmp_path):
    save(tmp_path, {**WHOLE, 'net/head/weights': [3, 3]})
    variables()
    with pytest.raises(UserError, match='does not fit this run: it lacks 1 variables, .* net/head/weights'):
        tf_utils.get_init_fn(flags(train_dir=str(tmp_path)))


def test_nothing_to_restore(caplog):
    with caplog.at_level('INFO', 'ssd'):
        assert tf_utils.get_init_fn(flags()) is None
    assert 'random weights' in caplog.text


def quadratic_clones(values, weight=3., decay=None):
    """Clones with the loss v * w^2 for each v, and a regularisation loss decay * w."""
    config = model_deploy.make_deployment_config(len(values), True, 0)
    made = []

    def model_fn(value):
        with tf.variable_scope('net', reuse=tf.AUTO_REUSE):
            made.append(tf.get_variable('weights', initializer=weight))
        if decay and len(made) == 1:
            tf.losses.add_loss(decay * made[0], tf.GraphKeys.REGULARIZATION_LOSSES)
        tf.losses.add_loss(value * made[0] ** 2)
        tf.summary.scalar('value', value)
    return model_deploy.create_clones(config, model_fn, [(v,) for v in values]), made[0], config


def test_train_op_averages_losses_and_sums_their_gradients_once():
    clones, weight, config = quadratic_clones([1., 2., 6.], decay=.5)
    step = tf.train.get_or_create_global_step()
    train, summary_op = tf_utils.get_train_op(tf.train.GradientDescentOptimizer(.1), [], clones, step,
                                              clones[0].scope, [])
    with tf.Session(config=model_deploy.session_config(config)) as session:
        session.run(tf.global_variables_initializer())
        # Loss (1 + 2 + 6) / 3 * 9 + .5 * 3; gradient 2 * 3 * 3 + .5.
        assert session.run(train) == pytest.approx(28.5)
        assert session.run(weight) == pytest.approx(3 - .1 * 18.5)
        assert session.run(step) == 1
        tags = [value.tag for value in tf.Summary.FromString(session.run(summary_op)).value]
    assert tags == ['clone_0/value', 'losses/total']


@pytest.mark.parametrize('norm, scale', [(0., 1.), (10., 1.), (4., .8), (.5, .1)])
def test_gradients_are_clipped_by_their_norm_together(norm, scale):
    clones, weight, _ = quadratic_clones([1.])
    with tf.name_scope(clones[0].scope):
        other = tf.get_variable('other', initializer=2.)
        tf.add_to_collection(tf.GraphKeys.LOSSES, tf.identity(-3. * weight + 4. * other, name='more'))
    # Gradients 2 * 3 - 3 = 3 and 4, of norm 5.
    train, _ = tf_utils.get_train_op(tf.train.GradientDescentOptimizer(1.), [], clones,
                                     tf.train.get_or_create_global_step(), clones[0].scope, [],
                                     clip_gradient_norm=norm)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(train)
        assert session.run([weight, other]) == pytest.approx([3 - 3 * scale, 2 - 4 * scale])


def test_train_op_changes_nothing_it_is_given():
    clones, _, _ = quadratic_clones([1., 2.])
    summaries, update_ops, listed = {tf.summary.scalar('a', 1.)}, [tf.no_op()], list(clones)
    given = (set(summaries), list(update_ops), len(tf.get_collection(tf.GraphKeys.LOSSES)))
    tf_utils.get_train_op(tf.train.GradientDescentOptimizer(.1), summaries, clones,
                          tf.train.get_or_create_global_step(), clones[0].scope, update_ops)
    assert (summaries, update_ops, len(tf.get_collection(tf.GraphKeys.LOSSES))) == given and clones == listed


def test_update_ops_run_and_untrained_variables_stay():
    clones, weight, _ = quadratic_clones([1.])
    other = tf.get_variable('other', initializer=1.)
    seen = tf.get_variable('seen', initializer=0., trainable=False)
    train, _ = tf_utils.get_train_op(tf.train.GradientDescentOptimizer(.1), [], clones,
                                     tf.train.get_or_create_global_step(), clones[0].scope,
                                     [tf.assign(seen, weight)], [weight, other])
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(train)
        assert session.run([seen, other]) == [3., 1.]       # updates come before the step; no gradient, no change


def test_moving_averages_follow():
    step, weight = tf.train.get_or_create_global_step(), tf.get_variable('weights', initializer=1.)
    assert tf_utils.moving_average_ops(None, step) == []
    update, = tf_utils.moving_average_ops(.9, step)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(tf.assign(weight, 2.))
        session.run(update)                                  # at step 0 the decay is min(.9, 1 / 10)
        average = next(v for v in tf.global_variables() if v.op.name == 'weights/ExponentialMovingAverage')
        assert session.run(average) == pytest.approx(1.9)

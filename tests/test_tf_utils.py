import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import tf_utils
from common.errors import UserError
from deployment import model_deploy
from training.options import TrainOptions


def options(**changes):
    """Return `TrainOptions` for small tests: rate 0.1, boundaries 10 and 20, batches of 5."""
    return TrainOptions(**{
        'learning_rate': .1, 'learning_rate_boundaries': ('10', '20'), 'end_learning_rate': .01,
        'num_epochs_per_decay': 2., 'batch_size': 5, 'model_name': 'net', 'train_dir': '/nowhere',
        **changes})


def rates(steps, **changes):
    """Return the learning rates at these steps; 100 examples are 10 steps of two clones of 5."""
    step = tf.placeholder(tf.int64, [])
    rate = tf_utils.configure_learning_rate(options(**changes), 2, 100, step)
    with tf.Session() as session:
        return [session.run(rate, {step: s}) for s in steps]


@pytest.mark.parametrize('changes, steps, expected', [
    ({'learning_rate_decay_type': 'fixed'}, [0, 1000], [.1, .1]),
    ({}, [0, 9, 10, 19, 20, 99], [.1, .1, .01, .01, .001, .001]),
    ({'learning_rate_decay_factor': .5}, [9, 10, 20], [.1, .05, .025]),
    ({'learning_rate_decay_type': 'exponential'}, [0, 19, 20, 40], [.1, .1, .094, .08836]),
    ({'learning_rate_decay_type': 'exponential', 'learning_rate_decay_factor': .5},
     [20, 40], [.05, .025]),
    ({'learning_rate_decay_type': 'polynomial'}, [0, 10, 20, 99], [.1, .055, .01, .01]),
    ({'learning_rate_decay_type': 'polynomial', 'num_epochs_per_decay': None,
      'max_number_of_steps': 40}, [0, 20, 40], [.1, .055, .01]),
    # Two clones of 5: a global batch of 10.
    ({'learning_rate_per_image': .02, 'learning_rate_decay_type': 'fixed'}, [0], [.2]),
    ({'learning_rate_per_image': .02, 'learning_rate_decay_type': 'fixed',
      'gradient_accumulation_steps': 3}, [0], [.6]),
    # Both ends of the decay scale with the batch; end_learning_rate has no effect.
    ({'learning_rate_per_image': .02, 'learning_rate_decay_type': 'polynomial'},
     [0, 10, 20], [.2, .11, .02]),
    ({'learning_rate_per_image': .02, 'learning_rate_decay_type': 'polynomial',
      'end_learning_rate_per_image': .001, 'gradient_accumulation_steps': 2},
     [0, 5, 10], [.4, .21, .02]),
    ({'learning_rate_per_image': .02, 'warmup_steps': 4}, [0, 3, 10], [.05, .2, .02]),
    ({'warmup_steps': 4}, [0, 1, 3, 4, 10], [.025, .05, .1, .1, .01])])
def test_learning_rates(changes, steps, expected):
    np.testing.assert_allclose(rates(steps, **changes), expected, rtol=1e-5)


@pytest.mark.parametrize('changes, message', [
    ({'learning_rate': .005}, r'from 0.005 to 0.01 \(--end_learning_rate=0.01\). Pass a smaller'),
    ({'learning_rate_per_image': .0005, 'end_learning_rate_per_image': .002},
     r'from 0.005 to 0.02 \(--end_learning_rate_per_image=0.002\)')])
def test_polynomial_decay_to_a_higher_rate_fails(changes, message):
    with pytest.raises(UserError, match='the learning rate would rise, ' + message):
        rates([0], learning_rate_decay_type='polynomial', **changes)


def first_update(optimizer, gradient=2., **changes):
    """Return what one step at rate 0.1 subtracts from a weight and a bias with this gradient."""
    weights, biases = (tf.get_variable(f'conv/{name}', initializer=1.)
                       for name in ('weights', 'biases'))
    step = tf.train.get_or_create_global_step()
    train = tf_utils.configure_optimizer(
        options(optimizer=optimizer, **changes), tf.constant(.1)).apply_gradients(
            [(tf.constant(gradient), v) for v in (weights, biases)], global_step=step)
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
    ('adadelta', {'adadelta_rho': .5, 'opt_epsilon': .25},
     .1 * 2 * np.sqrt(.25) / np.sqrt(2 + .25))])
def test_first_update_of_every_optimizer(optimizer, changes, expected):
    weights, biases = first_update(optimizer, **changes)
    assert weights == pytest.approx(expected, rel=1e-4)
    assert biases == pytest.approx(2 * expected, rel=1e-4)   # at twice the rate


def test_ftrl_and_its_l1_regularization():
    unregularized, _ = first_update('ftrl')
    with tf.Graph().as_default():
        regularized, _ = first_update('ftrl', ftrl_l1=100.)
    assert unregularized > 0 and regularized == 1   # 1: the weight became 0
    assert tf_utils.OPTIMIZERS == (
        'adadelta', 'adagrad', 'adam', 'ftrl', 'momentum', 'rmsprop', 'sgd')


def test_momentum_accumulates():
    variable = tf.get_variable('weights', initializer=1.)
    optimizer = tf_utils.configure_optimizer(options(momentum=.5), tf.constant(.1))
    train = optimizer.apply_gradients([(tf.constant(1.), variable)])
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(train)
        session.run(train)
        assert session.run(variable) == pytest.approx(1 - .1 - .15)


def test_equal_rates_use_one_plain_optimizer():
    optimizer = tf_utils.configure_optimizer(
        options(bias_learning_rate_multiplier=1.), tf.constant(.1))
    assert isinstance(optimizer, tf.train.MomentumOptimizer)


@pytest.mark.parametrize('optimizer, plain', [('sgd', .2), ('adam', .1)])
def test_backbone_learning_rate_multiplier(optimizer, plain):
    names = ['trunk/weights', 'trunk/biases', 'trunk_other/weights', 'head/biases']
    created = [tf.get_variable(name, initializer=1.) for name in names]
    optimizer = tf_utils.configure_optimizer(
        options(optimizer=optimizer, opt_epsilon=1e-8, backbone_learning_rate_multiplier=.1),
        tf.constant(.1), ['trunk'])
    step = tf.train.get_or_create_global_step()
    train = optimizer.apply_gradients([(tf.constant(2.), v) for v in created], global_step=step)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(train)
        assert session.run(step) == 1
        changes = 1 - np.array(session.run(created))
    np.testing.assert_allclose(changes / plain, [.1, .2, 1, 2], rtol=1e-4)


def test_backbone_with_multiplier_zero_is_frozen():
    created = [tf.get_variable(name, initializer=[1.])
                  for name in ('trunk/weights', 'head/weights')]
    optimizer = tf_utils.configure_optimizer(
        options(optimizer='ftrl', backbone_learning_rate_multiplier=0.), tf.constant(.1), ['trunk'])
    train = optimizer.apply_gradients([(tf.constant([2.]), v) for v in created])
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(train)
        trunk, head = session.run(created)
    assert trunk == [1.] and np.isfinite(head) and head != [1.]   # FTRL divides by the rate


def variables():
    """Return three model variables of zeros: conv1, conv10 and head."""
    shapes = {'net/conv1/weights': [2], 'net/conv10/weights': [2], 'net/head/weights': [3]}
    collections = [tf.GraphKeys.GLOBAL_VARIABLES, tf.GraphKeys.MODEL_VARIABLES,
                   tf.GraphKeys.TRAINABLE_VARIABLES]
    return [tf.get_variable(name, initializer=tf.zeros(shape), collections=collections)
            for name, shape in shapes.items()]


def test_trainable_scopes():
    conv1, _, head = variables()
    assert tf_utils.get_variables_to_train(options()) == tf.trainable_variables()
    trained = tf_utils.get_variables_to_train(
        options(trainable_scopes='net/conv1, net/head/,net/conv1'))
    assert trained == [conv1, head]   # conv10 is not under conv1
    with pytest.raises(UserError, match="no variable lies under 'net/conv2'.*net/conv1"):
        tf_utils.get_variables_to_train(options(trainable_scopes='net/conv2'))


def save(folder, values):
    """Write a checkpoint of name -> value; return its prefix."""
    with tf.Graph().as_default(), tf.Session() as session:
        created = [tf.get_variable(name, initializer=tf.constant(value, tf.float32))
                      for name, value in values.items()]
        session.run(tf.global_variables_initializer())
        return tf.train.Saver(created).save(session, str(folder / 'model.ckpt'), global_step=7)


def restore(**changes):
    """Return the values of the three variables after the init function of these options."""
    created = variables()
    init_fn = tf_utils.get_init_fn(options(**changes))
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        init_fn(session)
        return [value.tolist() for value in session.run(created)]


COMPLETE = {'net/conv1/weights': [1, 1], 'net/conv10/weights': [2, 2],
            'net/head/weights': [3, 3, 3]}


@pytest.mark.parametrize('path', [
    '{folder}', '{folder}/model.ckpt-7', '{folder}/model.ckpt-7.index',
    '{folder}/model.ckpt-7.data-00000-of-00001'])
def test_checkpoint_path_may_be_any_file_of_the_checkpoint(tmp_path, path):
    save(tmp_path, COMPLETE)
    assert restore(checkpoint_path=path.format(folder=tmp_path)) == [[1, 1], [2, 2], [3, 3, 3]]


def test_excluded_scopes_are_not_restored(tmp_path):
    save(tmp_path, COMPLETE)
    assert restore(checkpoint_path=str(tmp_path),
                   checkpoint_exclude_scopes='net/conv1,net/head') == [[0, 0], [2, 2], [0, 0, 0]]
    with tf.Graph().as_default(), pytest.raises(UserError, match="no variable lies under 'head'"):
        restore(checkpoint_path=str(tmp_path), checkpoint_exclude_scopes='head')


def test_checkpoint_model_scope(tmp_path):
    save(tmp_path, {name.replace('net/', 'vgg_16/'): value for name, value in COMPLETE.items()})
    assert restore(checkpoint_path=str(tmp_path), checkpoint_model_scope='vgg_16') == [
        [1, 1], [2, 2], [3, 3, 3]]


@pytest.mark.parametrize('make_path, message', [
    (lambda folder: folder / 'gone', 'there is no checkpoint'),
    (lambda folder: folder, 'holds no TensorFlow checkpoint')])
def test_missing_checkpoint(tmp_path, make_path, message):
    with pytest.raises(UserError, match=message):
        restore(checkpoint_path=str(make_path(tmp_path)))


def test_checkpoint_in_train_dir_wins(tmp_path, caplog):
    (tmp_path / 'run').mkdir()
    (tmp_path / 'pretrained').mkdir()
    save(tmp_path / 'run', COMPLETE)
    save(tmp_path / 'pretrained', COMPLETE)
    variables()
    with caplog.at_level('INFO', 'ssd'):
        assert tf_utils.get_init_fn(options(train_dir=str(tmp_path / 'run'),
                                          checkpoint_path=str(tmp_path / 'pretrained'))) is None
    assert 'resuming from' in caplog.text
    assert 'is ignored because train_dir has a checkpoint' in caplog.text


def test_train_dir_of_another_net_fails(tmp_path):
    save(tmp_path, {**COMPLETE, 'net/head/weights': [3, 3]})
    variables()
    with pytest.raises(UserError, match='does not fit this run: 1 variables .* net/head/weights'):
        tf_utils.get_init_fn(options(train_dir=str(tmp_path)))


def test_without_checkpoints_there_is_no_init_fn(caplog):
    with caplog.at_level('INFO', 'ssd'):
        assert tf_utils.get_init_fn(options()) is None
    assert 'random weights' in caplog.text


def quadratic_clones(values, weight=3., decay=None):
    """Return clones with the loss v * w^2 for each v, and a regularization loss decay * w."""
    config = model_deploy.make_deployment_config(len(values), True, 0)
    weights = []

    def model_fn(value):
        with tf.variable_scope('net', reuse=tf.AUTO_REUSE):
            weights.append(tf.get_variable('weights', initializer=weight))
        if decay and len(weights) == 1:
            tf.losses.add_loss(decay * weights[0], tf.GraphKeys.REGULARIZATION_LOSSES)
        tf.losses.add_loss(value * weights[0] ** 2)
        tf.summary.scalar('value', value)
    return model_deploy.create_clones(config, model_fn, [(v,) for v in values]), weights[0], config


def test_train_op_averages_losses_and_sums_gradients():
    clones, weight, config = quadratic_clones([1., 2., 6.], decay=.5)
    step = tf.train.get_or_create_global_step()
    train, summary_op = tf_utils.get_train_op(
        tf.train.GradientDescentOptimizer(.1), [], clones, step, clones[0].scope, [])
    with tf.Session(config=model_deploy.session_config(config)) as session:
        session.run(tf.global_variables_initializer())
        # Loss (1 + 2 + 6) / 3 * 9 + .5 * 3; gradient 2 * 3 * 3 + .5.
        assert session.run(train) == pytest.approx(28.5)
        assert session.run(weight) == pytest.approx(3 - .1 * 18.5)
        assert session.run(step) == 1
        tags = [value.tag for value in tf.Summary.FromString(session.run(summary_op)).value]
    assert tags == ['clone_0/value', 'losses/total']


@pytest.mark.parametrize('norm, scale', [(0., 1.), (10., 1.), (4., .8), (.5, .1)])
def test_gradients_are_clipped_by_their_global_norm(norm, scale):
    clones, weight, _ = quadratic_clones([1.])
    with tf.name_scope(clones[0].scope):
        other = tf.get_variable('other', initializer=2.)
        tf.add_to_collection(
            tf.GraphKeys.LOSSES, tf.identity(-3. * weight + 4. * other, name='more'))
    # Gradients 2 * 3 - 3 = 3 and 4, of norm 5.
    train, _ = tf_utils.get_train_op(tf.train.GradientDescentOptimizer(1.), [], clones,
                                     tf.train.get_or_create_global_step(), clones[0].scope, [],
                                     clip_gradient_norm=norm)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(train)
        assert session.run([weight, other]) == pytest.approx([3 - 3 * scale, 2 - 4 * scale])


def test_train_op_does_not_modify_its_arguments():
    clones, _, _ = quadratic_clones([1., 2.])
    summaries, update_ops, clones_before = {tf.summary.scalar('a', 1.)}, [tf.no_op()], list(clones)
    before = (set(summaries), list(update_ops), len(tf.get_collection(tf.GraphKeys.LOSSES)))
    tf_utils.get_train_op(tf.train.GradientDescentOptimizer(.1), summaries, clones,
                          tf.train.get_or_create_global_step(), clones[0].scope, update_ops)
    assert (summaries, update_ops, len(tf.get_collection(tf.GraphKeys.LOSSES))) == before
    assert clones == clones_before


def test_update_ops_run_first_and_variables_without_gradient_keep_their_value():
    clones, weight, _ = quadratic_clones([1.])
    other = tf.get_variable('other', initializer=1.)
    updated = tf.get_variable('updated', initializer=0., trainable=False)
    train, _ = tf_utils.get_train_op(tf.train.GradientDescentOptimizer(.1), [], clones,
                                     tf.train.get_or_create_global_step(), clones[0].scope,
                                     [tf.assign(updated, weight)], [weight, other])
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(train)
        assert session.run([updated, other]) == [3., 1.]   # 3: the weight before the step


def test_moving_averages():
    step, weight = tf.train.get_or_create_global_step(), tf.get_variable('weights', initializer=1.)
    assert tf_utils.moving_average_ops(None, step) == []
    update, = tf_utils.moving_average_ops(.9, step)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(tf.assign(weight, 2.))
        session.run(update)   # at step 0 the decay is min(.9, 1 / 10)
        average = next(v for v in tf.global_variables()
                       if v.op.name == 'weights/ExponentialMovingAverage')
        assert session.run(average) == pytest.approx(1.9)

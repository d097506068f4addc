"""K clones of B pictures train what one clone of K * B pictures trains, on logical CPU devices."""
import functools
import re
import types

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import tf_utils
from deployment import collectives, model_deploy
from nets import anchors, matching, mobilenet_v1, nets_factory, ssd_model, ssd_params

STEPS = 20
# A MobileNet of two blocks on pictures of 32 pixels, with anchors on maps of 8 and 4 cells.
NANO = nets_factory.get_params('ssd_160_mobilenet_v1_025')._replace(
    image_size=32, extra_blocks=(), feat_layers=('Conv2d_1_pointwise', 'Conv2d_2_pointwise'),
    anchor_sizes=((6., 10.), (14., 20.)), anchor_ratios=((2., .5), (2., .5)), anchor_steps=(None, None),
    normalizations=(None, None))
# Of twelve pictures two have boxes: with two to four clones, every matched anchor lies in the share of the first.
BOXES = [[[.1, .1, .5, .5], [.4, .3, .9, .8]], [[.2, .5, .6, .9]], *[[]] * 10]
FLAGS = types.SimpleNamespace(
    adadelta_rho=.95, adagrad_initial_accumulator_value=.1, adam_beta1=.9, adam_beta2=.999, opt_epsilon=.01,
    ftrl_learning_rate_power=-.5, ftrl_initial_accumulator_value=.1, ftrl_l1=0., ftrl_l2=0., momentum=.9,
    rmsprop_momentum=.9, rmsprop_decay=.9, bias_learning_rate_multiplier=2., backbone_learning_rate_multiplier=1.)


@pytest.fixture(autouse=True)
def nano(monkeypatch):
    """The backbone of the nano net."""
    monkeypatch.setattr(mobilenet_v1, 'BLOCKS', ((2, 64), (2, 128)))
    monkeypatch.setitem(ssd_params.BACKBONES, 'mobilenet_v1', {'Conv2d_1_pointwise': 2, 'Conv2d_2_pointwise': 3})


def global_batch():
    """Twelve pictures of noise with their targets, as the input pipeline would give them."""
    images = tf.constant(np.random.RandomState(0).randint(0, 256, [12, 32, 32, 3], np.uint8))
    targets = [matching.match(tf.constant(np.float32(boxes).reshape(-1, 4)), tf.ones([len(boxes)], tf.int32),
                              anchors.net_anchors(NANO), NANO.variances) for boxes in BOXES]
    return {'image': images, 'target_labels': tf.stack([t.labels for t in targets]),
            'target_offsets': tf.stack([t.offsets for t in targets])}


class Run:
    """Some steps of training: losses, variables after them, the devices of the convolutions, variables applied."""

    def __init__(self, num_clones, optimizer='momentum', accumulation_steps=1, batch_norm='frozen',
                 xla=False):
        with tf.Graph().as_default() as graph:
            config = model_deploy.deploy(num_clones, True, 0)
            batch = global_batch()
            normalizer = ssd_model.loss_normalizer(batch, num_clones)
            inputs = [(share, normalizer) for share in ssd_model.split_batch(batch, num_clones)]
            if accumulation_steps > 1:
                inputs = [[(part, normalizer) for part in ssd_model.split_batch(share, accumulation_steps)]
                          for share, _ in inputs]
            model_fn = ssd_model.clone_fn(NANO, 3, 5e-4, 0, ssd_model.LossOptions(), batch_norm == 'frozen',
                                          replicas=collectives.Replicas(num_clones) if batch_norm == 'shared' else None,
                                          xla=xla)
            clones = model_deploy.create_clones(config, model_fn, inputs, tf.trainable_variables)
            flags = types.SimpleNamespace(**vars(FLAGS), optimizer=optimizer)
            with tf.device(config.variables_device()):
                tensor, _ = tf_utils.get_train_op(
                    tf_utils.configure_optimizer(flags, 1e-3), [], clones, tf.train.get_or_create_global_step(),
                    clones[0].scope, tf.get_collection(tf.GraphKeys.UPDATE_OPS, clones[0].scope))
            self.applied = len([op for op in graph.get_operations() if 'Apply' in op.type])
            self.variable_devices = {variable.device for variable in tf.global_variables()}
            trace = tf.RunMetadata()
            with tf.Session(config=model_deploy.session_config(config)) as session:
                session.run(tf.global_variables_initializer())
                self.losses = [session.run(tensor, options=tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE),
                                           run_metadata=trace)]
                self.losses += [session.run(tensor) for _ in range(STEPS - 1)]
                self.values = session.run({v.op.name: v for v in tf.model_variables()})
        self.compiled = {device.device.rpartition('device:')[2] for device in trace.step_stats.dev_stats
                         if any('= _XlaRun(' in node.timeline_label for node in device.node_stats)}
        self.convolutions = {(node.node_name.split('/')[0], device.device.rpartition('device:')[2])
                             for device in trace.step_stats.dev_stats for node in device.node_stats
                             if re.search(r'= \w*(Conv2D|Conv2d)\w*\(', node.timeline_label)}

    def assert_equals(self, other, atol=2e-5):
        np.testing.assert_allclose(self.losses, other.losses, rtol=1e-4)
        assert self.values.keys() == other.values.keys() and self.applied == other.applied
        for name, value in other.values.items():
            np.testing.assert_allclose(self.values[name], value, atol=atol, err_msg=name)


@pytest.fixture(scope='module')
def one():
    """The run of one clone with an optimizer, made once."""
    return functools.cache(lambda optimizer: Run(1, optimizer))


@pytest.mark.parametrize('num_clones, accumulation_steps', [(2, 1), (3, 1), (4, 1), (2, 3)])
def test_clones_and_accumulated_parts_equal_one_batch(one, num_clones, accumulation_steps):
    single = one('momentum')
    assert single.losses[0] > single.losses[-1] > 0 and single.applied == len(single.values) - 2 * 5
    run = Run(num_clones, accumulation_steps=accumulation_steps)
    run.assert_equals(single)
    assert run.variable_devices == {'/device:CPU:0'}
    assert run.convolutions == {(f'clone_{k}', f'CPU:{k}') for k in range(num_clones)}


@pytest.mark.parametrize('num_clones', [2, 3, 4])
@pytest.mark.parametrize('optimizer', [name for name in tf_utils.OPTIMIZERS if name != 'momentum'])
def test_with_every_optimizer(one, optimizer, num_clones):
    Run(num_clones, optimizer).assert_equals(one(optimizer))


def test_compiled_clones_equal_one_that_is_not(one):
    """Each clone's convolutions, forward and backward, are in compiled clusters on its device."""
    run = Run(2, xla=True)
    run.assert_equals(one('momentum'))
    assert run.compiled >= {'CPU:0', 'CPU:1'} and not run.convolutions


def test_shared_batch_norm_equals_that_of_one_batch():
    """Moments of four pictures would be others: so without sharing the losses differ."""
    single = Run(1, batch_norm='own')
    Run(3, batch_norm='shared').assert_equals(single, atol=2e-4)
    assert abs(Run(3, batch_norm='own').losses[0] / single.losses[0] - 1) > 1e-3


def test_the_normalizer_is_the_global_count_shared_out(evaluate):
    labels = tf.constant([[0, 1, 2], [0, 0, 0], [3, 0, 0], [0, 0, 0]])
    assert evaluate(ssd_model.loss_normalizer({'target_labels': labels}, 2)) == 3 / 2
    assert evaluate(ssd_model.loss_normalizer({'target_labels': labels * 0}, 4)) == 1 / 4


def test_split_batch_keeps_the_order(evaluate):
    shares = evaluate(ssd_model.split_batch({'image': tf.range(6), 'labels': tf.range(6) * 10}, 3))
    assert [share['image'].tolist() for share in shares] == [[0, 1], [2, 3], [4, 5]]
    assert shares[2]['labels'].tolist() == [40, 50]

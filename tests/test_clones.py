"""K clones of B images train what one clone of K * B images trains, on logical CPU devices."""
import functools
import re

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import tf_utils
from datasets.dataset_factory import Dataset
from deployment import model_deploy, process_group
from nets import anchor_presets, anchors, mobilenet_v1, ssd_model
from nets.backbones import BACKBONES
from nets.net_table import NETS
from training import graph
from training.options import TrainOptions

STEPS = 20
# A MobileNet of two blocks on images of 32 pixels, with anchors on feature maps of 8 and 4 cells.
NANO = anchor_presets.with_preset(NETS['ssd_160_mobilenet_v1_025']._replace(
    image_size=32, extra_blocks=(), feat_layers=('Conv2d_1_pointwise', 'Conv2d_2_pointwise'),
    anchor_ratios=((2., .5), (2., .5)), anchor_steps=(None, None), normalizations=(None, None)),
    '6,10 14,20')
DATASET = Dataset('noise', 'train', [], [np.arange(12)], ['cat', 'dog'], '')
# Two of twelve images have boxes: with two to four clones, the first clone has all matched anchors.
BOXES = [[[.1, .1, .5, .5], [.4, .3, .9, .8]], [[.2, .5, .6, .9]], *[[]] * 10]


@pytest.fixture(autouse=True)
def nano(monkeypatch):
    """The backbone of the nano net."""
    monkeypatch.setattr(mobilenet_v1, 'BLOCKS', ((2, 64), (2, 128)))
    monkeypatch.setitem(BACKBONES, 'mobilenet_v1', BACKBONES['mobilenet_v1']._replace(
        halvings={'Conv2d_1_pointwise': 2, 'Conv2d_2_pointwise': 3}))


@functools.cache   # the targets of twelve images are two thirds of the ops of a run
def global_batch():
    """Return twelve images of noise with their targets, as the input pipeline does: arrays."""
    with tf.Graph().as_default(), tf.Session() as session:
        examples = [ssd_model.add_targets(
            {'boxes': tf.constant(np.float32(boxes).reshape(-1, 4)),
             'labels': tf.ones([len(boxes)], tf.int32)},
            anchors.net_anchors(NANO), NANO.variances, .5) for boxes in BOXES]
        targets = session.run({name: tf.stack([example[name] for example in examples]) for name in
                               ('target_labels', 'target_offsets', 'num_well_matched')})
    images = np.random.RandomState(0).randint(0, 256, [12, 32, 32, 3], np.uint8)
    padded = [boxes + [[0.] * 4] * (2 - len(boxes)) for boxes in BOXES]
    labels = [[1] * len(boxes) + [0] * (2 - len(boxes)) for boxes in BOXES]
    return {'image': images, 'boxes': np.float32(padded), 'labels': np.int32(labels), **targets}


class Run:
    """STEPS training steps: losses, final variables, and which devices ran the convolutions."""

    def __init__(self, num_clones, **options):
        options = TrainOptions(**{
            'num_clones': num_clones, 'freeze_batch_norm': True, 'opt_epsilon': .01,
            'learning_rate_decay_type': 'fixed', **options})
        with tf.Graph().as_default() as self._graph:
            deployment = model_deploy.make_deployment_config(num_clones, True, 0)
            config = model_deploy.session_config(deployment, xla=options.xla)
            group = process_group.ProcessGroup(deployment, config)
            with tf.device(deployment.variables_device()):
                global_step = tf.train.get_or_create_global_step()
            batch = {name: tf.constant(value) for name, value in global_batch().items()}
            normalizer = ssd_model.loss_normalizer(batch, num_clones)
            clones = graph.create_clones(options, NANO, 3, deployment, batch, normalizer,
                                         global_step)
            train_op = graph.create_train_op(
                options, NANO, DATASET, group, clones, batch, global_step)
            self.num_updates = sum('Apply' in op.type for op in self._graph.get_operations())
            self.variable_devices = {variable.device for variable in tf.global_variables()}
            with tf.Session(config=config) as session:
                session.run(tf.global_variables_initializer())
                self._train(session, train_op.train_tensor)

    def _train(self, session, train_tensor):
        trace = tf.RunMetadata()
        self.losses = [session.run(
            train_tensor, options=tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE),
            run_metadata=trace)]
        self.losses += [session.run(train_tensor) for _ in range(STEPS - 1)]
        self.values = session.run({v.op.name: v for v in tf.model_variables()})
        nodes = [(device.device.rpartition('device:')[2], node)
                 for device in trace.step_stats.dev_stats for node in device.node_stats]
        self.xla_devices = {device for device, node in nodes if '= _XlaRun(' in node.timeline_label}
        self.convolutions = {
            (node.node_name.split('/')[0], device) for device, node in nodes
            if re.search(r'= \w*(Conv2D|Conv2d)\w*\(', node.timeline_label)}

    def assert_equals(self, other, atol=2e-5):
        np.testing.assert_allclose(self.losses, other.losses, rtol=1e-4)
        assert self.values.keys() == other.values.keys()
        assert self.num_updates == other.num_updates
        for name, value in other.values.items():
            np.testing.assert_allclose(self.values[name], value, atol=atol, err_msg=name)


@pytest.fixture(scope='module')
def one_clone():
    """Function (optimizer) -> the run of one clone, made once per optimizer."""
    return functools.cache(lambda optimizer: Run(1, optimizer=optimizer))


@pytest.mark.parametrize('num_clones, accumulation_steps', [(2, 1), (3, 1), (4, 1), (2, 3)])
def test_clones_and_accumulation_equal_one_batch(one_clone, num_clones, accumulation_steps):
    single = one_clone('momentum')
    assert single.losses[0] > single.losses[-1] > 0
    assert single.num_updates == len(single.values) - 2 * 5   # without 5 pairs of moments
    run = Run(num_clones, gradient_accumulation_steps=accumulation_steps)
    run.assert_equals(single)
    assert run.variable_devices == {'/device:CPU:0'}
    assert run.convolutions == {(f'clone_{k}', f'CPU:{k}') for k in range(num_clones)}


@pytest.mark.parametrize('num_clones', [2, 3, 4])
@pytest.mark.parametrize('optimizer', [name for name in tf_utils.OPTIMIZERS if name != 'momentum'])
def test_clones_equal_one_batch_with_every_optimizer(one_clone, optimizer, num_clones):
    Run(num_clones, optimizer=optimizer).assert_equals(one_clone(optimizer))


def test_clones_compiled_by_xla_equal_one_batch(one_clone):
    run = Run(2, xla=True)
    run.assert_equals(one_clone('momentum'))
    # The convolutions of each clone, forward and backward, are in clusters on its device.
    assert run.xla_devices >= {'CPU:0', 'CPU:1'} and not run.convolutions


def test_sync_batch_norm_equals_one_batch():
    single = Run(1, freeze_batch_norm=False)
    Run(3, freeze_batch_norm=False, sync_batch_norm=True).assert_equals(single, atol=2e-4)
    # Without synchronization, the moments of four images differ, and so do the losses.
    assert abs(Run(3, freeze_batch_norm=False).losses[0] / single.losses[0] - 1) > 1e-3


def test_loss_normalizer_is_the_global_count_per_clone(evaluate):
    labels = tf.constant([[0, 1, 2], [0, 0, 0], [3, 0, 0], [0, 0, 0]])
    assert evaluate(ssd_model.loss_normalizer({'target_labels': labels}, 2)) == 3 / 2
    assert evaluate(ssd_model.loss_normalizer({'target_labels': labels * 0}, 4)) == 1 / 4


def test_split_batch_keeps_the_order(evaluate):
    shares = evaluate(ssd_model.split_batch(
        {'image': tf.range(6), 'labels': tf.range(6) * 10}, 3))
    assert [share['image'].tolist() for share in shares] == [[0, 1], [2, 3], [4, 5]]
    assert shares[2]['labels'].tolist() == [40, 50]

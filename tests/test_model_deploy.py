import re

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from common.errors import UserError
from deployment import model_deploy


@pytest.mark.parametrize('asked, on_cpu, gpus, clones, device, variables', [
    (1, False, 0, 1, 'CPU', '/device:CPU:0'),      # no GPU: one clone runs where it can
    (1, False, 2, 1, 'GPU', '/device:GPU:0'),      # one clone: its weights stay on its GPU
    (2, False, 2, 2, 'GPU', '/device:CPU:0'),
    (0, False, 3, 3, 'GPU', '/device:CPU:0'),
    (0, False, 0, 1, 'CPU', '/device:CPU:0'),
    (0, True, 3, 1, 'CPU', '/device:CPU:0'),
    (4, True, 0, 4, 'CPU', '/device:CPU:0')])
def test_where_things_go(asked, on_cpu, gpus, clones, device, variables):
    config = model_deploy.deploy(asked, on_cpu, gpus)
    assert (config.num_clones, config.device_type) == (clones, device)
    assert config.variables_device() == variables
    assert config.clone_device(clones - 1) == f'/device:{device}:{clones - 1}'
    assert config.inputs_device() == '/device:CPU:0'


@pytest.mark.parametrize('asked, gpus, seen, hint', [
    (2, 0, '0 GPUs', '=1'), (3, 1, '1 GPU;', '=1'), (5, 4, '4 GPUs', '=4')])
def test_more_clones_than_gpus(asked, gpus, seen, hint):
    with pytest.raises(UserError, match=f'--num_clones={asked}, but TensorFlow sees {seen}.*pass --num_clones{hint}'):
        model_deploy.deploy(asked, False, gpus)


def test_replicas_are_the_clones_of_all_processes():
    assert model_deploy.deploy(3, True, 0).num_replicas == 3
    assert model_deploy.deploy(3, True, 0, num_processes=2).num_replicas == 6


def test_what_was_found(monkeypatch):
    assert re.fullmatch(r'no GPU, \d+ processor cores', model_deploy.describe_devices([]))
    monkeypatch.setattr(tf.config.experimental, 'get_device_details',
                        lambda gpu: {'device_name': gpu} if gpu else {})
    assert model_deploy.describe_devices(['A100']) == '1 GPU (A100)'
    assert model_deploy.describe_devices(['A100', 'A100', '']) == '3 GPUs (A100, unknown)'


def test_session_config():
    config = model_deploy.session_config(model_deploy.deploy(3, True, 0), .8)
    assert config.allow_soft_placement and not config.log_device_placement
    assert config.gpu_options.per_process_gpu_memory_fraction == pytest.approx(.8)
    assert config.device_count['CPU'] == 3 and not config.gpu_options.allow_growth
    assert model_deploy.session_config(model_deploy.deploy(1, True, 0), 1., True).gpu_options.allow_growth


def make_clones(num_clones):
    config = model_deploy.deploy(num_clones, True, 0)

    def model_fn(inputs):
        net = slim.conv2d(inputs, 2, [3, 3], scope='conv')
        tf.losses.add_loss(tf.reduce_sum(net))
        return net
    inputs = [tf.constant(np.float32(np.random.RandomState(k).rand(1, 4, 4, 3))) for k in range(num_clones)]
    return config, model_deploy.create_clones(config, model_fn, [(one,) for one in inputs])


def test_one_set_of_variables_on_their_device():
    make_clones(3)
    assert sorted(v.op.name for v in tf.global_variables()) == ['conv/biases', 'conv/weights']
    assert {v.device for v in tf.global_variables()} == {'/device:CPU:0'}


def test_losses_lie_under_their_clone():
    _, clones = make_clones(2)
    assert [clone.scope for clone in clones] == ['clone_0/', 'clone_1/']
    for clone in clones:
        assert len(tf.get_collection(tf.GraphKeys.LOSSES, clone.scope)) == 1


def test_every_clone_computes_on_its_own_device():
    config, clones = make_clones(3)
    metadata = tf.RunMetadata()
    with tf.Session(config=model_deploy.session_config(config)) as session:
        session.run(tf.global_variables_initializer())
        session.run([clone.outputs for clone in clones],
                    options=tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE), run_metadata=metadata)
    ran = {(node.node_name.split('/')[0], device.device.rpartition('device:')[2])
           for device in metadata.step_stats.dev_stats for node in device.node_stats
           if 'Conv2D(' in node.timeline_label}
    assert ran == {('clone_0', 'CPU:0'), ('clone_1', 'CPU:1'), ('clone_2', 'CPU:2')}


def test_a_session_of_one_net_takes_its_share_of_the_memory():
    config = model_deploy.one_net_config(.3)   # no GPU in tests
    assert config.device_count == {'CPU': 1} and config.allow_soft_placement
    assert config.gpu_options.per_process_gpu_memory_fraction == .3

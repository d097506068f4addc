import re

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from common.errors import UserError
from deployment import model_deploy
from deployment.cluster import Cluster


@pytest.mark.parametrize('num_clones, on_cpu, num_gpus, expected_clones, device_type, variables', [
    (1, False, 0, 1, 'CPU', '/device:CPU:0'),      # no GPU: a single clone runs on the CPU
    (1, False, 2, 1, 'GPU', '/device:GPU:0'),      # a single clone: variables on its GPU
    (2, False, 2, 2, 'GPU', '/device:CPU:0'),
    (0, False, 3, 3, 'GPU', '/device:CPU:0'),
    (0, False, 0, 1, 'CPU', '/device:CPU:0'),
    (0, True, 3, 1, 'CPU', '/device:CPU:0'),
    (4, True, 0, 4, 'CPU', '/device:CPU:0')])
def test_devices(num_clones, on_cpu, num_gpus, expected_clones, device_type, variables):
    deployment = model_deploy.make_deployment_config(num_clones, on_cpu, num_gpus)
    assert (deployment.num_clones, deployment.device_type) == (expected_clones, device_type)
    assert deployment.variables_device() == variables
    last = expected_clones - 1
    assert deployment.clone_device(last) == f'/device:{device_type}:{last}'
    assert deployment.inputs_device() == '/device:CPU:0'


@pytest.mark.parametrize('num_clones, num_gpus, message', [
    (2, 0, '--num_clones=2, but TensorFlow sees 0 GPUs. Pass --num_clones=1, or --clone_on_cpu'),
    (3, 1, '--num_clones=3, but TensorFlow sees 1 GPU. Pass --num_clones=1, or'),
    (5, 4, '--num_clones=5, but TensorFlow sees 4 GPUs. Pass --num_clones=4, or')])
def test_more_clones_than_gpus_raise_an_error(num_clones, num_gpus, message):
    with pytest.raises(UserError, match=f'^{message}'):
        model_deploy.make_deployment_config(num_clones, False, num_gpus)


def test_replicas_are_the_clones_of_all_processes():
    assert model_deploy.make_deployment_config(3, True, 0).num_replicas == 3
    deployment = model_deploy.make_deployment_config(3, True, 0, Cluster(('a:1', 'b:1'), 1))
    assert (deployment.num_processes, deployment.num_replicas) == (2, 6)


def test_describe_devices(monkeypatch):
    assert re.fullmatch(r'no GPU, \d+ CPU cores', model_deploy.describe_devices([]))
    monkeypatch.setattr(tf.config.experimental, 'get_device_details',
                        lambda gpu: {'device_name': gpu} if gpu else {})
    assert model_deploy.describe_devices(['A100']) == '1 GPU (A100)'
    assert model_deploy.describe_devices(['A100', 'A100', '']) == '3 GPUs (A100, unknown)'


def test_session_config():
    deployment = model_deploy.make_deployment_config(3, True, 0)
    config = model_deploy.session_config(deployment, .8)
    assert config.allow_soft_placement and not config.log_device_placement
    assert config.gpu_options.per_process_gpu_memory_fraction == pytest.approx(.8)
    assert config.device_count['CPU'] == 3 and not config.gpu_options.allow_growth
    assert model_deploy.session_config(deployment, 1., True).gpu_options.allow_growth
    rewrites = model_deploy.session_config(deployment, xla=True).graph_options.rewrite_options
    assert rewrites.remapping == rewrites.OFF


def create_clones(num_clones):
    """Return the deployment and its clones: a convolution whose loss is the sum of its outputs."""
    deployment = model_deploy.make_deployment_config(num_clones, True, 0)

    def model_fn(images):
        net = slim.conv2d(images, 2, [3, 3], scope='conv')
        tf.losses.add_loss(tf.reduce_sum(net))
        return net
    images = [np.float32(np.random.RandomState(k).rand(1, 4, 4, 3)) for k in range(num_clones)]
    return deployment, model_deploy.create_clones(
        deployment, model_fn, [(tf.constant(image),) for image in images])


def test_clones_share_variables_on_the_variables_device():
    create_clones(3)
    assert sorted(v.op.name for v in tf.global_variables()) == ['conv/biases', 'conv/weights']
    assert {v.device for v in tf.global_variables()} == {'/device:CPU:0'}


def test_losses_are_in_the_scope_of_their_clone():
    _, clones = create_clones(2)
    assert [clone.scope for clone in clones] == ['clone_0/', 'clone_1/']
    for clone in clones:
        assert len(tf.get_collection(tf.GraphKeys.LOSSES, clone.scope)) == 1


def test_clones_run_on_their_own_devices():
    deployment, clones = create_clones(3)
    metadata = tf.RunMetadata()
    with tf.Session(config=model_deploy.session_config(deployment)) as session:
        session.run(tf.global_variables_initializer())
        session.run([clone.outputs for clone in clones],
                    options=tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE),
                    run_metadata=metadata)
    convolutions = {(node.node_name.split('/')[0], device.device.rpartition('device:')[2])
                    for device in metadata.step_stats.dev_stats for node in device.node_stats
                    if 'Conv2D(' in node.timeline_label}
    assert convolutions == {('clone_0', 'CPU:0'), ('clone_1', 'CPU:1'), ('clone_2', 'CPU:2')}


def test_inference_session_config():
    config = model_deploy.inference_session_config(.3)   # tests see no GPU
    assert config.device_count == {'CPU': 1} and config.allow_soft_placement
    assert config.gpu_options.per_process_gpu_memory_fraction == .3

"""Groups of a single process, and bucketing. Groups of several: `test_several_machines`."""
import pytest
import tensorflow.compat.v1 as tf

from deployment import model_deploy, process_group


def single_process_group():
    return process_group.ProcessGroup(model_deploy.DeploymentConfig(1, 'CPU'), tf.ConfigProto())


def test_group_of_one_process_adds_no_ops():
    group = single_process_group()
    assert (group.num_processes, group.rank, group.is_chief, group.master) == (1, 0, True, '')
    tensors = [tf.constant(1.), tf.constant([2.])]
    assert group.sum(tensors) == tensors
    num_ops = len(tf.get_default_graph().get_operations())
    group.check_same_configuration({'--seed': 0})
    group.create_sync_ops()
    group.broadcast_variables(None)
    group.barrier(None)
    assert len(tf.get_default_graph().get_operations()) == num_ops


def test_group_of_one_process_passes_errors_through():
    with pytest.raises(tf.errors.UnavailableError), single_process_group().detect_lost_processes():
        raise tf.errors.UnavailableError(None, None, 'unavailable')


@pytest.mark.parametrize('sizes, expected', [
    ([], []), ([3], [[0]]), ([2, 2, 1], [[0, 1], [2]]), ([1, 9, 1, 3], [[0], [1], [2, 3]]),
    ([4, 4], [[0], [1]])])
def test_buckets(monkeypatch, sizes, expected):
    monkeypatch.setattr(process_group, '_BUCKET_VALUES', 4)
    buckets = process_group._make_buckets(list(enumerate(tf.zeros([size]) for size in sizes)))
    assert [[index for index, _ in bucket] for bucket in buckets] == expected

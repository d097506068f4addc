"""A group of one, and what of a larger one needs no second process; `test_several_machines` has the rest."""
import pytest
import tensorflow.compat.v1 as tf

from deployment import process_group
from deployment.cluster import Cluster


def test_alone_nothing_changes():
    group = process_group.ProcessGroup(Cluster())
    tensors = [tf.constant(1.), tf.constant([2.])]
    assert group.sum(tensors) == tensors and group.master == '' and group.is_chief
    before = len(tf.get_default_graph().get_operations())
    group.agree({'--seed': 0})
    group.make_meetings()
    group.begin(None)
    assert len(tf.get_default_graph().get_operations()) == before


def test_alone_errors_stay_what_they_are():
    with pytest.raises(tf.errors.UnavailableError), process_group.ProcessGroup(Cluster()).watched():
        raise tf.errors.UnavailableError(None, None, 'gone')


@pytest.mark.parametrize('sizes, expected', [
    ([], []), ([3], [[0]]), ([2, 2, 1], [[0, 1], [2]]), ([1, 9, 1, 3], [[0], [1], [2, 3]]), ([4, 4], [[0], [1]])])
def test_buckets(monkeypatch, sizes, expected):
    monkeypatch.setattr(process_group, '_BUCKET', 4)
    buckets = process_group._buckets(list(enumerate(tf.zeros([size]) for size in sizes)))
    assert [[index for index, _ in bucket] for bucket in buckets] == expected

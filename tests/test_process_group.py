"""A group of one, and what of a larger one needs no second process; `test_several_machines` has the rest."""
import contextlib
import socket

import pytest
import tensorflow.compat.v1 as tf

from deployment import process_group
from deployment.cluster import Cluster
from deployment.errors import TryAgain


def test_alone_nothing_changes():
    group = process_group.ProcessGroup(Cluster())
    tensors = [tf.constant(1.), tf.constant([2.])]
    assert group.sum(tensors) == tensors and group.master == '' and group.is_chief
    before = len(tf.get_default_graph().get_operations())
    group.agree({'--seed': 0})
    group.make_broadcast()
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


def group_of(hosts, rank):
    """A `ProcessGroup` whose processes are not started."""
    group = object.__new__(process_group.ProcessGroup)
    group.size, group.rank, group._hosts, group._timeout = len(hosts), rank, hosts, .3
    return group


def test_whoever_does_not_answer_is_named():
    with contextlib.closing(socket.create_server(('127.0.0.1', 0))) as there, \
         contextlib.closing(socket.socket()) as silent:
        silent.bind(('127.0.0.1', 0))   # taken, but nobody listens
        hosts = [f'127.0.0.1:{there.getsockname()[1]}', '127.0.0.1:1', f'127.0.0.1:{silent.getsockname()[1]}']
        group = group_of(hosts, 1)
        with pytest.raises(TryAgain, match=rf'after 0.3 s there is no answer from worker 2 \({hosts[2]}\); start it'):
            group._wait_for_others()
        with pytest.raises(TryAgain, match=rf'^worker 2 \({hosts[2]}\) is gone, and this one, worker 1, cannot'), \
             group.watched():
            raise tf.errors.UnavailableError(None, None, 'Collective ops is aborted')
        with pytest.raises(TryAgain, match='some worker did not answer within 0.3 s'), \
             group_of(hosts[:2], 1).watched():
            raise tf.errors.DeadlineExceededError(None, None, 'timed out')

import json

import pytest

from common.errors import UserError
from deployment import cluster

HOSTS = ['a:1', 'b:1', '[::1]:3']


def of_tf_config(jobs, kind='worker', index=0):
    return cluster.find([], None, {'TF_CONFIG': json.dumps({'cluster': jobs, 'task': {'type': kind, 'index': index}})})


def test_alone():
    alone = cluster.find([], None, {})
    assert (alone.size, alone.rank, alone.is_chief) == (1, 0, True)
    assert cluster.find(['a:1'], None, {}) == cluster.find(['a:1'], 0, {}) == alone


def test_by_flags():
    found = cluster.find(HOSTS, 2, {'TF_CONFIG': 'flags win'})
    assert (found.size, found.rank, found.is_chief) == (3, 2, False) and found.hosts == tuple(HOSTS)
    assert cluster.find(HOSTS, 0, {}).is_chief


@pytest.mark.parametrize('jobs, kind, index, rank', [
    ({'worker': ['a:1', 'b:1']}, 'worker', 1, 1),
    ({'chief': ['c:1'], 'worker': ['a:1', 'b:1']}, 'worker', 0, 1),
    ({'chief': ['c:1'], 'worker': ['a:1', 'b:1']}, 'chief', 0, 0),
    ({'master': ['c:1'], 'worker': ['a:1']}, 'master', 0, 0)])
def test_by_tf_config(jobs, kind, index, rank):
    assert of_tf_config(jobs, kind, index).rank == rank
    assert of_tf_config(jobs, kind, index).hosts[0] == ('c:1' if len(jobs) > 1 else 'a:1')


def test_a_cluster_of_one_in_tf_config_is_alone():
    assert of_tf_config({'worker': ['a:1']}).size == of_tf_config({}).size == 1
    assert cluster.find([], None, {'TF_CONFIG': '{}'}).size == 1


@pytest.mark.parametrize('hosts, index, message', [
    (HOSTS, None, 'names 3 processes: give each its --task_index, 0 to 2'),
    ([], 1, '--task_index means a place in --worker_hosts'),
    (HOSTS, 3, 'names 3 processes, 0 to 2; this one would be 3'), (HOSTS, -1, 'would be -1'),
    (['a:1', 'b'], 0, "'b' is no host:port"),
    (['a:70000', 'b:1'], 0, "'a:70000' is no host:port"), (['a:0', 'b:1'], 0, "'a:0' is no host:port"),
    (['a:1', 'http://b:1'], 0, 'is no host:port'),
    (['a:1', 'b:1', 'a:1'], 0, '--worker_hosts names a:1 twice')])
def test_flags_that_do_not_do(hosts, index, message):
    with pytest.raises(UserError, match=message):
        cluster.find(hosts, index, {})


@pytest.mark.parametrize('text, message', [
    ('{', 'TF_CONFIG in the environment cannot be read'), ('[1]', 'cannot be read'),
    ('{"cluster": {"worker": [1, "a:1"]}, "task": {"type": "worker"}}', "'1' is no host:port"),
    ('{"cluster": {"worker": ["a:1", "b:1"], "ps": ["c:1"]}}', 'names a parameter server; here every process is'),
    ('{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "evaluator"}}', "names a 'evaluator'"),
    ('{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}', 'its task is worker 2, which'),
    ('{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "chief"}}', 'its task is chief 0, which is none'),
    ('{"cluster": {"worker": ["a:1", "b:1"]}}', 'its task is None 0, which is none of them')])
def test_tf_config_that_does_not_do(text, message):
    with pytest.raises(UserError, match=message):
        cluster.find([], None, {'TF_CONFIG': text})

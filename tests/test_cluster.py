import json

import pytest

from common.errors import UserError
from deployment.cluster import SINGLE_PROCESS, resolve_cluster

HOSTS = ['a:1', 'b:1', '[::1]:3']


def resolve_tf_config(jobs, task_type='worker', index=0):
    config = {'cluster': jobs, 'task': {'type': task_type, 'index': index}}
    return resolve_cluster([], None, {'TF_CONFIG': json.dumps(config)})


def test_single_process():
    assert resolve_cluster([], None, {}) == SINGLE_PROCESS
    assert resolve_cluster(['a:1'], None, {}) == SINGLE_PROCESS
    assert resolve_cluster(['a:1'], 0, {}) == SINGLE_PROCESS
    assert (SINGLE_PROCESS.num_processes, SINGLE_PROCESS.rank, SINGLE_PROCESS.is_chief) == (
        1, 0, True)


def test_flags_override_tf_config():
    cluster = resolve_cluster(HOSTS, 2, {'TF_CONFIG': 'not JSON'})
    assert (cluster.num_processes, cluster.rank, cluster.is_chief) == (3, 2, False)
    assert cluster.hosts == tuple(HOSTS)
    assert resolve_cluster(HOSTS, 0, {}).is_chief


@pytest.mark.parametrize('jobs, task_type, index, rank', [
    ({'worker': ['a:1', 'b:1']}, 'worker', 1, 1),
    ({'chief': ['c:1'], 'worker': ['a:1', 'b:1']}, 'worker', 0, 1),
    ({'chief': ['c:1'], 'worker': ['a:1', 'b:1']}, 'chief', 0, 0),
    ({'master': ['c:1'], 'worker': ['a:1']}, 'master', 0, 0)])
def test_rank_in_tf_config(jobs, task_type, index, rank):
    cluster = resolve_tf_config(jobs, task_type, index)
    assert cluster.rank == rank
    assert cluster.hosts[0] == ('c:1' if len(jobs) > 1 else 'a:1')


def test_tf_config_with_fewer_than_two_hosts_is_a_single_process():
    assert resolve_tf_config({'worker': ['a:1']}) == SINGLE_PROCESS
    assert resolve_tf_config({}) == SINGLE_PROCESS
    assert resolve_cluster([], None, {'TF_CONFIG': '{}'}) == SINGLE_PROCESS


@pytest.mark.parametrize('hosts, task_index, message', [
    (HOSTS, None, '^--worker_hosts lists 3 processes, but --task_index is missing. .* up to 2$'),
    ([], 1, '^--task_index=1, but --worker_hosts is missing'),
    (HOSTS, 3, '^--task_index=3, but --worker_hosts lists 3 processes. Pass 0 to 2$'),
    (HOSTS, -1, '^--task_index=-1, but'),
    (['a:1', 'b'], 0, "^--worker_hosts: 'b' is not host:port"),
    (['a:70000', 'b:1'], 0, "'a:70000' is not host:port"),
    (['a:0', 'b:1'], 0, "'a:0' is not host:port"),
    (['a:1', 'http://b:1'], 0, "'http://b:1' is not host:port"),
    (['a:1', 'b:1', 'a:1'], 0, '^--worker_hosts lists a:1 twice')])
def test_invalid_flags_raise_an_error(hosts, task_index, message):
    with pytest.raises(UserError, match=message):
        resolve_cluster(hosts, task_index, {})


@pytest.mark.parametrize('text, message', [
    ('{', '^cannot parse TF_CONFIG in the environment'), ('[1]', 'cannot parse'),
    ('{"cluster": {"worker": [1, "a:1"]}, "task": {"type": "worker"}}',
     "^TF_CONFIG: '1' is not host:port"),
    ('{"cluster": {"worker": ["a:1", "b:1"], "ps": ["c:1"]}}', '^TF_CONFIG has a parameter server'),
    ('{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "evaluator"}}',
     "has a task of type 'evaluator'"),
    ('{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}',
     'has the task worker 2, but'),
    ('{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "chief"}}',
     'has the task chief 0, but'),
    ('{"cluster": {"worker": ["a:1", "b:1"]}}', 'has the task None 0, but')])
def test_invalid_tf_config_raises_an_error(text, message):
    with pytest.raises(UserError, match=message):
        resolve_cluster([], None, {'TF_CONFIG': text})

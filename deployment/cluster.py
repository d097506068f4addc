"""The processes of a run and the rank of this one, from flags or from TF_CONFIG."""
import json
import re
from typing import NamedTuple

from common.errors import UserError


class Cluster(NamedTuple):
    """The processes that train together. The default is a single process."""
    hosts: tuple = ()   # 'host:port' of each process, by rank; empty for a single process
    rank: int = 0       # of this process

    @property
    def num_processes(self):
        """Number of processes, at least 1."""
        return max(len(self.hosts), 1)

    @property
    def is_chief(self):
        """Whether this process logs, writes summaries and saves checkpoints."""
        return self.rank == 0


SINGLE_PROCESS = Cluster()


def resolve_cluster(worker_hosts, task_index, environment):
    """Return the `Cluster` of --worker_hosts and --task_index, or else of TF_CONFIG.

    Args:
        worker_hosts: list of 'host:port'; if empty, TF_CONFIG decides.
        task_index: index of this process in `worker_hosts`, or None.
        environment: dict of environment variables. TF_CONFIG is the JSON that TFJob, Vertex AI and
            other cluster managers set: a chief or master gets rank 0, workers follow.

    Raises:
        UserError: If the flags or TF_CONFIG are invalid.
    """
    if worker_hosts:
        source, hosts = '--worker_hosts', tuple(host.strip() for host in worker_hosts)
        rank = _check_task_index(task_index, len(hosts))
    elif task_index is not None:
        raise UserError(f'--task_index={task_index}, but --worker_hosts is missing. Pass both, or '
                        f'neither to train in a single process')
    elif environment.get('TF_CONFIG'):
        source, (hosts, rank) = 'TF_CONFIG', _parse_tf_config(environment['TF_CONFIG'])
    else:
        return SINGLE_PROCESS
    _check_hosts(hosts, source)
    return Cluster(hosts, rank) if len(hosts) > 1 else SINGLE_PROCESS


def _check_task_index(task_index, num_processes):
    """Return --task_index; 0 if it is missing and there is only one process."""
    if task_index is None:
        if num_processes > 1:
            raise UserError(f'--worker_hosts lists {num_processes} processes, but --task_index is '
                            f'missing. Pass 0 to the first, 1 to the next, up to '
                            f'{num_processes - 1}')
        return 0
    if not 0 <= task_index < num_processes:
        raise UserError(f'--task_index={task_index}, but --worker_hosts lists {num_processes} '
                        f'processes. Pass 0 to {num_processes - 1}')
    return task_index


def _check_hosts(hosts, source):
    """Raise UserError if a host is not 'host:port' or is listed twice."""
    for host in hosts:
        if not isinstance(host, str) \
                or not re.fullmatch(r'(\[[0-9a-fA-F:]+\]|[^\s:/\[\]]+):\d{1,5}', host) \
                or not 0 < int(host.rpartition(':')[2]) < 1 << 16:
            raise UserError(f"{source}: '{host}' is not host:port. Write for example "
                            f"10.0.0.1:2222")
        if hosts.count(host) > 1:
            raise UserError(f'{source} lists {host} twice. Give each process its own port')


def _parse_tf_config(text):
    """Return (hosts, rank) of TF_CONFIG; hosts is empty if it lists fewer than two processes."""
    try:
        config = json.loads(text)
        jobs, task = config.get('cluster') or {}, config.get('task') or {}
        task_type, index = task.get('type'), int(task.get('index', 0))
        chiefs = [host for job in ('chief', 'master') for host in jobs.get(job, [])]
        hosts = (*chiefs, *jobs.get('worker', []))
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f'cannot parse TF_CONFIG in the environment ({error}). Correct or unset '
                        f'it, or pass --worker_hosts') from error
    if jobs.get('ps') or task_type not in (None, 'chief', 'master', 'worker'):
        unsupported = 'a parameter server' if jobs.get('ps') else f"a task of type '{task_type}'"
        raise UserError(f'TF_CONFIG has {unsupported}, but every process here is a worker that '
                        f'holds all variables. Configure workers only')
    if len(hosts) < 2:
        return (), 0
    if not 0 <= index < len(jobs.get(task_type, [])):
        raise UserError(f'TF_CONFIG has the task {task_type} {index}, but its cluster does not '
                        f'list that task. Correct TF_CONFIG')
    return hosts, len(chiefs) + index if task_type == 'worker' else index

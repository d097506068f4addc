"""Which processes train together, and which of them this one is: from flags, or as cluster managers say it."""
import json
import re
from typing import NamedTuple

from common.errors import UserError


class Cluster(NamedTuple):
    """The processes of a training, by rank."""
    hosts: tuple = ()   # 'host:port' of each; none where this process trains alone
    rank: int = 0

    @property
    def size(self):
        """Number of processes."""
        return max(len(self.hosts), 1)

    @property
    def is_chief(self):
        """Whether this process is the one that writes checkpoints and speaks."""
        return self.rank == 0


def find(worker_hosts, task_index, environment):
    """The `Cluster` of --worker_hosts and --task_index, or else of TF_CONFIG in the environment; UserError if wrong.

    worker_hosts: list of 'host:port'. task_index: int or None. TF_CONFIG: JSON as TFJob, Vertex AI and others set it; a
    chief or master is rank 0, workers follow.
    """
    if worker_hosts:
        hosts, where = [host.strip() for host in worker_hosts], '--worker_hosts'
        if task_index is None:
            if len(hosts) > 1:
                raise UserError(f'--worker_hosts names {len(hosts)} processes: give each its --task_index, 0 to '
                                f'{len(hosts) - 1}')
            task_index = 0
    elif task_index is not None:
        raise UserError('--task_index means a place in --worker_hosts; give that too')
    elif environment.get('TF_CONFIG'):
        hosts, task_index = _of_tf_config(environment['TF_CONFIG'])
        where = 'TF_CONFIG'
    else:
        return Cluster()
    for host in hosts:
        if not isinstance(host, str) or not re.fullmatch(r'(\[[0-9a-fA-F:]+\]|[^\s:/\[\]]+):\d{1,5}', host) \
                or not 0 < int(host.rpartition(':')[2]) < 1 << 16:
            raise UserError(f"{where}: '{host}' is no host:port")
    if len(set(hosts)) < len(hosts):
        raise UserError(f'{where} names {next(host for host in hosts if hosts.count(host) > 1)} twice')
    if not 0 <= task_index < len(hosts):
        raise UserError(f'{where} names {len(hosts)} processes, 0 to {len(hosts) - 1}; this one would be {task_index}')
    return Cluster(tuple(hosts), task_index) if len(hosts) > 1 else Cluster()


def _of_tf_config(text):
    """(hosts, rank) of TF_CONFIG."""
    try:
        config = json.loads(text)
        jobs, task = config.get('cluster') or {}, config.get('task') or {}
        kind, index = task.get('type'), int(task.get('index', 0))
        first = [host for job in ('chief', 'master') for host in jobs.get(job, [])]
        hosts = first + list(jobs.get('worker', []))
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f'TF_CONFIG in the environment cannot be read ({error}); mend it, unset it, or pass '
                        f'--worker_hosts') from error
    if jobs.get('ps') or kind not in (None, 'chief', 'master', 'worker'):
        raise UserError(f"TF_CONFIG names a {'parameter server' if jobs.get('ps') else repr(kind)}; here every process "
                        f'is a worker that holds the weights itself: start workers only')
    if len(hosts) < 2:
        return ['alone:1'], 0
    if not 0 <= index < len(jobs.get(kind, [])):
        raise UserError(f'TF_CONFIG names {len(hosts)} processes, but its task is {kind} {index}, which is none of '
                        f'them')
    return hosts, len(first) + index if kind == 'worker' else index

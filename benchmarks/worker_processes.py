"""Finds the processes that `scripts/launch_workers.sh` has started."""
import os


def find_worker_pid(launcher, rank):
    """The process number of a worker that a launcher, a process number too, has started; None if there is none."""
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/stat', encoding='utf-8') as stat, open(f'/proc/{pid}/cmdline', 'rb') as called:
                parent = stat.read().rpartition(')')[2].split()[1]
                if parent == str(launcher) and f'--task_index={rank}'.encode() in called.read():
                    return int(pid)
        except OSError:   # it has just ended
            continue
    return None

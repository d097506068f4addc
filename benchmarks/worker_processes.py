"""Process ids of the workers that `scripts/launch_workers.sh` has started."""
import os


def find_worker_pid(launcher_pid, task_index):
    """Return the process id of a running child of the launcher, or None. Linux only."""
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/stat', encoding='utf-8') as stat, \
                 open(f'/proc/{pid}/cmdline', 'rb') as command_line:
                parent_pid = stat.read().rpartition(')')[2].split()[1]
                if (parent_pid == str(launcher_pid)
                        and f'--task_index={task_index}'.encode() in command_line.read()):
                    return int(pid)
        except OSError:   # the process has just ended
            continue
    return None

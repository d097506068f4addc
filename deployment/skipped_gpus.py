"""TensorFlow's own reason for not using a GPU of this machine."""
import glob
import os
import re
import subprocess
import sys

import tensorflow.compat.v1 as tf

_LIST_DEVICES = 'import tensorflow as tf; tf.config.list_physical_devices("GPU")'
_TIMEOUT_SECS = 120
_LOG_PREFIX = re.compile(r'^.*?\.(cc|cpp|h):\d+\] ')   # severity, time, thread, file, line
_ABOUT_GPUS = re.compile(r'cuda|cudnn|cuinit|gpu|dlopen|dlerror|dynamic library|driver', re.I)
# Printed by every start of the CUDA build.
_NOISE = re.compile('Unable to register|computation placer|TF-TRT|optimized to use')
_MAX_CHARACTERS = 1000


def reason(num_gpus):
    """Return why TensorFlow sees fewer GPUs than this machine has; '' if it sees all.

    TensorFlow logs the reason when it lists the devices for the first time, below the level that
    the scripts show. So this lists them in another process, which takes seconds.

    Args:
        num_gpus: number of GPUs that TensorFlow sees.
    """
    if num_gpus >= num_visible_gpus(os.environ.get('CUDA_VISIBLE_DEVICES')):
        return ''
    if not tf.test.is_built_with_cuda():
        return 'this is the CPU build of TensorFlow'
    environment = {**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '0'}
    try:
        done = subprocess.run([sys.executable, '-c', _LIST_DEVICES], env=environment, text=True,
                              errors='replace', capture_output=True, timeout=_TIMEOUT_SECS,
                              check=False)
    except subprocess.TimeoutExpired:
        return f'listing the devices took more than {_TIMEOUT_SECS} s'
    return extract_reason(done.stderr) or 'TensorFlow does not say why'


def num_visible_gpus(visible_devices):
    """Return the number of NVIDIA GPUs of this machine that CUDA_VISIBLE_DEVICES does not hide.

    Args:
        visible_devices: value of the variable, or None if it is not set.
    """
    num_gpus = len([path for path in glob.glob('/dev/nvidia*') if path[-1].isdigit()])
    if visible_devices is None:
        return num_gpus
    ids = [part.strip() for part in visible_devices.split(',')]
    # CUDA ignores everything from the first invalid id on; -1 is the usual one.
    valid = ids[:next((i for i, part in enumerate(ids) if part in ('', '-1')), len(ids))]
    return min(num_gpus, len(valid))


def extract_reason(messages):
    """Return the messages about GPUs in TensorFlow's log, as one line without prefixes."""
    lines = (_LOG_PREFIX.sub('', line).strip(' .') for line in messages.splitlines())
    about_gpus = [line for line in lines if _ABOUT_GPUS.search(line) and not _NOISE.search(line)]
    return '; '.join(dict.fromkeys(about_gpus))[:_MAX_CHARACTERS]

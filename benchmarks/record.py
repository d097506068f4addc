"""Keeps what a run measured: the command, the log, the result, the machine, and pictures of what it found.

python -m benchmarks.record --run_dir=runs/voc2007_mobilenet --output_dir=benchmarks/results/voc2007_mobilenet

run_dir: what the scripts of the data sets make, with train/, the results of the evaluation in train/eval_<split>/
and pictures/, if there are any.
"""
import datetime
import glob
import importlib.metadata
import os
import platform
import re

from absl import flags

from cli import app
from common import files
from common.errors import UserError
from run_folder import checkpoint_files, run_config

FLAGS = flags.FLAGS
flags.DEFINE_string('run_dir', None, 'Folder of the run.')
flags.DEFINE_string('output_dir', None, 'Folder to keep it in.')
flags.DEFINE_integer('pictures', 12, 'Pictures to show on one sheet.', lower_bound=0)


def check_flags():
    """Refuses what is not there, and does it all: TensorFlow is not needed."""
    app.require_flags(FLAGS, 'run_dir', 'output_dir')
    train_dir = os.path.join(FLAGS.run_dir, 'train')
    if not os.path.exists(os.path.join(train_dir, run_config.LOG_FILE)):
        raise UserError(f'{train_dir} holds no {run_config.LOG_FILE}: it is no folder of a run')
    os.makedirs(FLAGS.output_dir, exist_ok=True)
    with open(os.path.join(train_dir, run_config.LOG_FILE), encoding='utf-8') as file:
        log = _portable(file.read())
    files.write_atomically(os.path.join(FLAGS.output_dir, run_config.LOG_FILE), log)
    results = sorted(glob.glob(os.path.join(glob.escape(train_dir), 'eval_*', 'result.json')))
    starts = re.findall(r'^--- (\S+ \S+) (.*)$', log, re.MULTILINE)
    files.write_json(os.path.join(FLAGS.output_dir, 'run.json'), {
        'commands': [command_line for _, command_line in starts],
        'started': [when for when, _ in starts],
        'last_checkpoint_written': _time_of(checkpoint_files.list_checkpoints(train_dir)),
        'seed': run_config.read(train_dir)['flags']['seed'],
        'machine': machine(),
        'results': [_result(path) for path in results]})
    _sheet()
    return 0


def _portable(text):
    """Without the path of this machine to the project."""
    return text.replace(os.getcwd() + os.sep, '')


def _result(path):
    result = files.read_json(path, 'evaluate anew')
    return {**result, 'checkpoint': _portable(result['checkpoint'])}


def _time_of(checkpoints):
    if not checkpoints:
        return None
    return f'{datetime.datetime.fromtimestamp(os.path.getmtime(checkpoints[0] + ".index")):%Y-%m-%d %H:%M:%S}'


def machine():
    """What the run ran on, without names or places."""
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as file:
            model = re.search(r'^model name\s*: (.*)$', file.read(), re.MULTILINE).group(1)
    except (OSError, AttributeError):
        model = platform.processor()
    package = next(name for name in ('tensorflow', 'tensorflow-cpu') if _version(name))
    return {'processor': model, 'cores': os.cpu_count(), 'python': platform.python_version(),
            package: _version(package), 'tf-slim': _version('tf-slim'), 'numpy': _version('numpy')}


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _sheet():
    from PIL import Image

    from visualization import drawing
    pictures = []
    for path in sorted(glob.glob(os.path.join(glob.escape(FLAGS.run_dir), 'pictures', '*.jpg')))[:FLAGS.pictures]:
        with Image.open(path) as opened:
            pictures.append(opened.convert('RGB'))
    if pictures:
        sheet = drawing.contact_sheet(pictures, columns=4, cell=300)
        sheet.save(os.path.join(FLAGS.output_dir, 'detections.jpg'), quality=80)


if __name__ == '__main__':
    app.run(lambda: None, check_flags)

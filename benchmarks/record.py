r"""Copy the results of a run: commands, log, metrics, machine, and a sheet of drawn images.

python -m benchmarks.record --run_dir=runs/voc2007_mobilenet \
    --output_dir=benchmarks/results/voc2007_mobilenet

run_dir is the output folder of one of the dataset scripts (scripts/*.sh): with train/, the
evaluation results in train/eval_<split>/ and drawn images in images/, if there are any.
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
flags.DEFINE_string('output_dir', None, 'Folder to copy the results to.')
flags.DEFINE_integer('num_images', 12, 'Maximum number of drawn images on the sheet.',
                     lower_bound=0)
flags.DEFINE_alias('pictures', 'num_images')


def copy_results():
    """Check the flags, copy the results and return exit code 0."""
    app.require_flags(FLAGS, 'run_dir', 'output_dir')
    train_dir = os.path.join(FLAGS.run_dir, 'train')
    log_path = os.path.join(train_dir, run_config.LOG_FILE)
    if not os.path.exists(log_path):
        raise UserError(f'{log_path} does not exist. Correct --run_dir: it is the folder that '
                        f'contains train/')
    os.makedirs(FLAGS.output_dir, exist_ok=True)
    with open(log_path, encoding='utf-8') as file:
        log = _relative_paths(file.read())
    files.write_atomically(os.path.join(FLAGS.output_dir, run_config.LOG_FILE), log)
    result_paths = sorted(glob.glob(os.path.join(glob.escape(train_dir), 'eval_*', 'result.json')))
    starts = re.findall(r'^--- (\S+ \S+) (.*)$', log, re.MULTILINE)
    checkpoints = checkpoint_files.list_checkpoints(train_dir)   # the latest is the first
    files.write_json(os.path.join(FLAGS.output_dir, 'run.json'), {
        'commands': [command_line for _, command_line in starts],
        'started': [start_time for start_time, _ in starts],
        'last_checkpoint_written': _write_time(checkpoints[0]) if checkpoints else None,
        'seed': run_config.read(train_dir)['flags']['seed'],
        'machine': describe_machine(),
        'results': [_read_result(path) for path in result_paths]})
    _write_sheet()
    return 0


def _relative_paths(text):
    """Replace absolute paths into the working directory by relative ones."""
    return text.replace(os.getcwd() + os.sep, '')


def _read_result(path):
    result = files.read_json(path, 'Run the evaluation again')
    return {**result, 'checkpoint': _relative_paths(result['checkpoint'])}


def _write_time(prefix):
    """Return the local time at which a checkpoint was written."""
    seconds = os.path.getmtime(prefix + '.index')
    return f'{datetime.datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M:%S}'


def describe_machine():
    """Return the processor and the package versions, without names of hosts or users."""
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as file:
            processor = re.search(r'^model name\s*: (.*)$', file.read(), re.MULTILINE).group(1)
    except (OSError, AttributeError):
        processor = platform.processor()
    tensorflow = next(name for name in ('tensorflow', 'tensorflow-cpu') if _version(name))
    return {'processor': processor, 'cores': os.cpu_count(), 'python': platform.python_version(),
            tensorflow: _version(tensorflow), 'tf-slim': _version('tf-slim'),
            'numpy': _version('numpy')}


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _write_sheet():
    """Write a contact sheet of the first drawn images, if the run has any."""
    from PIL import Image

    from visualization import drawing
    run_dir = glob.escape(FLAGS.run_dir)
    paths = sorted(glob.glob(os.path.join(run_dir, 'images', '*.jpg'))
                   or glob.glob(os.path.join(run_dir, 'pictures', '*.jpg')))   # earlier versions
    images = []
    for path in paths[:FLAGS.num_images]:
        with Image.open(path) as image:
            images.append(image.convert('RGB'))
    if images:
        sheet = drawing.contact_sheet(images, columns=4, cell=300)
        sheet.save(os.path.join(FLAGS.output_dir, 'detections.jpg'), quality=80)


if __name__ == '__main__':
    # In place of the flag check, copy_results runs without the import of TensorFlow. Its exit code
    # ends the script, so that main is not called.
    app.run(main=None, check=copy_results)

import os
import subprocess
import sys
from xml.etree import ElementTree

import pytest
from conftest import ROOT

SCRIPT = '''"""Train a net.

python script.py --rate=1
"""
import atexit
import sys

from absl import flags

from cli import app
from cli.flag_help import flag_group

flags.DEFINE_string('train_dir', None, 'Folder of the run.')
flags.DEFINE_alias('model_dir', 'train_dir')
flag_group('Optimization')
flags.DEFINE_float('rate', .5, 'Learning rate.', lower_bound=0)
flags.DEFINE_float('power', -1, 'Power of FTRL.', upper_bound=0)
flags.DEFINE_enum('optimizer', 'sgd', ['sgd', 'adam'], 'Optimizer.')
flags.DEFINE_alias('method', 'optimizer')
flags.DEFINE_integer('batch_size', 0, 'Images per step.', lower_bound=0, upper_bound=64)
flag_group('Data')
flags.DEFINE_list('splits', ['a', 'b'], 'Splits to use.')
flags.DEFINE_list('classes', [], 'Classes to use.')
flags.DEFINE_bool('flip', True, 'Flip half of the images, which are drawn at random.')
flags.DEFINE_bool('crop', False, 'Crop.')
flags.DEFINE_bool('zoom_out', None, 'Zoom out. Default: as the name says.')

if __name__ == '__main__':
    atexit.register(lambda: print('tensorflow' in sys.modules, file=sys.stderr))
    app.run(lambda: 5, lambda: 4)
'''
HELP = '''\
Train a net.

python script.py --rate=1

Flags:
  --train_dir  Folder of the run. (also --model_dir)

Optimization:
  --rate=0.5  Learning rate. (>= 0)
  --power=-1.0  Power of FTRL. (<= 0)
  --optimizer=sgd  Optimizer. (one of sgd, adam) (also
      --method)
  --batch_size=0  Images per step. (0 to 64)

Data:
  --splits=a,b  Splits to use.
  --classes  Classes to use.
  --flip=true  Flip half of the images, which are drawn at
      random.
  --crop=false  Crop.
  --zoom_out  Zoom out. Default: as the name says.

--helpfull also lists the flags of absl.
'''


@pytest.fixture
def run_script(tmp_path):
    """A function that runs SCRIPT with some arguments; returns exit code and output."""
    (tmp_path / 'script.py').write_text(SCRIPT)

    def run(*arguments):
        process = subprocess.run(
            [sys.executable, tmp_path / 'script.py', *arguments], capture_output=True, text=True,
            env={**os.environ, 'PYTHONPATH': str(ROOT), 'COLUMNS': '60'}, check=False)
        assert process.stderr == 'False\n'   # TensorFlow is not imported
        return process.returncode, process.stdout
    return run


@pytest.mark.parametrize('flag', ['--help', '--helpshort', '-?'])
def test_help_shows_groups_in_the_order_of_the_source(run_script, flag):
    assert run_script(flag) == (0, HELP)


def test_helpfull_lists_the_flags_of_all_modules(run_script):
    exit_code, output = run_script('--helpfull')
    assert exit_code == 0
    assert all(f'  --{flag}' in output for flag in ('rate', '[no]flip', '[no]only_check_args'))
    assert output.count('[no]helpshort') == 1


def test_helpxml_is_valid(run_script):
    exit_code, output = run_script('--helpxml')
    names = [element.text for element in ElementTree.fromstring(output).iter('name')]
    assert exit_code == 1 and names.count('rate') == names.count('help') == 1


def test_script_runs_without_help(run_script):
    assert run_script() == run_script('--nohelp', '--helpshort=false') == (4, '')

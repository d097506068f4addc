"""Documents say what is so: flags, paths and links are there, and commands run, small, as they stand in the text.

All is done in this process, on the smallest net and a dozen pictures: loading TensorFlow is what takes the time.
"""
import ast
import os
import re
import shutil
import subprocess
import sys

import documents
import pytest
import tensorflow.compat.v1 as tf
from conftest import ROOT
from PIL import Image

from datasets import dataset_info, shapes
from run_folder import run_config

pytestmark = pytest.mark.usefixtures('loggers_as_before')
# Flags of other programs, and those that shell scripts and absl take for themselves.
FOREIGN_FLAGS = {'logdir', 'kill-on-bad-exit', 'nodes', 'ntasks-per-node', 'gpus-per-node', 'helpshort', 'help',
                 'max_restarts', 'first_port', 'name', 'dir', 'all', 'tag_set', 'signature_def', 'inputs'}
# What another test runs, or what CI lacks: a pattern in the command -> the test, or the lack. A document may say the
# latter itself, in the line before a block: <!-- not run: needs a GPU -->
ELSEWHERE = {
    r'^bash (scripts/(setup|test)\.sh|\.ci/run)|ruff check': 'needs nothing but what runs these tests',
    r'^hosts=|#SBATCH|srun': 'needs a cluster',
    r'image_info_test-dev': 'needs a download',
    r'docker run|curl ': 'needs a download',
    r'saved_model_cli': 'test_export.py::test_saved_model_cli_runs_the_saved_model',
    r'export_ssd_network': 'test_export.py::test_every_format_matches_the_prediction_script',
    r'benchmarks\.exported': 'test_benchmarks.py::test_exported_prints_size_and_latency',
    r'benchmarks\.agreement': 'test_export.py::test_every_format_matches_the_prediction_script',
    r'\.mp4': 'test_predict.py::test_classes_and_max_detections',
    r'--worker_hosts=|launch_workers': 'test_several_machines.py::test_three_processes_of_two_clones_equal_one_clone',
    r'--num_clones=4 --batch_size=8 …': 'test_end_to_end.py::test_two_clones_with_own_anchors',
    r'^tensorboard ': 'test_board.py::test_a_browser_shows_tags_and_images',
    r'benchmarks\.clones': 'test_benchmarks.py::test_clones_are_compared_with_one_clone',
    r'benchmarks\.input_pipeline': 'test_benchmarks.py::test_input_pipeline_prints_every_stage',
    r'benchmarks\.network': 'test_benchmarks.py::test_network_prints_speed_per_bandwidth',
    r'benchmarks\.post_processing': 'test_benchmarks.py::test_post_processing_is_compared_with_forward_pass',
    r'benchmarks\.record': 'test_benchmarks.py::test_record_copies_the_results_of_a_run',
    r'import_weights': 'test_end_to_end.py::test_an_imported_detector_can_be_evaluated',
    r'bash scripts/': 'test_docs.py::test_shell_scripts_call_what_is_there'}
# What makes a command small. The last value of a flag counts.
SMALL = {
    'train_ssd_network.py': ['--model_name=ssd_160_mobilenet_v1_025', '--batch_size=2', '--max_number_of_steps=2',
                             '--clone_on_cpu'],
    'eval_ssd_network.py': ['--batch_size=2', '--watch_restart_secs=0'], 'tf_convert_data.py': ['--overwrite'],
    'benchmarks/train_step.py': ['--model_name=ssd_160_mobilenet_v1_025', '--batch_size=1', '--steps=1']}
REPLAYED = 'bash scripts/train_shapes.sh'   # its steps are run too; those of the others are alike

ALL_FLAGS = {script: documents.flags_of(script) for script in documents.SCRIPTS}
COMMANDS = [command for name in documents.FILES for command in documents.commands(name)]


def check_flags(words, script):
    """Asserts that a script has the flags of a command, and takes their values."""
    known, _ = ALL_FLAGS[script]
    for word in words:
        match = re.fullmatch(r'--(no)?([\w-]+?)(?:=(.*))?', word, re.DOTALL)
        if not match or match[2] in FOREIGN_FLAGS:
            continue
        no, name, value = match.groups()
        name = name if no is None or name in known else no + name
        assert name in known, f'{script} has no flag {word}'
        if value is not None and '$' not in value:
            known[name].parser.parse(value)   # raises


@pytest.mark.parametrize('script', documents.SCRIPTS)
def test_every_flag_has_a_sentence(script):
    flags, about = ALL_FLAGS[script]
    module = script.removesuffix('.py').replace('/', '.')
    assert (f'python -m {module}' if module.startswith('benchmarks') else f'python {script}') in about
    assert about.partition('\n')[0].endswith('.')
    for flag in flags.values():
        assert re.fullmatch(r'[A-Z<a-z].*\.', flag.help, re.DOTALL), f'--{flag.name}: {flag.help}'


def test_help_comes_without_tensorflow():
    program = ('import documents, sys\n'
               'for script in documents.SCRIPTS: assert documents.run(["python", script, "--helpshort"]) == 1\n'
               'sys.exit("tensorflow" in sys.modules)')
    # A stand-in for conftest, which loads TensorFlow.
    stand_in = f'import sys, types, pathlib; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]\n' \
               f'sys.modules["conftest"] = types.SimpleNamespace(ROOT=pathlib.Path({str(ROOT)!r}))\n'
    done = subprocess.run([sys.executable, '-c', stand_in + program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize('script', documents.SCRIPTS)
def test_help_names_every_flag_once(script, capsys):
    assert documents.run(['python', script, '--helpshort']) == 1
    shown = re.findall(r'^  --(?:\[no\])?(\w+):', capsys.readouterr().out, re.MULTILINE)
    assert shown == sorted(ALL_FLAGS[script][0])


@pytest.mark.parametrize('name', sorted(path.name for path in ROOT.glob('scripts/*.sh') if path.name not in (
    'common.sh', 'setup.sh', 'test.sh')))
def test_shell_scripts_say_how_they_are_called(name):
    done = subprocess.run(['bash', f'scripts/{name}', '--help'], cwd=ROOT, capture_output=True, text=True, check=False)
    about, call, *_ = done.stdout.split(f'  bash scripts/{name}')
    assert done.returncode == 2 and about.strip().endswith('.') and call and not done.stderr


@pytest.mark.parametrize('name', documents.FILES)
def test_flags_paths_and_links(name):
    text = documents.read(name)
    known = FOREIGN_FLAGS.union(*(flags for flags, _ in ALL_FLAGS.values()))
    for flag in re.findall(r'(?<![\w-])--(?!-)([a-z][\w-]*)', text):
        assert flag in known or flag.removeprefix('no') in known, f'no script has --{flag}'
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()} - {'runs', 'data'}
    for code in [*documents.spans(name), *(command.text for command in documents.commands(name))]:
        for path in re.findall(r'(?<![\w/.-])[\w.-]+(?:/[\w.*-]+)*', code):
            ours = path.partition('/')[0] in folders and '/' in path and not path.startswith('checkpoints/')
            if ours or re.search(r'\w\.(py|sh|md)$', path):
                assert documents.exists(path), f'{path} is not there'
    for target in re.findall(r'\]\(([^)\s]+)\)', text):
        path, _, anchor = target.partition('#')
        if not path.startswith('http'):
            there = os.path.normpath(os.path.join(os.path.dirname(name), path)) if path else name
            assert documents.exists(there), f'{target} leads nowhere'
            assert not anchor or anchor in documents.anchors(there), f'{target} leads nowhere'


@pytest.mark.parametrize('command', COMMANDS, ids=lambda command: f'{command.document}: {command.text[:60]}')
def test_flags_of_commands(command):
    script = documents.script_of(command.words)
    if script and not command.is_program:
        check_flags(command.words, script)


def elsewhere(command):
    """Where, if not here, a command is run, or what it needs."""
    return command.reason or next((where for pattern, where in ELSEWHERE.items() if re.search(pattern, command.text)),
                                  '')


def test_what_is_not_run_here_is_run_there_or_says_what_it_needs():
    for command in COMMANDS:
        where = elsewhere(command)
        if '::' in where:
            file, _, test = where.partition('::')
            assert f'def {test}(' in (ROOT / 'tests' / file).read_text(), where
        elif where:
            assert re.match(r'needs (a GPU|a download|a cluster|nothing but )', where), where
        else:
            assert documents.script_of(command.words) in ALL_FLAGS, f'{command} is not run'


def put_in(part):
    """What stands in an f-string, as the documents write it: names of files as they are, … for all else."""
    value = getattr(part, 'value', None)
    names = {'INFO_FILE': dataset_info.INFO_FILE, 'LABELS_FILE': dataset_info.LABELS_FILE, 'CONFIG_FILE': run_config.CONFIG_FILE}
    return value if isinstance(value, str) else names.get(getattr(value, 'attr', getattr(value, 'id', '')), '…')


def messages():
    """Every text in the code."""
    for path in documents.python_files():
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.JoinedStr):
                yield ''.join(map(put_in, node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
    for path in ROOT.glob('scripts/*.sh'):
        yield from path.read_text(encoding='utf-8').splitlines()
    yield 'Unknown command line flag'   # absl's


def test_what_is_quoted_for_troubleshooting_is_what_the_code_says():
    said = list(messages())
    quoted = re.findall(r'^\| `(.*?)`', documents.read('docs/troubleshooting.md'), re.MULTILINE)
    assert len(quoted) > 40
    for quote in quoted:
        pattern = '.*'.join(re.escape(part) for part in quote.split('…'))
        assert any(re.search(pattern, text, re.DOTALL) for text in said), quote


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    """A folder with what the documents take for granted: data in several layouts, pictures."""
    folder = tmp_path_factory.mktemp('place')
    shapes.write_dataset(str(folder / 'my_data'), splits={'train': 8, 'val': 3, 'test': 2})
    shutil.copytree(folder / 'my_data', folder / 'undivided')
    shutil.rmtree(folder / 'undivided/ImageSets')
    for voc in ('VOCdevkit/VOC2007', 'VOCdevkit/VOC2012', 'BCCD', 'COCO', 'runs/shapes/voc'):
        (folder / voc).parent.mkdir(parents=True, exist_ok=True)
        (folder / voc).symlink_to(folder / 'my_data')
    for records in ('data/voc2007', 'runs/bccd/records'):
        (folder / records).parent.mkdir(parents=True, exist_ok=True)
        (folder / records).symlink_to(folder / 'runs/mine/records')
    for picture in ('photo.jpg', 'folder/a.jpg', 'more/b.png'):
        (folder / picture).parent.mkdir(exist_ok=True)
        Image.new('RGB', (40, 30)).save(folder / picture)
    return folder


# Stands in for .venv/bin/python: keeps what it is asked for, and finds a picture for the last step of a script.
PYTHON = """#!/usr/bin/env bash
printf '%s\\0' "$@" >> calls
printf '\\1' >> calls
[ "$2" != datasets.formats ] || printf '%s/JPEGImages/test_0000.jpg\\n' "$3"
"""


def calls_of(command, folder):
    """The commands `python ...` that a shell script gives, as lists of words; `folder` becomes a stand-in for ours."""
    for name in ('scripts', '.venv/bin'):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for script in ROOT.glob('scripts/*'):
        shutil.copy(script, folder / 'scripts')
    (folder / 'scripts/setup.sh').write_text('')
    (folder / '.venv/bin/python').write_text(PYTHON)
    (folder / '.venv/bin/python').chmod(0o755)
    (folder / 'calls').write_text('')
    text = command.text.partition('#')[0].replace('…', '').strip()
    if text.endswith('.sh') and 'train_shapes' not in text:
        text += ' my_data'   # a sentence names it without its arguments
    subprocess.run(['bash', '-c', text], cwd=folder, check=True, capture_output=True, timeout=60)
    return [['python', *call.split('\0')[:-1]] for call in (folder / 'calls').read_text().split('\1')[:-1]]


def small(words):
    """A command as it is run here."""
    if not {'--print_anchors', '--helpshort'}.isdisjoint(words):
        return words
    if any(word.startswith('--split_ratio=') for word in words):
        words = [word.replace('my_data', 'undivided').replace('runs/mine/', 'runs/undivided/') for word in words]
    return [*words, *SMALL.get(documents.script_of(words), [])]


SHELL = [command for command in COMMANDS if re.match(r'(\w+=\S+ )*bash scripts/(?!setup|test|launch)', command.text)]


@pytest.mark.parametrize('command', SHELL, ids=lambda command: f'{command.document}: {command.text[:60]}')
def test_shell_scripts_call_what_is_there(command, place):
    calls = [(words, documents.script_of(words)) for words in calls_of(command, place)]
    for words, script in calls:
        if script in ALL_FLAGS:
            check_flags(words, script)
    steps = [script for _, script in calls if script in ALL_FLAGS]
    assert sorted(set(steps), key=steps.index) == ['tf_convert_data.py', 'train_ssd_network.py', 'eval_ssd_network.py',
                                                   'predict_ssd_network.py']


@pytest.mark.slow
def test_commands_run(place, monkeypatch):
    monkeypatch.chdir(place)
    convert = 'python tf_convert_data.py --dataset_dir=my_data --output_dir=runs/mine/records'
    assert documents.run(convert.split()) == 0   # the first words of the README take records for granted
    done = set()
    for command in COMMANDS:
        replayed = command.text.startswith(REPLAYED)
        if elsewhere(command) and not replayed:
            continue
        for words in map(small, calls_of(command, place) if replayed else [command.words]):
            if tuple(words) not in done:
                with tf.Graph().as_default():
                    code = documents.run(words)
                assert code == (1 if '--helpshort' in words else 0), words
                done.add(tuple(words))

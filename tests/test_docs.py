"""Check the documents against the code: flags, paths, links, quoted messages; run their commands.

Commands run in this process, which has imported TensorFlow, with the smallest net and few images.
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
import tiny_net
from conftest import ROOT
from PIL import Image

from datasets import dataset_info, shapes
from run_folder import run_config
from training.options import TrainOptions
from training.recipes import RECIPES

pytestmark = pytest.mark.usefixtures('loggers_as_before')
# Flags of other programs, of shell scripts and of absl.
FOREIGN_FLAGS = {
    'logdir', 'kill-on-bad-exit', 'nodes', 'ntasks-per-node', 'gpus-per-node', 'helpshort', 'help',
    'max_restarts', 'first_port', 'isolate_network', 'dport', 'name', 'dir', 'all', 'tag_set',
    'signature_def', 'inputs'}
# Commands that this file does not run: pattern -> the test that covers it, or what it needs. A
# document can give such a need itself, before a code block: <!-- not run: needs a GPU -->
NOT_RUN_HERE = {
    r'^bash (scripts/(setup|test)\.sh|\.ci/run)|ruff check':
        'needs nothing but the environment of the tests',
    r'^hosts=|#SBATCH|srun': 'needs a cluster',
    r'image_info_test-dev': 'needs a download',
    r'docker run|curl ': 'needs a download',
    r'saved_model_cli': 'test_export.py::test_saved_model_cli_runs_the_saved_model',
    r'export_ssd_network': 'test_export.py::test_every_format_matches_the_prediction_script',
    r'benchmarks\.exported': 'test_benchmarks.py::test_exported_prints_size_and_latency',
    r'benchmarks\.agreement': 'test_export.py::test_every_format_matches_the_prediction_script',
    r'\.mp4': 'test_predict.py::test_classes_and_max_detections',
    r'--worker_hosts=|launch_workers':
        'test_several_machines.py::test_three_processes_of_two_clones_equal_one_clone',
    r'--num_clones=4 --batch_size=8 …': 'test_end_to_end.py::test_two_clones_with_own_anchors',
    r'^tensorboard ': 'test_board.py::test_a_browser_shows_tags_and_images',
    r'benchmarks\.clones': 'test_benchmarks.py::test_clones_are_compared_with_one_clone',
    r'benchmarks\.input_pipeline': 'test_benchmarks.py::test_input_pipeline_prints_every_stage',
    r'benchmarks\.network': 'test_benchmarks.py::test_network_prints_speed_per_bandwidth',
    r'benchmarks\.post_processing':
        'test_benchmarks.py::test_post_processing_is_compared_with_forward_pass',
    r'benchmarks\.record': 'test_benchmarks.py::test_record_copies_the_results_of_a_run',
    'ssd_128_plain': 'test_own_backbone.py::test_the_commands_of_the_page_run',
    r'import_weights': 'test_end_to_end.py::test_an_imported_detector_can_be_evaluated',
    r'bash scripts/': 'test_docs.py::test_shell_scripts_pass_valid_flags'}
# Flags that make commands fast. They come last, so they override those of the document.
FAST_FLAGS = {
    'train_ssd_network.py': [f'--model_name={tiny_net.NAME}', '--batch_size=2',
                             '--max_number_of_steps=2', '--clone_on_cpu'],
    'eval_ssd_network.py': ['--batch_size=2', '--watch_restart_secs=0'],
    'tf_convert_data.py': ['--overwrite'],
    'benchmarks/train_step.py': [f'--model_name={tiny_net.NAME}', '--batch_size=1', '--steps=1']}
# The shell script whose Python commands are run, too. The other scripts are similar.
REPLAYED = 'bash scripts/train_shapes.sh'

SCRIPT_FLAGS = {script: documents.load_flags(script) for script in documents.SCRIPTS}
COMMANDS = [command for document in documents.FILES for command in documents.commands(document)]


def command_id(command):
    return f'{command.document}: {command.text[:60]}'


def check_flags(words, script):
    """Assert that the flags of a command exist in a script, and that their values parse."""
    script_flags, _ = SCRIPT_FLAGS[script]
    for word in words:
        match = re.fullmatch(r'--(no)?([\w-]+?)(?:=(.*))?', word, re.DOTALL)
        if not match or match[2] in FOREIGN_FLAGS:
            continue
        negation, name, value = match.groups()
        name = name if negation is None or name in script_flags else negation + name
        assert name in script_flags, f'{script} has no flag {word}'
        if value is not None and '$' not in value:
            script_flags[name].parser.parse(value)   # raises ValueError


@pytest.mark.parametrize('script', documents.SCRIPTS)
def test_flag_help_is_a_sentence(script):
    flags, docstring = SCRIPT_FLAGS[script]
    module = script.removesuffix('.py').replace('/', '.')
    usage = f'python -m {module}' if module.startswith('benchmarks') else f'python {script}'
    assert usage in docstring
    assert docstring.partition('\n')[0].endswith('.')
    for flag in flags.values():
        assert re.fullmatch(r'[A-Z<a-z].*\.', flag.help, re.DOTALL), f'--{flag.name}: {flag.help}'


def test_help_does_not_import_tensorflow():
    # `conftest` imports TensorFlow, so the subprocess gets a replacement.
    program = f"""
import pathlib, sys, types
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
sys.modules["conftest"] = types.SimpleNamespace(ROOT=pathlib.Path({str(ROOT)!r}))
import documents
for script in documents.SCRIPTS:
    assert documents.run(["python", script, "--helpshort"]) == 0
sys.exit("tensorflow" in sys.modules)
"""
    result = subprocess.run(
        [sys.executable, '-c', program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize('script', documents.SCRIPTS)
def test_help_lists_every_flag_once(script, capsys):
    flags, docstring = SCRIPT_FLAGS[script]
    assert documents.run(['python', script, '--helpshort']) == 0
    text = capsys.readouterr().out.removeprefix(docstring.strip())
    listed = re.findall(r'(?:^  |\(also\s+)--(\w+)', text, re.MULTILINE)
    assert sorted(listed) == sorted(flags)


@pytest.mark.parametrize('name', sorted(
    path.name for path in ROOT.glob('scripts/*.sh')
    if path.name not in ('common.sh', 'setup.sh', 'test.sh')))
def test_shell_scripts_print_their_usage(name):
    result = subprocess.run(['bash', f'scripts/{name}', '--help'], cwd=ROOT, capture_output=True,
                            text=True, check=False)
    description, usage, *_ = result.stdout.split(f'  bash scripts/{name}')
    assert result.returncode == 2 and not result.stderr
    assert description.strip().endswith('.') and usage


@pytest.mark.parametrize('document', documents.FILES)
def test_flags_paths_and_links_exist(document):
    text = documents.read(document)
    known_flags = FOREIGN_FLAGS.union(*(flags for flags, _ in SCRIPT_FLAGS.values()))
    for flag in re.findall(r'(?<![\w-])--(?!-)([a-z][\w-]*)', text):
        assert flag in known_flags or flag.removeprefix('no') in known_flags, \
            f'no script has --{flag}'
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()} - {'runs', 'data'}
    commands = (command.text for command in documents.commands(document))
    for code in [*documents.code_spans(document), *commands]:
        for path in re.findall(r'(?<![\w/.-])[\w.-]+(?:/[\w.*-]+)*', code):
            is_in_project = path.partition('/')[0] in folders and '/' in path \
                and not path.startswith('checkpoints/')
            if is_in_project or re.search(r'\w\.(py|sh|md)$', path):
                assert documents.exists(path), f'{path} does not exist'
    for link in re.findall(r'\]\(([^)\s]+)\)', text):
        path, _, anchor = link.partition('#')
        if not path.startswith('http'):
            target = os.path.normpath(os.path.join(os.path.dirname(document), path)) \
                if path else document
            assert documents.exists(target), f'the target of {link} does not exist'
            assert not anchor or anchor in documents.heading_anchors(target), \
                f'{target} has no heading #{anchor}'


@pytest.mark.parametrize('command', COMMANDS, ids=command_id)
def test_commands_have_valid_flags(command):
    script = documents.script_of(command.words)
    if script and not command.is_shell_program:
        check_flags(command.words, script)


def why_not_run(command):
    """Return the test that covers a command, or what the command needs; '' if it is run here."""
    matches = (reason for pattern, reason in NOT_RUN_HERE.items()
               if re.search(pattern, command.text))
    return command.reason or next(matches, '')


def test_commands_that_are_not_run_here_have_a_reason():
    for command in COMMANDS:
        reason = why_not_run(command)
        if '::' in reason:
            file, _, test = reason.partition('::')
            assert f'def {test}(' in (ROOT / 'tests' / file).read_text(), reason
        elif reason:
            assert re.match(r'needs (a GPU|a download|a cluster|nothing but )', reason), reason
        else:
            assert documents.script_of(command.words) in SCRIPT_FLAGS, f'{command} is not run'


def render_part(part):
    """Return a part of an f-string as documents quote it: text, file names, … for other values."""
    value = getattr(part, 'value', None)
    if isinstance(value, str):
        return value
    file_names = {'INFO_FILE': dataset_info.INFO_FILE, 'LABELS_FILE': dataset_info.LABELS_FILE,
                  'CONFIG_FILE': run_config.CONFIG_FILE}
    return file_names.get(getattr(value, 'attr', getattr(value, 'id', '')), '…')


def message_texts():
    """Yield every string and f-string of the code, and every line of the shell scripts."""
    for path in documents.python_files():
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.JoinedStr):
                yield ''.join(map(render_part, node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
    for path in ROOT.glob('scripts/*.sh'):
        yield from path.read_text(encoding='utf-8').splitlines()
    yield 'Unknown command line flag'   # of absl


def test_troubleshooting_quotes_messages_of_the_code():
    texts = list(message_texts())
    quotes = re.findall(r'^\| `(.*?)`', documents.read('docs/troubleshooting.md'), re.MULTILINE)
    assert len(quotes) > 40
    patterns = {quote: '.*'.join(map(re.escape, quote.split('…'))) for quote in quotes}
    assert [quote for quote, pattern in patterns.items()
            if not any(re.search(pattern, text, re.DOTALL) for text in texts)] == []


@pytest.fixture(scope='module')
def workspace(tmp_path_factory):
    """Return a folder with the files that the documents assume: datasets in all places, images."""
    folder = tmp_path_factory.mktemp('workspace')
    shapes.write_dataset(str(folder / 'my_data'), splits={'train': 8, 'val': 3, 'test': 2})
    shutil.copytree(folder / 'my_data', folder / 'without_splits')
    shutil.rmtree(folder / 'without_splits/ImageSets')
    for voc in ('VOCdevkit/VOC2007', 'VOCdevkit/VOC2012', 'BCCD', 'COCO', 'runs/shapes/voc'):
        (folder / voc).parent.mkdir(parents=True, exist_ok=True)
        (folder / voc).symlink_to(folder / 'my_data')
    for records in ('data/voc2007', 'runs/bccd/records'):
        (folder / records).parent.mkdir(parents=True, exist_ok=True)
        (folder / records).symlink_to(folder / 'runs/mine/records')
    for image in ('photo.jpg', 'folder/a.jpg', 'more/b.png'):
        (folder / image).parent.mkdir(exist_ok=True)
        Image.new('RGB', (40, 30)).save(folder / image)
    return folder


# Replaces .venv/bin/python: records its arguments, and lists an image for the prediction step.
RECORDING_PYTHON = """#!/usr/bin/env bash
printf '%s\\0' "$@" >> calls
printf '\\1' >> calls
[ "$2" != datasets.formats ] || printf '%s/JPEGImages/test_0000.jpg\\n' "$3"
"""


def recorded_calls(command, folder):
    """Run a shell script in `folder` with RECORDING_PYTHON; return its Python commands as words."""
    for name in ('scripts', '.venv/bin'):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for script in ROOT.glob('scripts/*'):
        shutil.copy(script, folder / 'scripts')
    (folder / 'scripts/setup.sh').write_text('')
    (folder / '.venv/bin/python').write_text(RECORDING_PYTHON)
    (folder / '.venv/bin/python').chmod(0o755)
    (folder / 'calls').write_text('')
    text = command.text.partition('#')[0].replace('…', '').strip()
    if text.endswith('.sh') and 'train_shapes' not in text:
        text += ' my_data'   # documents mention scripts without arguments
    subprocess.run(['bash', '-c', text], cwd=folder, check=True, capture_output=True, timeout=60)
    calls = (folder / 'calls').read_text().split('\1')[:-1]
    return [['python', *call.split('\0')[:-1]] for call in calls]


def make_fast(words):
    """Return a command with FAST_FLAGS, and with data that fits --split_ratio."""
    if not {'--print_anchors', '--print_model', '--helpshort',
            '--skip_converted'}.isdisjoint(words):
        return words
    if any(word.startswith('--split_ratio=') for word in words):
        words = [word.replace('my_data', 'without_splits').replace('runs/mine/', 'runs/split/')
                 for word in words]
    return [*words, *FAST_FLAGS.get(documents.script_of(words), [])]


SHELL_COMMANDS = [command for command in COMMANDS if re.match(
    r'(\w+=\S+ )*bash scripts/(?!setup|test|launch)', command.text)]


@pytest.mark.parametrize('command', SHELL_COMMANDS, ids=command_id)
def test_shell_scripts_pass_valid_flags(command, workspace):
    calls = [(words, documents.script_of(words)) for words in recorded_calls(command, workspace)]
    for words, script in calls:
        if script in SCRIPT_FLAGS:
            check_flags(words, script)
    steps = dict.fromkeys(script for _, script in calls if script in SCRIPT_FLAGS)
    assert list(steps) == ['tf_convert_data.py', 'train_ssd_network.py', 'eval_ssd_network.py',
                           'predict_ssd_network.py']


def test_readme_and_own_data_script_train_with_the_same_flags(workspace):
    readme, = (command.words for command in documents.commands('README.md')
               if 'train_ssd_network.py --dataset_dir=runs/mine' in command.text)
    script, = (words for words in recorded_calls(
        documents.Command('', 'bash scripts/own_data.sh my_data', ''), workspace)
        if 'train_ssd_network.py' in words)
    folders = ('--dataset_dir', '--dataset_split_name', '--train_dir')
    readme, script = ([word for word in words if not word.startswith(folders)]
                      for words in (readme, script))
    assert '--recipe=strong' in readme
    assert sorted(readme[1:]) == sorted(script[1:])


def test_training_page_lists_the_values_of_the_recipes():
    section = documents.read('docs/training.md').partition('## Choose a recipe\n')[2]
    rows = re.findall(r'^\| `--(\w+)` \| `?(.*?)`? \| `?(.*?)`? \|$', section.partition('\n## ')[0],
                      re.MULTILINE)
    assert {name for name, *_ in rows} == set(RECIPES['strong'])
    for name, *texts in rows:
        for text, value in zip(texts, (getattr(TrainOptions(), name), RECIPES['strong'][name]),
                               strict=True):
            assert text == 'none' if value is None else type(value)(text) == value, name


@pytest.mark.slow
def test_commands_run(workspace, monkeypatch):
    monkeypatch.chdir(workspace)
    tiny_net.install(monkeypatch.setitem)
    # The first commands of the README assume records.
    convert = 'python tf_convert_data.py --dataset_dir=my_data --output_dir=runs/mine/records'
    assert documents.run(convert.split()) == 0
    executed = set()
    for command in COMMANDS:
        is_replayed = command.text.startswith(REPLAYED)
        if why_not_run(command) and not is_replayed:
            continue
        calls = recorded_calls(command, workspace) if is_replayed else [command.words]
        for words in map(make_fast, calls):
            if tuple(words) not in executed:
                with tf.Graph().as_default():
                    exit_code = documents.run(words)
                assert exit_code == 0, words
                executed.add(tuple(words))

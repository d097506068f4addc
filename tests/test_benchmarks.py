import json
import os
import re
import shutil
import subprocess

import pytest
from conftest import ROOT
from PIL import Image

import scripts
from benchmarks import loss_curves, timing

pytestmark = pytest.mark.slow
NET = 'ssd_160_mobilenet_v1_025'


def test_memory_of_the_input_pipeline_does_not_grow():
    text = scripts.succeed('-m', 'benchmarks.input_pipeline', '--memory', f'--model_name={NET}',
                           '--memory_after=500,5000')
    assert 'after 5000 images: ' in text
    assert float(re.search(r'growth: (-?[\d.]+)%', text).group(1)) < 5


def test_input_pipeline_prints_every_stage():
    text = scripts.succeed('-m', 'benchmarks.input_pipeline', f'--model_name={NET}',
                           '--batch_size=4', '--turns=1', '--seconds=0.01')
    assert [line.partition('  ')[0] for line in text.splitlines()[3:-1]] == [
        'decoding alone', 'read, parse', 'geometry', 'decode the window', 'resize, batch',
        'boxes, color, flip', 'match, encode']
    assert re.search(r'whole pipeline / decoding alone: \d\.\d\d', text)


def test_post_processing_is_compared_with_forward_pass():
    text = scripts.succeed('-m', 'benchmarks.post_processing', f'--model_names={NET}',
                           '--batch_size=2', '--turns=1', '--kernels')
    assert text.startswith(f'{NET}, 834 anchors, 21 classes, batch 2, medians of 1 turns')
    assert re.search(r'post-processing, untrained +\d.* of the forward pass +'
                     r'\(16680 scores per image above 0.01\)', text)
    assert re.search(r'post-processing, trained +\d.* of the forward pass', text)
    assert 'TopKV2' in text


def test_clones_are_compared_with_one_clone():
    text = scripts.succeed('-m', 'benchmarks.clones', f'--model_name={NET}', '--global_batch=2',
                           '--num_clones=1,2', '--steps=1')
    assert re.search(r'^1 clone of 2: .* s/step, 1.000 of the time with 1\n2 clones of 1: \d',
                     text, re.MULTILINE)
    assert '--num_clones=3 does not divide --global_batch=8' in scripts.rejection(
        '-m', 'benchmarks.clones', '--num_clones=3')


def test_exported_prints_size_and_latency():
    text = scripts.succeed('-m', 'benchmarks.exported', f'--model_names={NET}', '--turns=1',
                           '--formats=frozen_graph,tflite')
    assert re.search(r'^\| net \| frozen_graph \| tflite \|\n\| --- \| --- \| --- \|\n'
                     rf'\| `{NET}` \| [\d.]+ MB, \d+ ms \| [\d.]+ MB, \d+ ms \|$', text,
                     re.MULTILINE)
    assert "unknown format 'onyx'" in scripts.rejection(
        '-m', 'benchmarks.exported', '--formats=onyx')


def test_median_seconds_calls_in_turn_and_ignores_the_first_call(monkeypatch):
    now, calls = [0.], []

    def advance(name, seconds):
        calls.append(name)
        now[0] += seconds.pop(0)
    monkeypatch.setattr(timing.time, 'monotonic', lambda: now[0])
    first, second = [90., 1., 5., 2.], [80., 7., 7., 4.]
    medians = timing.median_seconds({'first': lambda: advance('first', first),
                                     'second': lambda: advance('second', second)}, 3)
    assert medians == {'first': 2, 'second': 7}
    assert calls == ['first', 'second'] * 4


def test_record_copies_the_results_of_a_run(tmp_path):
    train_dir = tmp_path / 'run/train'
    (train_dir / 'eval_val').mkdir(parents=True)
    (tmp_path / 'run/images').mkdir()
    (train_dir / 'train.log').write_text(
        '--- 2026-01-02 03:04:05 python train.py --seed=3\nstep 1\n')
    (train_dir / 'config.json').write_text(json.dumps({'model': {}, 'flags': {'seed': 3}}))
    (train_dir / 'eval_val/result.json').write_text(
        json.dumps({'mAP': .5, 'checkpoint': f'{ROOT}/runs/a'}))
    Image.new('RGB', (40, 30)).save(tmp_path / 'run/images/a.jpg')
    scripts.succeed('-m', 'benchmarks.record', '--pictures=1', f'--run_dir={tmp_path}/run',
                    f'--output_dir={tmp_path}/copy')
    content = json.loads((tmp_path / 'copy/run.json').read_text())
    assert content['commands'] == ['python train.py --seed=3']
    assert content['started'] == ['2026-01-02 03:04:05']
    assert content['seed'] == 3
    assert content['results'] == [{'mAP': .5, 'checkpoint': 'runs/a'}]
    assert content['machine']['cores'] > 0 and content['machine']['processor']
    assert (tmp_path / 'copy/train.log').read_text().endswith('step 1\n')
    assert Image.open(tmp_path / 'copy/detections.jpg').size[0] > 40
    assert 'train/train.log does not exist' in scripts.rejection(
        '-m', 'benchmarks.record', f'--run_dir={tmp_path}', f'--output_dir={tmp_path}/copy')


def write_log(path, *losses):
    """Write a train.log with lines of (step, loss), and return its path."""
    path.write_text('--- 2026-01-02 03:04:05 python train.py\nnet a\n' + ''.join(
        f'step {step}/90: loss {loss} (confidence {loss - 1} localization 1.0), '
        f'learning rate 0.1\n' for step, loss in losses))
    return path


def test_read_losses_of_a_resumed_run(tmp_path):
    log = write_log(tmp_path / 'train.log', (10, 4.5), (20, 3.5), (10, 4.0), (30, 2.0))
    curves = loss_curves.read_losses(str(log))
    assert curves == {'total': [(10, 4.), (20, 3.5), (30, 2.)],
                      'confidence': [(10, 3.), (20, 2.5), (30, 1.)],
                      'localization': [(10, 1.), (20, 1.), (30, 1.)]}
    assert loss_curves.smooth(curves['total'], 2) == [(20, 3.75), (30, 2.)]


def test_loss_curves_writes_a_plot(tmp_path):
    log = write_log(tmp_path / 'train.log', (10, 4.5), (20, 3.5))
    scripts.succeed('-m', 'benchmarks.loss_curves', f'--output={tmp_path}/curves.png',
                    f'{log}=a run', log)
    with Image.open(tmp_path / 'curves.png') as plot:
        assert plot.width > plot.height > 100
    (tmp_path / 'other').write_text('no steps')
    assert 'has no line with the loss of a step' in scripts.rejection(
        '-m', 'benchmarks.loss_curves', '--output=a.png', f'{tmp_path}/other')


def can_create_network_namespaces():
    """Try to create a network namespace. Containers often may not, even as root."""
    name = f'ssd-probe-{os.getpid()}'
    if not (os.path.exists('/dev/net/tun') and shutil.which('tc') and shutil.which('ip')):
        return False
    return all(subprocess.run(['ip', 'netns', action, name], capture_output=True,
                              check=False).returncode == 0 for action in ('add', 'del'))


@pytest.mark.skipif(not can_create_network_namespaces(),
                    reason='needs root, /dev/net/tun and iproute2 for network namespaces')
def test_network_prints_speed_per_bandwidth():
    devices = set(os.listdir('/sys/class/net'))
    text = scripts.succeed('-m', 'benchmarks.network', '--mbit=100', '--delay_ms=1',
                           '--loss=0.001', '--steps=4', '--', f'--model_name={NET}')
    speeds = [float(speed) for speed in re.findall(r'([\d.]+) images/s', text)]
    assert '100 Mbit/s' in text and len(speeds) == 1 and speeds[0] > 0
    assert set(os.listdir('/sys/class/net')) <= devices
    assert "'fast' is not a bandwidth" in scripts.rejection(
        '-m', 'benchmarks.network', '--mbit=fast')

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


def test_the_input_takes_no_more_memory_the_longer_it_runs():
    text = scripts.succeed('-m', 'benchmarks.input_pipeline', '--memory', '--model_name=ssd_160_mobilenet_v1_025')
    assert 'after 20000 pictures: ' in text
    assert float(re.search(r'growth: (-?[\d.]+)%', text).group(1)) < 5


def test_input_pipeline_prints_every_stage():
    text = scripts.succeed('-m', 'benchmarks.input_pipeline', '--model_name=ssd_160_mobilenet_v1_025',
                           '--batch_size=4', '--turns=1', '--seconds=0.01')
    assert [line.partition('  ')[0] for line in text.splitlines()[3:-1]] == [
        'decoding alone', 'read, parse', 'geometry', 'decode the window', 'resize, batch', 'colours, flip',
        'match, encode']
    assert re.search(r'whole pipeline / decoding alone: \d\.\d\d', text)


def test_post_processing_is_compared_with_forward_pass():
    text = scripts.succeed('-m', 'benchmarks.post_processing', '--model_names=ssd_160_mobilenet_v1_025',
                           '--batch_size=2', '--turns=1', '--kernels')
    assert re.search(r'^ssd_160_mobilenet_v1_025, 834 anchors, 21 classes, batch 2, medians of 1 turns', text)
    assert re.search(r'way out, untrained +\d.* of the forward pass +\(16680 scores of a picture above 0.01\)', text)
    assert re.search(r'way out, trained +\d.* of the forward pass', text) and 'TopKV2' in text


def test_clones_are_compared_with_one_clone():
    text = scripts.succeed('-m', 'benchmarks.clones', '--model_name=ssd_160_mobilenet_v1_025', '--global_batch=2',
                           '--num_clones=1,2', '--steps=1')
    assert re.search(r'^1 clone of 2: .* s a step, 1.000 of the time of 1\n2 clones of 1: \d', text, re.MULTILINE)
    assert '3 clones cannot share --global_batch=8' in scripts.refusal('-m', 'benchmarks.clones', '--num_clones=3')


def test_exported_prints_size_and_latency():
    text = scripts.succeed('-m', 'benchmarks.exported', '--model_names=ssd_160_mobilenet_v1_025', '--turns=1',
                           '--formats=frozen_graph,tflite')
    assert re.search(r'^\| net \| frozen_graph \| tflite \|\n\| --- \| --- \| --- \|\n\| `ssd_160_mobilenet_v1_025` '
                     r'\| [\d.]+ MB, \d+ ms \| [\d.]+ MB, \d+ ms \|$', text, re.MULTILINE)
    assert "'onyx' is none of" in scripts.refusal('-m', 'benchmarks.exported', '--formats=onyx')


def test_turns_are_taken_and_the_first_does_not_count(monkeypatch):
    now, order = [0.], []

    def act(name, seconds):
        order.append(name)
        now[0] += seconds.pop(0)
    monkeypatch.setattr(timing.time, 'monotonic', lambda: now[0])
    ones, twos = [90., 1., 5., 2.], [80., 7., 7., 4.]
    medians = timing.median_seconds({'one': lambda: act('one', ones), 'two': lambda: act('two', twos)}, 3)
    assert medians == {'one': 2, 'two': 7} and order == ['one', 'two'] * 4


def test_record_copies_the_results_of_a_run(tmp_path):
    train_dir = tmp_path / 'run/train'
    (train_dir / 'eval_val').mkdir(parents=True)
    (tmp_path / 'run/images').mkdir()
    (train_dir / 'train.log').write_text('--- 2026-01-02 03:04:05 python train.py --seed=3\nstep 1\n')
    (train_dir / 'config.json').write_text(json.dumps({'model': {}, 'flags': {'seed': 3}}))
    (train_dir / 'eval_val/result.json').write_text(json.dumps({'mAP': .5, 'checkpoint': f'{ROOT}/runs/a'}))
    Image.new('RGB', (40, 30)).save(tmp_path / 'run/images/a.jpg')
    scripts.succeed('-m', 'benchmarks.record', f'--run_dir={tmp_path}/run', f'--output_dir={tmp_path}/kept')
    kept = json.loads((tmp_path / 'kept/run.json').read_text())
    assert kept['commands'] == ['python train.py --seed=3'] and kept['started'] == ['2026-01-02 03:04:05']
    assert kept['seed'] == 3 and kept['results'] == [{'mAP': .5, 'checkpoint': 'runs/a'}]
    assert kept['machine']['cores'] > 0 and kept['machine']['processor']
    assert (tmp_path / 'kept/train.log').read_text().endswith('step 1\n')
    assert Image.open(tmp_path / 'kept/detections.jpg').size[0] > 40
    assert 'it is no folder of a run' in scripts.refusal(
        '-m', 'benchmarks.record', f'--run_dir={tmp_path}', f'--output_dir={tmp_path}/kept')


def write_log(path, *lines):
    path.write_text('--- 2026-01-02 03:04:05 python train.py\nnet a\n' + ''.join(
        f'step {step}/90: loss {loss} (confidence {loss - 1} localization 1.0), learning rate 0.1\n'
        for step, loss in lines))
    return path


def test_losses_are_read_from_a_log_and_drawn(tmp_path):
    log = write_log(tmp_path / 'train.log', (10, 4.5), (20, 3.5), (10, 4.0), (30, 2.0))   # resumed at 10
    curves = loss_curves.read_losses(str(log))
    assert curves == {'total': [(10, 4.), (20, 3.5), (30, 2.)], 'confidence': [(10, 3.), (20, 2.5), (30, 1.)],
                      'localization': [(10, 1.), (20, 1.), (30, 1.)]}
    assert loss_curves.smoothed(curves['total'], 2) == [(20, 3.75), (30, 2.)]
    scripts.succeed('-m', 'benchmarks.loss_curves', f'--output={tmp_path}/curves.png', f'{log}=a run', log)
    with Image.open(tmp_path / 'curves.png') as picture:
        assert picture.width > picture.height > 100
    (tmp_path / 'other').write_text('no steps')
    assert 'holds no step' in scripts.refusal('-m', 'benchmarks.loss_curves', '--output=a.png', f'{tmp_path}/other')


def may_make_machines():
    """Whether this process may make network namespaces; containers often may not, root or not."""
    name = f'ssd-probe-{os.getpid()}'
    if not os.path.exists('/dev/net/tun') or not shutil.which('tc') or not shutil.which('ip'):
        return False
    made = subprocess.run(['ip', 'netns', 'add', name], capture_output=True, check=False).returncode == 0
    return made and subprocess.run(['ip', 'netns', 'del', name], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not may_make_machines(), reason='network namespaces want root, /dev/net/tun and iproute2')
def test_network_prints_speed_per_bandwidth():
    before = set(os.listdir('/sys/class/net'))
    text = scripts.succeed('-m', 'benchmarks.network', '--mbit=0,100', '--delay_ms=1', '--loss=0.001', '--steps=4',
                           '--', '--model_name=ssd_160_mobilenet_v1_025')
    speeds = [float(speed) for speed in re.findall(r'([\d.]+) images/s', text)]
    assert 'unlimited' in text and '100 Mbit/s' in text and len(speeds) == 2 and min(speeds) > 0
    assert set(os.listdir('/sys/class/net')) <= before
    assert "'fast' is no number of Mbit/s" in scripts.refusal('-m', 'benchmarks.network', '--mbit=fast')

import json
import re

import pytest
from conftest import ROOT
from PIL import Image

import scripts

pytestmark = pytest.mark.slow


def test_the_input_takes_no_more_memory_the_longer_it_runs():
    text = scripts.succeed('-m', 'benchmarks.input_pipeline', '--memory', '--model_name=ssd_160_mobilenet_v1_025')
    assert 'after 20000 pictures: ' in text
    assert float(re.search(r'growth: (-?[\d.]+)%', text).group(1)) < 5


def test_the_stages_of_the_input():
    text = scripts.succeed('-m', 'benchmarks.input_pipeline', '--model_name=ssd_160_mobilenet_v1_025',
                           '--batch_size=4', '--turns=1', '--seconds=0.01')
    assert [line.partition('  ')[0] for line in text.splitlines()[3:-1]] == [
        'decoding alone', 'read, parse', 'geometry', 'decode the window', 'resize, batch', 'colours, flip',
        'match, encode']
    assert re.search(r'whole pipeline / decoding alone: \d\.\d\d', text)


def test_what_a_run_measured_is_kept(tmp_path):
    train_dir = tmp_path / 'run/train'
    (train_dir / 'eval_val').mkdir(parents=True)
    (tmp_path / 'run/pictures').mkdir()
    (train_dir / 'train.log').write_text('--- 2026-01-02 03:04:05 python train.py --seed=3\nstep 1\n')
    (train_dir / 'config.json').write_text(json.dumps({'model': {}, 'flags': {'seed': 3}}))
    (train_dir / 'eval_val/result.json').write_text(json.dumps({'mAP': .5, 'checkpoint': f'{ROOT}/runs/a'}))
    Image.new('RGB', (40, 30)).save(tmp_path / 'run/pictures/a.jpg')
    scripts.succeed('-m', 'benchmarks.record', f'--run_dir={tmp_path}/run', f'--output_dir={tmp_path}/kept')
    kept = json.loads((tmp_path / 'kept/run.json').read_text())
    assert kept['commands'] == ['python train.py --seed=3'] and kept['started'] == ['2026-01-02 03:04:05']
    assert kept['seed'] == 3 and kept['results'] == [{'mAP': .5, 'checkpoint': 'runs/a'}]
    assert kept['machine']['cores'] > 0 and kept['machine']['processor']
    assert (tmp_path / 'kept/train.log').read_text().endswith('step 1\n')
    assert Image.open(tmp_path / 'kept/detections.jpg').size[0] > 40
    assert 'it is no folder of a run' in scripts.refusal(
        '-m', 'benchmarks.record', f'--run_dir={tmp_path}', f'--output_dir={tmp_path}/kept')

"""Evaluation of a training that runs, with the scripts as a user calls them."""
import json
import signal

import pytest
import tensorflow.compat.v1 as tf
from shapes_run import weights, write_shapes

import scripts

pytestmark = pytest.mark.slow


def test_a_watch_ends_when_its_training_is_killed(tmp_path):
    data, run = write_shapes(tmp_path / 'data', train=8, test=3), tmp_path / 'run'
    watch = ['eval_ssd_network.py', '--watch', f'--checkpoint_path={run}', f'--dataset_dir={data}/records',
             '--watch_timeout_secs=120', '--watch_restart_secs=3']
    watching = scripts.start(*watch)
    lines = [watching.stdout.readline() for _ in range(2)]
    assert 'waiting for it' in lines[1], lines + [watching.stdout.read()]
    training = scripts.start('train_ssd_network.py', f'--dataset_dir={data}/records', f'--train_dir={run}',
                             '--model_name=ssd_160_mobilenet_v1_025', '--batch_size=2', '--save_interval_secs=1')
    try:
        while sum(line.startswith('step ') for line in lines) < 3:
            lines.append(watching.stdout.readline())
            assert lines[-1], lines
    finally:
        training.send_signal(signal.SIGKILL)
        training.communicate(timeout=60)
    rest = watching.communicate(timeout=200)[0]
    assert watching.returncode == 0 and 'nobody trains in ' in rest and 'stopped or killed' in rest, rest
    history = json.loads((run / 'eval_test/history.json').read_text())['checkpoints']
    best = max(history, key=lambda row: row['mAP']['VOC07'])
    assert len(history) >= 3 and json.loads((run / 'best/best.json').read_text())['step'] == best['step']
    assert weights(run / 'best')['global_step'] == best['step']
    seen = [event.step for path in (run / 'eval_test').glob('events.*')
            for event in tf.train.summary_iterator(str(path)) for value in event.summary.value
            if value.tag == 'mAP/VOC07']
    assert seen == [row['step'] for row in history]

    again = scripts.succeed(*watch)      # a second one has nothing to do
    assert 'have been evaluated before' in again and f'the best by VOC07 is that of step {best["step"]}' in again
    scripts.succeed('eval_ssd_network.py', f'--checkpoint_path={run}/best', f'--dataset_dir={data}/records')
    result = json.loads((run / 'best/eval_test/result.json').read_text())
    assert (result['step'], result['mAP']) == (best['step'], best['mAP'])

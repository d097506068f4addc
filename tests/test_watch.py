"""Evaluation of a running training, with the scripts as a user runs them."""
import json
import signal

import pytest
import tensorflow.compat.v1 as tf
import tiny_net
from shapes_run import checkpoint_values, write_shapes

import scripts

pytestmark = pytest.mark.slow


def kill_after_evaluations(training, watching, lines, num_evaluations):
    """Read the lines of the watch until it has evaluated enough; then kill the training."""
    try:
        while sum(line.startswith('step ') for line in lines) < num_evaluations:
            lines.append(watching.stdout.readline())
            assert lines[-1], lines
    finally:
        training.send_signal(signal.SIGKILL)
        training.communicate(timeout=60)


def test_watch_evaluates_checkpoints_until_the_training_is_killed(tmp_path):
    data, run = write_shapes(tmp_path / 'data', train=8, test=3), tmp_path / 'run'
    dataset_dir = f'--dataset_dir={data}/records'
    watch = ['eval_ssd_network.py', '--watch', f'--checkpoint_path={run}', dataset_dir,
             '--watch_timeout_secs=120', '--watch_restart_secs=3']
    watching = scripts.start(*watch)
    lines = [watching.stdout.readline() for _ in range(2)]
    assert 'waiting for it' in lines[1], lines + [watching.stdout.read()]
    training = scripts.start(
        'train_ssd_network.py', dataset_dir, f'--train_dir={run}',
        f'--model_name={tiny_net.NAME}', '--batch_size=2', '--save_interval_secs=1')
    kill_after_evaluations(training, watching, lines, 3)
    output = watching.communicate(timeout=200)[0]
    assert watching.returncode == 0, output
    assert 'no process trains in ' in output and 'stopped or killed' in output, output

    history = json.loads((run / 'eval_test/history.json').read_text())['checkpoints']
    best = max(history, key=lambda row: row['mAP']['VOC07'])
    assert len(history) >= 3
    assert json.loads((run / 'best/best.json').read_text())['step'] == best['step']
    assert checkpoint_values(run / 'best')['global_step'] == best['step']
    summary_steps = [event.step for path in (run / 'eval_test').glob('events.*')
                     for event in tf.train.summary_iterator(str(path))
                     for value in event.summary.value if value.tag == 'mAP/VOC07']
    assert summary_steps == [row['step'] for row in history]

    output = scripts.succeed(*watch)   # nothing is left to evaluate
    assert 'have been evaluated before' in output
    assert f'the best checkpoint by VOC07 is that of step {best["step"]}' in output
    scripts.succeed('eval_ssd_network.py', f'--checkpoint_path={run}/best', dataset_dir)
    result = json.loads((run / 'best/eval_test/result.json').read_text())
    assert (result['step'], result['mAP']) == (best['step'], best['mAP'])

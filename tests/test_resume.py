"""Whatever ends a run, the same command goes on from it, to the same bits. Slow: each case is some processes."""
import random
import re
import resource
import shutil

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from shapes_run import weights, write_shapes

import scripts

pytestmark = pytest.mark.slow
STEPS = 40


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Converted pictures, fewer than four steps see."""
    return write_shapes(tmp_path_factory.mktemp('resume'), train=10, test=2) / 'records'


def arguments(records_dir, train_dir, *more):
    return ['train_ssd_network.py', f'--dataset_dir={records_dir}', f'--train_dir={train_dir}',
            '--model_name=ssd_160_mobilenet_v1_025', '--batch_size=4', '--log_every_n_steps=1',
            f'--max_number_of_steps={STEPS}', *more]


def step_of(line):
    """The step that a line reports, or None."""
    match = re.match(r'step (\d+)/', line)
    return int(match.group(1)) if match else None


@pytest.mark.parametrize('clones', [
    ['--optimizer=momentum'], ['--optimizer=adam', '--num_clones=2', '--clone_on_cpu', '--batch_size=2']])
def test_killed_at_any_moment_it_ends_with_the_same_bits(data, tmp_path, clones):
    clones = [*clones, '--moving_average_decay=0.9']
    scripts.succeed(*arguments(data, tmp_path / 'through', *clones))
    saving = arguments(data, tmp_path / 'killed', *clones, '--save_interval_secs=1')
    moment = random.SystemRandom().randint(10, STEPS - 10)
    running = scripts.start(*saving)
    for line in running.stdout:
        if (step_of(line) or 0) >= moment:
            running.kill()
            break
    running.communicate(timeout=60)
    assert running.returncode == -9 and weights(tmp_path / 'killed')['global_step'] < STEPS
    text = scripts.succeed(*saving)
    assert 'going on from' in text
    through, killed = weights(tmp_path / 'through'), weights(tmp_path / 'killed')
    assert through.keys() == killed.keys() and killed['global_step'] == STEPS
    for name, value in through.items():
        np.testing.assert_array_equal(killed[name], value, err_msg=f'{name}, killed at step {moment}')


def test_a_broken_checkpoint_costs_the_steps_since_the_one_before_and_what_changed_is_said(data, tmp_path):
    shutil.copytree(data, tmp_path / 'records')
    for last in (2, 4):
        scripts.succeed(*arguments(tmp_path / 'records', tmp_path / 'run', f'--max_number_of_steps={last}'))
    broken = tmp_path / 'run/model.ckpt-4.data-00000-of-00001'
    broken.write_bytes(broken.read_bytes()[:-9])
    shard = next((tmp_path / 'records').glob('*train_00000*'))
    kept = list(tf.io.tf_record_iterator(str(shard)))
    with tf.io.TFRecordWriter(str(shard)) as writer:
        for record in reversed(kept):
            writer.write(record)
    text = scripts.succeed(*arguments(tmp_path / 'records', tmp_path / 'run', '--max_number_of_steps=5', '--seed=1',
                                      '--batch_size=2'))
    assert f'{tmp_path}/run/model.ckpt-4 is broken (' in text
    assert f'going on from {tmp_path}/run/model.ckpt-2' in text
    assert [step_of(line) for line in text.splitlines() if step_of(line)] == [3, 4, 5]
    for change in ('seed: 0 -> 1', 'batch_size: 4 -> 2', 'the data set: 10 pictures of shapes train (content ',
                   'so the examples from here on are not those'):
        assert f'changed since the last run here: {change}' in text


def break_record(folder, name='train_0003'):
    """Cuts one picture of the converted data short; the name of its shard."""
    for shard in folder.glob('*train*.tfrecord'):
        kept = list(tf.io.tf_record_iterator(str(shard)))
        with tf.io.TFRecordWriter(str(shard)) as writer:
            for record in kept:
                example = tf.train.Example.FromString(record)
                encoded = example.features.feature['image/encoded'].bytes_list
                if example.features.feature['image/filename'].bytes_list.value[0].decode() == f'{name}.jpg':
                    encoded.value[0] = encoded.value[0][:200]
                writer.write(example.SerializeToString())


def test_a_broken_picture_in_a_record(data, tmp_path):
    shutil.copytree(data, tmp_path / 'records')
    break_record(tmp_path / 'records')
    command = arguments(tmp_path / 'records', tmp_path / 'run', '--max_number_of_steps=3')
    done = scripts.run(*command)
    sentence = done.stderr.splitlines()[-1]   # libjpeg has said something of its own before
    assert done.returncode == 2 and sentence.startswith('error: the data set holds ')
    assert "broken records: record 3 of shapes_train_00000-of-00002.tfrecord ('train_0003.jpg'): " in sentence
    text = scripts.succeed(*command, '--max_broken_records=1')
    assert "skipped: record 3 of shapes_train_00000-of-00002.tfrecord ('train_0003.jpg')" in text
    assert 'shapes train: 9 pictures in 2 files' in text and 'step 3/3' in text


def test_a_shard_that_is_cut_short(data, tmp_path):
    shutil.copytree(data, tmp_path / 'records')
    shard = next((tmp_path / 'records').glob('*train_00001*'))
    shard.write_bytes(shard.read_bytes()[:-50])
    assert 'is truncated or not a TFRecord file: record 4' in scripts.rejection(
        *arguments(tmp_path / 'records', tmp_path / 'run'))


def test_a_loss_that_is_not_finite(data, tmp_path):
    command = arguments(data, tmp_path, '--learning_rate=1e30', '--optimizer=sgd', '--weight_decay=0',
                        '--save_interval_secs=9999')
    sentence = scripts.rejection(*command)
    step = int(re.search(r'step (\d+): the loss is not finite \(confidence', sentence).group(1))
    kept = tmp_path / f'not_finite_step_{step}'
    assert f'they are in {kept}' in sentence and 'train_00' in sentence
    assert len(list(kept.glob('*.png'))) == 4 and np.load(kept / 'batch.npz')['image'].shape == (4, 160, 160, 3)
    named = re.search(r'the pictures of the batch: ([^;]*);', sentence).group(1).split(', ')
    assert sorted({name.decode() for name in np.load(kept / 'batch.npz')['filename']}) == named
    assert not list(tmp_path.glob('model.ckpt-*'))


def test_a_full_disk(data, tmp_path):
    """A disk for files up to some size; no other file is as large as a checkpoint with all that Adam keeps."""
    run = arguments(data, tmp_path, '--optimizer=adam', '--moving_average_decay=0.9')
    scripts.succeed(*run, '--max_number_of_steps=1')
    largest = max(path.stat().st_size for path in tmp_path.glob('model.ckpt-1.data*'))
    done = scripts.run(*run, '--max_number_of_steps=2', preexec_fn=lambda: resource.setrlimit(
        resource.RLIMIT_FSIZE, (largest - 1, resource.RLIM_INFINITY)))
    assert done.returncode == 2, done.stdout + done.stderr
    assert 'error: the checkpoint of step 2 could not be written to' in done.stderr
    assert not list(tmp_path.glob('model.ckpt-2*')) and tf.train.latest_checkpoint(str(tmp_path)).endswith('-1')

"""A run that was interrupted resumes with the same command and ends with the same bits.

Slow: each test starts several processes.
"""
import random
import re
import resource
import shutil

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tiny_net
from shapes_run import checkpoint_values, write_shapes
from small_checkpoints import write_checkpoints

import scripts

pytestmark = pytest.mark.slow
STEPS = 200   # some seconds
# Processes that are not forked, such as those with a limit, do not know the net of the other tests.
NET_OF_NEW_PROCESSES = '--model_name=ssd_300_mobilenet_v1_050'


@pytest.fixture(scope='module')
def records(tmp_path_factory):
    """A folder of records with 10 training images, less than three batches of four."""
    return write_shapes(tmp_path_factory.mktemp('resume'), train=10, test=2) / 'records'


@pytest.fixture
def records_copy(records, tmp_path):
    """A copy of the records, for tests that damage it."""
    return shutil.copytree(records, tmp_path / 'records')


def train_command(records_dir, train_dir, *arguments):
    return ['train_ssd_network.py', f'--dataset_dir={records_dir}', f'--train_dir={train_dir}',
            f'--model_name={tiny_net.NAME}', '--batch_size=4', '--log_every_n_steps=1',
            f'--max_number_of_steps={STEPS}',
            '--precise_batch_norm_batches=2', *arguments]


def logged_step(line):
    """Return the step that a log line reports, or None."""
    match = re.match(r'step (\d+)/', line)
    return int(match.group(1)) if match else None


def kill_at_step(command, step, train_dir):
    """Start a run and kill it as soon as it has logged the step and written a checkpoint."""
    process = scripts.start(*command)
    for line in process.stdout:
        if (logged_step(line) or 0) >= step and list(train_dir.glob('model.ckpt-*.index')):
            process.kill()
            break
    process.communicate(timeout=60)
    assert process.returncode == -9


@pytest.mark.parametrize('options', [
    ['--optimizer=momentum'],
    ['--optimizer=adam', '--num_clones=2', '--clone_on_cpu', '--batch_size=2']])
def test_a_killed_run_resumes_and_ends_with_the_same_bits(records, tmp_path, options):
    options = [*options, '--moving_average_decay=0.9']
    scripts.succeed(*train_command(records, tmp_path / 'undisturbed', *options))
    command = train_command(records, tmp_path / 'killed', *options, '--save_interval_secs=1')
    step = random.SystemRandom().randint(1, STEPS // 2)
    kill_at_step(command, step, tmp_path / 'killed')
    assert checkpoint_values(tmp_path / 'killed')['global_step'] < STEPS
    assert 'resuming from' in scripts.succeed(*command)
    expected, resumed = (checkpoint_values(tmp_path / run) for run in ('undisturbed', 'killed'))
    assert expected.keys() == resumed.keys() and resumed['global_step'] == STEPS
    for name, value in expected.items():
        np.testing.assert_array_equal(
            resumed[name], value, err_msg=f'{name}, killed at step {step}')


def read_records(path):
    return list(tf.io.tf_record_iterator(str(path)))


def write_records(path, serialized):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in serialized:
            writer.write(record)


def test_a_run_resumes_from_the_last_intact_checkpoint_and_logs_changes(records_copy, tmp_path):
    run = tmp_path / 'run'
    for step in (2, 4):
        scripts.succeed(*train_command(records_copy, run, f'--max_number_of_steps={step}'))
    data_file = run / 'model.ckpt-4.data-00000-of-00001'
    data_file.write_bytes(data_file.read_bytes()[:-9])
    shard = next(records_copy.glob('*train_00000*'))
    write_records(shard, reversed(read_records(shard)))
    output = scripts.succeed(*train_command(
        records_copy, run, '--max_number_of_steps=5', '--seed=1', '--batch_size=2'))
    assert f'{run}/model.ckpt-4 is broken (' in output
    assert f'resuming from {run}/model.ckpt-2' in output
    assert [step for step in map(logged_step, output.splitlines()) if step] == [3, 4, 5]
    for change in ('seed: 0 -> 1', 'batch_size: 4 -> 2',
                   'dataset: 10 images of shapes train (fingerprint ',
                   'from here on the training examples differ'):
        assert f'changed since the last run: {change}' in output


def test_a_run_uses_only_checkpoints_of_its_own_folder(records, tmp_path):
    """It starts anew if the list names another folder, or if its checkpoints were moved away."""
    other, run = write_checkpoints(tmp_path / 'other', 2), tmp_path / 'run'
    run.mkdir()
    shutil.copy(other / 'checkpoint', run)
    contents = {path: path.read_bytes() for path in other.iterdir()}
    for _ in range(2):
        output = scripts.succeed(*train_command(records, run, '--max_number_of_steps=1'))
        assert 'starting from random weights' in output
        assert [step for step in map(logged_step, output.splitlines()) if step] == [1]
        for path in run.glob('model.ckpt-*'):
            path.unlink()
    assert {path: path.read_bytes() for path in other.iterdir()} == contents


def truncate_image(folder, filename):
    """Truncate an encoded image in the training records."""
    for shard in folder.glob('*train*.tfrecord'):
        examples = [tf.train.Example.FromString(record) for record in read_records(shard)]
        for example in examples:
            features = example.features.feature
            if features['image/filename'].bytes_list.value[0].decode() == filename:
                encoded = features['image/encoded'].bytes_list
                encoded.value[0] = encoded.value[0][:200]
        write_records(shard, (example.SerializeToString() for example in examples))


def test_a_record_with_a_broken_image_is_named_and_can_be_skipped(records_copy, tmp_path):
    truncate_image(records_copy, 'train_0003.jpg')
    command = train_command(records_copy, tmp_path / 'run', '--max_number_of_steps=3')
    done = scripts.run(*command)
    message = done.stderr.splitlines()[-1]   # libjpeg writes to stderr before
    assert done.returncode == 2
    assert message.startswith('error: the dataset has broken records: record 3 of '
                              "shapes_train_00000-of-00002.tfrecord ('train_0003.jpg'): ")
    output = scripts.succeed(*command, '--max_broken_records=1')
    record = "record 3 of shapes_train_00000-of-00002.tfrecord ('train_0003.jpg')"
    assert f'skipped: {record}' in output
    assert 'shapes train: 9 images in 2 files' in output and 'step 3/3' in output


def test_a_run_whose_records_change_saves_and_names_the_file(records_copy, tmp_path):
    process = scripts.start(*train_command(
        records_copy, tmp_path / 'run', '--max_number_of_steps=9999'))
    for line in process.stdout:
        if (logged_step(line) or 0) >= 2:
            break
    for shard in records_copy.glob('*train*'):
        shard.write_bytes(b'\xff' * 99)   # a length of 2**64 - 1 bytes
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2 and re.search(r'step \d+: saved', output), output
    message = 'error: records were changed or removed while they were read: '
    assert output.splitlines()[-1].startswith(f'{message}{records_copy}/shapes_train_00000')


def test_a_truncated_shard_is_rejected(records_copy, tmp_path):
    shard = next(records_copy.glob('*train_00001*'))
    shard.write_bytes(shard.read_bytes()[:-50])
    message = scripts.rejection(*train_command(records_copy, tmp_path / 'run'))
    assert 'is truncated or not a TFRecord file: record 4' in message


def test_a_non_finite_loss_stops_the_run_and_writes_the_batch(records, tmp_path):
    message = scripts.rejection(*train_command(
        records, tmp_path, '--learning_rate=1e30', '--optimizer=sgd', '--weight_decay=0',
        '--save_interval_secs=9999'))
    step = re.search(r'step (\d+): the loss is not finite \(confidence', message).group(1)
    folder = tmp_path / f'not_finite_step_{step}'
    assert f'they are in {folder}' in message and 'train_00' in message
    assert len(list(folder.glob('*.png'))) == 4
    batch = np.load(folder / 'batch.npz')
    assert batch['image'].shape == (4, 64, 64, 3)
    named_files = re.search(r'Images of the batch: ([^;]*);', message).group(1).split(', ')
    assert sorted({name.decode() for name in batch['filename']}) == named_files
    assert not list(tmp_path.glob('model.ckpt-*'))


def test_a_limit_of_the_file_size_is_reported(records, tmp_path):
    """The first large file is the graph, for which the supervisor hides the error."""
    command = train_command(records, tmp_path, NET_OF_NEW_PROCESSES)
    done = scripts.run(*command, preexec_fn=lambda: resource.setrlimit(
        resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY)))
    assert done.returncode == 2 and done.stderr == (
        f'error: a file in {tmp_path} would exceed the largest size. Raise the limit (ulimit -f), '
        f'or write to another file system\n')


def test_a_full_disk_leaves_the_previous_checkpoint(records, tmp_path):
    """Limit the file size: with Adam and averages, the checkpoint is the largest file of a run."""
    command = train_command(records, tmp_path, '--optimizer=adam', '--moving_average_decay=0.9',
                            NET_OF_NEW_PROCESSES)
    scripts.succeed(*command, '--max_number_of_steps=1')
    size = max(path.stat().st_size for path in tmp_path.glob('model.ckpt-1.data*'))
    limits = (size - 1, resource.RLIM_INFINITY)
    done = scripts.run(*command, '--max_number_of_steps=2', preexec_fn=lambda: resource.setrlimit(
        resource.RLIMIT_FSIZE, limits))
    assert done.returncode == 2, done.stdout + done.stderr
    assert 'error: the checkpoint of step 2 could not be written to' in done.stderr
    assert not list(tmp_path.glob('model.ckpt-2*'))
    assert tf.train.latest_checkpoint(str(tmp_path)).endswith('-1')

"""All scripts in sequence, called as users call them, with a small net and few images."""
import json
import re
import shutil
import signal

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tiny_net
from PIL import Image
from shapes_run import checkpoint_values, write_shapes
from voc_folder import box_xml, write_voc

import scripts
from datasets import shapes

pytestmark = pytest.mark.slow
CONVERT, TRAIN, EVALUATE = 'tf_convert_data.py', 'train_ssd_network.py', 'eval_ssd_network.py'
PREDICT, IMPORT = 'predict_ssd_network.py', 'checkpoints/import_weights.py'
NET = ['--model_name=ssd_160_mobilenet_v1_025', '--batch_size=4', '--log_every_n_steps=2',
       '--precise_batch_norm_batches=2']
TINY = f'--model_name={tiny_net.NAME}'


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """A folder with a small version of the embedded dataset: voc/ and records/."""
    return write_shapes(tmp_path_factory.mktemp('data'), train=12, test=5)


def train_arguments(data, run, *flags):
    """Return the arguments of a training in the folder `run`."""
    return [TRAIN, f'--dataset_dir={data}/records', f'--train_dir={run}', *NET, *flags]


def train(data, run, *flags):
    """Train in the folder `run`; return the output."""
    return scripts.succeed(*train_arguments(data, run, *flags))


@pytest.fixture(scope='module')
def trained(data, tmp_path_factory):
    """(folder, output) of a training of six steps."""
    run = tmp_path_factory.mktemp('run')
    return run, train(data, run, '--max_number_of_steps=6', '--moving_average_decay=0.9')


def test_training_logs_what_it_trains(trained):
    run, output = trained
    assert 'ssd_160_mobilenet_v1_025, voc anchors, 5 classes with the background' in output
    assert 'shapes train: 12 images in 2 files' in output
    assert 'starting from random weights' in output
    assert re.search(r'step 6/6: loss \d+\.\d+ \(confidence .* localization .* decay .*\), '
                     r'learning rate 0.001', output)
    config = json.loads((run / 'config.json').read_text())
    assert config['model']['class_names'] == list(shapes.CLASSES)
    assert [path.name for path in run.glob('model.ckpt-*.index')] == ['model.ckpt-6.index']
    first_line, *lines = (run / 'train.log').read_text().splitlines()
    assert first_line.startswith('--- ') and lines == output.splitlines()


def test_tensorboard_tags_of_a_training(trained):
    tags = {value.tag for path in trained[0].glob('events.*')
            for event in tf.train.summary_iterator(str(path)) for value in event.summary.value}
    # The speed comes with the second summary, if there is one.
    assert tags - {'training/images_per_second'} == {
        'losses/confidence', 'losses/localization', 'losses/weight_decay', 'losses/total',
        'training/learning_rate', 'matching/matched_anchors_per_image',
        'matching/well_matched_share', *(f'training_images/{k}' for k in range(1, 5))}


def test_evaluation(data, trained):
    run, _ = trained
    output = scripts.succeed(EVALUATE, f'--checkpoint_path={run}', f'--dataset_dir={data}/records',
                             '--batch_size=2')
    assert 'mAP over classes with ground truth: VOC07' in output
    assert 'COCO, by object size' in output
    result = json.loads((run / 'eval_test/result.json').read_text())
    assert result['step'] == 6 and result['pictures'] == 5
    assert set(result['classes']) == set(shapes.CLASSES) and 0 <= result['mAP']['VOC07'] <= 1
    assert list((run / 'eval_test').glob('events.*'))
    assert {'precision_recall.png', 'confusion.csv', 'worst_pictures.html'} <= {
        path.name for path in (run / 'eval_test').iterdir()}


def test_evaluation_without_labels(data, trained, tmp_path):
    (tmp_path / 'labels.txt').write_text('\n'.join(shapes.CLASSES))
    convert = [CONVERT, f'--dataset_dir={data}/voc', f'--output_dir={tmp_path}/records',
               '--split_names=test', '--without_labels']
    assert 'the classes are unknown with --without_labels' in scripts.rejection(*convert)
    scripts.succeed(*convert, f'--labels_file={tmp_path}/labels.txt')
    evaluate = [EVALUATE, f'--checkpoint_path={trained[0]}', f'--dataset_dir={tmp_path}/records',
                f'--eval_dir={tmp_path}/eval']
    assert 'has no ground truth' in scripts.succeed(*evaluate, '--write_detections=voc')
    assert len(list((tmp_path / 'eval/detections').glob('comp4_det_test_*.txt'))) == 4
    assert json.loads((tmp_path / 'eval/result.json').read_text())['mAP']['VOC07'] is None
    assert 'needs COCO category ids' in scripts.rejection(*evaluate, '--write_detections=coco')


def test_prediction(data, trained, tmp_path):
    names = sorted((data / 'voc/JPEGImages').glob('test_*.jpg'))
    Image.open(names[0]).convert('L').save(tmp_path / 'gray.png')
    scripts.succeed(
        PREDICT, f'--checkpoint_path={trained[0]}', f'--output_dir={tmp_path}/out',
        '--min_score=0.05', '--batch_size=2', names[0], f'{data}/voc/JPEGImages/test_*.jpg',
        tmp_path / 'gray.png')
    detections_of = json.loads((tmp_path / 'out/detections.json').read_text())
    assert len(detections_of) == 6 and len(list((tmp_path / 'out').glob('*.jpg'))) == 6
    for path, detections in detections_of.items():
        output_path = tmp_path / f'out/{path.rpartition("/")[2][:-4]}.jpg'
        with Image.open(path) as image, Image.open(output_path) as drawn:
            assert image.size == drawn.size
        for detection in detections:
            assert detection['score'] >= .05 and detection['class'] in shapes.CLASSES
            assert detection['pixels']['xmax'] == pytest.approx(
                detection['box']['xmax'] * image.width)
        scores = [detection['score'] for detection in detections]
        assert scores == sorted(scores, reverse=True)


def test_prediction_keeps_its_input_and_skips_other_files(data, trained, tmp_path):
    shutil.copy(data / 'voc/JPEGImages/test_0000.jpg', tmp_path / 'photo.jpg')
    (tmp_path / 'broken.jpg').write_bytes(b'')
    arguments = [PREDICT, f'--checkpoint_path={trained[0]}', tmp_path]
    assert 'would overwrite' in scripts.rejection(*arguments, f'--output_dir={tmp_path}')
    output = scripts.succeed(*arguments, f'--output_dir={tmp_path}/out')
    assert 'skipped: ' in output and 'broken.jpg: not an image' in output
    assert 'in 1 image ' in output
    results = json.loads((tmp_path / 'out/detections.json').read_text())
    assert list(results) == [str(tmp_path / 'photo.jpg')]


def test_input_errors_are_one_line(data, tmp_path):
    (tmp_path / 'records').mkdir()
    for path in (data / 'records').glob('*train*.tfrecord'):
        shutil.copy(path, tmp_path / 'records')
    arguments = train_arguments(tmp_path, tmp_path / 'run', '--dataset_name=shapes', TINY)
    assert 'ass --num_classes' in scripts.rejection(*arguments)
    message = scripts.rejection(*arguments, '--num_classes=2')
    assert 'but labels go from 1 to 1' in message
    assert not list((tmp_path / 'run').glob('model.ckpt*'))


def test_evaluation_uses_the_configuration_of_the_checkpoint(data, trained, tmp_path):
    run, _ = trained
    evaluate = [EVALUATE, f'--dataset_dir={data}/records']
    assert 'was trained with the anchors voc, not coco' in scripts.rejection(
        *evaluate, f'--checkpoint_path={run}', '--anchor_preset=coco')
    for path in run.glob('model.ckpt-6*'):
        shutil.copy(path, tmp_path)
    evaluate.append(f'--checkpoint_path={tmp_path}/model.ckpt-6')
    assert 'no config.json of this project beside it' in scripts.rejection(*evaluate)
    scripts.succeed(*evaluate, '--model_name=ssd_160_mobilenet_v1_025', '--anchor_preset=voc')


def test_resumed_run_equals_uninterrupted_run(data, trained, tmp_path):
    train(data, tmp_path, '--max_number_of_steps=3', '--moving_average_decay=0.9')
    output = train(data, tmp_path, '--max_number_of_steps=6', '--moving_average_decay=0.9',
                   '--pre_trained_model=/no')
    assert 'resuming from' in output
    assert '--checkpoint_path=/no is ignored because train_dir has a checkpoint' in output
    assert 'changed since the last run: max_number_of_steps: 3 -> 6' in output
    uninterrupted, resumed = checkpoint_values(trained[0]), checkpoint_values(tmp_path)
    assert uninterrupted.keys() == resumed.keys() and resumed['global_step'] == 6
    for name, value in uninterrupted.items():
        np.testing.assert_array_equal(resumed[name], value, err_msg=name)
    # A rejected run leaves the configuration as it was.
    config = (tmp_path / 'config.json').read_text()
    assert 'does not fit this run' in scripts.rejection(
        *train_arguments(data, tmp_path, '--optimizer=adam'))
    assert (tmp_path / 'config.json').read_text() == config


def test_a_net_detects_the_only_image_that_it_was_trained_on(tmp_path):
    """The moments of batch norm fit the weights in the middle of a training."""
    write_voc(tmp_path / 'voc', {'1': box_xml()})
    scripts.succeed(CONVERT, f'--dataset_dir={tmp_path}/voc', f'--output_dir={tmp_path}/records')
    train(tmp_path, tmp_path / 'run', '--preprocessing_name=plain', '--optimizer=adam',
          '--opt_epsilon=1e-8', '--batch_size=2', '--max_number_of_steps=60')
    scripts.succeed(EVALUATE, f'--checkpoint_path={tmp_path}/run',
                    f'--dataset_dir={tmp_path}/records', '--dataset_split_name=train')
    result = json.loads((tmp_path / 'run/eval_train/result.json').read_text())
    assert result['mAP']['VOC07'] == 1


def test_fine_tuning_from_a_checkpoint(data, trained, tmp_path):
    output = train(
        data, tmp_path, '--max_number_of_steps=2', f'--checkpoint_path={trained[0]}',
        '--freeze_batch_norm', '--checkpoint_moving_averages', '--optimizer=adam',
        '--trainable_scopes=ssd_160_mobilenet_v1_025', '--learning_rate_per_image=0.0005',
        '--backbone_learning_rate_multiplier=0.1')
    assert re.search(r'restored +185 ', output) and 'learning rate 0.002,' in output
    before, after = checkpoint_values(trained[0]), checkpoint_values(tmp_path)
    frozen = 'MobilenetV1/Conv2d_5_pointwise/weights'
    np.testing.assert_array_equal(before[f'{frozen}/ExponentialMovingAverage'], after[frozen])
    assert (before[frozen] != after[frozen]).any()
    moments = [name for name in after if name.endswith(('moving_mean', 'moving_variance'))]
    assert len(moments) == 2 * (27 + 6)
    for name in moments:   # those of the averaged weights, and frozen
        np.testing.assert_array_equal(before[f'{name}/ExponentialMovingAverage'], after[name])
    head = 'ssd_160_mobilenet_v1_025/block14_box/conv_cls/weights'
    assert (before[head] != after[head]).any()


def test_an_imported_detector_can_be_evaluated(data, trained, tmp_path):
    imported = tmp_path / 'imported'
    arguments = [IMPORT, '--model_name=ssd_160_mobilenet_v1_025', '--use_moving_averages',
                 f'--checkpoint_path={trained[0]}', f'--output_dir={imported}']
    output = scripts.succeed(*arguments, f'--labels_file={data}/records/labels.txt')
    assert 'a complete detector' in output and len(checkpoint_values(imported)) == 185
    assert 'holds a checkpoint already' in scripts.rejection(*arguments)
    results = []
    for run in (trained[0], imported):
        eval_dir = tmp_path / f'{run.name}_eval'
        scripts.succeed(EVALUATE, f'--checkpoint_path={run}', f'--dataset_dir={data}/records',
                        f'--eval_dir={eval_dir}')
        results.append(json.loads((eval_dir / 'result.json').read_text()))
    assert results[0]['mAP'] == results[1]['mAP']
    assert results[0]['classes'] == results[1]['classes']


def test_two_clones_with_own_anchors(data, tmp_path):
    (tmp_path / 'sizes.txt').write_text('24,96 62,92:2,1/2 92,122 122,152 152,160')
    output = train(
        data, tmp_path, '--max_number_of_steps=2', '--num_clones=2', '--clone_on_cpu',
        '--precision=bfloat16', '--clip_gradient_norm=5', '--sync_batch_norm',
        f'--anchor_preset={tmp_path}/sizes.txt')
    (tmp_path / 'sizes.txt').unlink()   # config.json has the sizes
    scripts.succeed(EVALUATE, f'--checkpoint_path={tmp_path}', f'--dataset_dir={data}/records')
    assert '24,96 62,92:2,1/2 92,122 122,152 152,160 anchors' in output
    assert 'hardware   no GPU, ' in output and 'step 2/2' in output
    assert 'clones on /device:CPU:0, /device:CPU:1; variables on /device:CPU:0' in output
    values = checkpoint_values(tmp_path)
    biases = values['ssd_160_mobilenet_v1_025/Conv2d_13_pointwise_box/conv_cls/biases']
    assert biases.shape == (4 * 5,)
    assert {value.dtype for value in values.values()} == {np.dtype('float32'), np.dtype('int64')}
    assert 'num_clones=7, but TensorFlow sees 0 GPUs' in scripts.rejection(
        TRAIN, f'--dataset_dir={data}/records', f'--train_dir={tmp_path}/x', '--num_clones=7')


@pytest.mark.parametrize('number, code', [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_saves_a_checkpoint(data, tmp_path, number, code):
    process = scripts.start(*train_arguments(data, tmp_path, TINY))
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith('step '):
            process.send_signal(number)
            break
    output = ''.join(lines) + process.communicate(timeout=60)[0]
    assert process.returncode == code, output
    assert 'stopping after this step' in output and re.search(r'step \d+: saved', output)
    step = int(checkpoint_values(tmp_path)['global_step'])
    assert tf.train.latest_checkpoint(str(tmp_path)).endswith(f'-{step}')


def test_second_run_in_a_folder_fails(data, tmp_path):
    process = scripts.start(*train_arguments(data, tmp_path, TINY))
    try:
        assert any(line.startswith('step ') for line in process.stdout)
        assert f'in use by another training (process {process.pid})' in scripts.rejection(
            *train_arguments(data, tmp_path, TINY))
    finally:
        process.terminate()
        process.communicate(timeout=60)

"""The whole road, with the scripts as a user calls them, on a small net and little data."""
import json
import re
import shutil
import signal

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image
from shapes_run import weights, write_shapes

import scripts
from datasets import shapes

pytestmark = pytest.mark.slow
NET = ['--model_name=ssd_160_mobilenet_v1_025', '--batch_size=4', '--log_every_n_steps=2']


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """A folder with the embedded data set, small: voc/ and records/."""
    return write_shapes(tmp_path_factory.mktemp('data'), train=12, test=5)


def train(data, run, *more):
    """Trains in a folder, the output as text."""
    return scripts.succeed('train_ssd_network.py', f'--dataset_dir={data}/records', f'--train_dir={run}', *NET, *more)


@pytest.fixture(scope='module')
def trained(data, tmp_path_factory):
    """A folder with six steps of training, and what was printed."""
    run = tmp_path_factory.mktemp('run')
    return run, train(data, run, '--max_number_of_steps=6', '--moving_average_decay=0.9')


def test_training_says_what_it_does(trained):
    run, text = trained
    assert 'ssd_160_mobilenet_v1_025, voc anchors, 5 classes with the background' in text
    assert 'shapes train: 12 pictures in 2 files' in text and 'starting from random weights' in text
    assert re.search(r'step 6/6: loss \d+\.\d+ \(confidence .* localization .* decay .*\), learning rate 0.001', text)
    assert json.loads((run / 'config.json').read_text())['model']['class_names'] == list(shapes.CLASSES)
    assert sorted(path.name for path in run.glob('model.ckpt-*.index')) == ['model.ckpt-6.index']
    start, *lines = (run / 'train.log').read_text().splitlines()
    assert start.startswith('--- ') and lines == text.splitlines()


def test_what_the_board_shows(trained):
    tags = {value.tag for path in trained[0].glob('events.*')
            for event in tf.train.summary_iterator(str(path)) for value in event.summary.value}
    assert tags - {'training/images_per_second'} == {   # which comes with the second record
        'losses/confidence', 'losses/localization', 'losses/weight_decay', 'losses/total', 'training/learning_rate',
        'matching/matched_anchors_per_image', 'matching/well_matched_share',
        *(f'training_images/{k}' for k in range(1, 5))}


def test_evaluation(data, trained):
    run, _ = trained
    text = scripts.succeed('eval_ssd_network.py', f'--checkpoint_path={run}', f'--dataset_dir={data}/records',
                           '--batch_size=2')
    result = json.loads((run / 'eval_test/result.json').read_text())
    assert 'mAP over classes with ground truth: VOC07' in text and result['step'] == 6 and result['pictures'] == 5
    assert set(result['classes']) == set(shapes.CLASSES) and 0 <= result['mAP']['VOC07'] <= 1
    assert list((run / 'eval_test').glob('events.*')) and 'COCO, by object size' in text
    assert {'precision_recall.png', 'confusion.csv', 'worst_pictures.html'} <= {
        path.name for path in (run / 'eval_test').iterdir()}


def test_evaluation_without_labels(data, trained, tmp_path):
    (tmp_path / 'labels.txt').write_text('\n'.join(shapes.CLASSES))
    convert = [f'--dataset_dir={data}/voc', f'--output_dir={tmp_path}/records', '--split_names=test',
               '--without_labels']
    assert 'the classes are unknown with --without_labels' in scripts.rejection('tf_convert_data.py', *convert)
    scripts.succeed('tf_convert_data.py', *convert, f'--labels_file={tmp_path}/labels.txt')
    evaluate = ['eval_ssd_network.py', f'--checkpoint_path={trained[0]}', f'--dataset_dir={tmp_path}/records',
                f'--eval_dir={tmp_path}/eval']
    assert 'has no ground truth' in scripts.succeed(*evaluate, '--write_detections=voc')
    assert len(list((tmp_path / 'eval/detections').glob('comp4_det_test_*.txt'))) == 4
    assert json.loads((tmp_path / 'eval/result.json').read_text())['mAP']['VOC07'] is None
    assert 'needs COCO category ids' in scripts.rejection(*evaluate, '--write_detections=coco')


def test_prediction(data, trained, tmp_path):
    names = sorted((data / 'voc/JPEGImages').glob('test_*.jpg'))
    Image.open(names[0]).convert('L').save(tmp_path / 'grey.png')
    scripts.succeed('predict_ssd_network.py', f'--checkpoint_path={trained[0]}', f'--output_dir={tmp_path}/out',
                    '--min_score=0.05', '--batch_size=2', names[0], f'{data}/voc/JPEGImages/test_*.jpg',
                    tmp_path / 'grey.png')
    found = json.loads((tmp_path / 'out/detections.json').read_text())
    assert len(found) == 6 and len(list((tmp_path / 'out').glob('*.jpg'))) == 6
    for path, detections in found.items():
        with Image.open(path) as given, Image.open(tmp_path / f'out/{path.rpartition("/")[2][:-4]}.jpg') as drawn:
            assert given.size == drawn.size
            for detection in detections:
                assert detection['score'] >= .05 and detection['class'] in shapes.CLASSES
                assert detection['pixels']['xmax'] == pytest.approx(detection['box']['xmax'] * given.width)
        scores = [detection['score'] for detection in detections]
        assert scores == sorted(scores, reverse=True)


def test_prediction_spares_its_input_and_passes_over_what_is_no_picture(data, trained, tmp_path):
    shutil.copy(data / 'voc/JPEGImages/test_0000.jpg', tmp_path / 'photo.jpg')
    (tmp_path / 'broken.jpg').write_bytes(b'')
    arguments = [f'--checkpoint_path={trained[0]}', tmp_path]
    assert 'would overwrite' in scripts.rejection('predict_ssd_network.py', f'--output_dir={tmp_path}', *arguments)
    text = scripts.succeed('predict_ssd_network.py', f'--output_dir={tmp_path}/out', *arguments)
    assert 'skipped: ' in text and 'broken.jpg: not an image' in text and 'in 1 images' in text
    assert list(json.loads((tmp_path / 'out/detections.json').read_text())) == [str(tmp_path / 'photo.jpg')]


def test_errors_of_the_graph_are_one_sentence(data, tmp_path):
    (tmp_path / 'records').mkdir()
    for path in (data / 'records').glob('*train*.tfrecord'):
        shutil.copy(path, tmp_path / 'records')
    arguments = [f'--dataset_dir={tmp_path}/records', f'--train_dir={tmp_path}/run', '--dataset_name=shapes', *NET]
    assert 'pass --num_classes' in scripts.rejection('train_ssd_network.py', *arguments)
    sentence = scripts.rejection('train_ssd_network.py', *arguments, '--num_classes=2')
    assert 'has a label that is not below 2' in sentence and not list((tmp_path / 'run').glob('model.ckpt*'))


def test_a_checkpoint_is_evaluated_as_what_it_is(data, trained, tmp_path):
    run, _ = trained
    arguments = [f'--checkpoint_path={run}', f'--dataset_dir={data}/records']
    assert 'was trained with anchor_preset voc, not coco' in scripts.rejection(
        'eval_ssd_network.py', *arguments, '--anchor_preset=coco')
    for path in run.glob('model.ckpt-6*'):
        shutil.copy(path, tmp_path)
    arguments[0] = f'--checkpoint_path={tmp_path}/model.ckpt-6'
    assert 'no config.json of this project beside it' in scripts.rejection('eval_ssd_network.py', *arguments)
    scripts.succeed('eval_ssd_network.py', *arguments, '--model_name=ssd_160_mobilenet_v1_025', '--anchor_preset=voc')


def test_going_on_equals_going_through(data, trained, tmp_path):
    run, _ = trained
    text = train(data, tmp_path, '--max_number_of_steps=3', '--moving_average_decay=0.9')
    text = train(data, tmp_path, '--max_number_of_steps=6', '--moving_average_decay=0.9', '--pre_trained_model=/no')
    assert 'going on from' in text and 'a checkpoint in train_dir wins' in text
    assert 'changed since the last run: max_number_of_steps: 3 -> 6' in text
    through, gone_on = weights(run), weights(tmp_path)
    assert through.keys() == gone_on.keys() and gone_on['global_step'] == 6
    for name, value in through.items():
        np.testing.assert_array_equal(gone_on[name], value, err_msg=name)
    kept = (tmp_path / 'config.json').read_text()
    assert 'does not fit this run' in scripts.rejection(
        'train_ssd_network.py', f'--dataset_dir={data}/records', f'--train_dir={tmp_path}', *NET, '--optimizer=adam')
    assert (tmp_path / 'config.json').read_text() == kept   # of what was refused nothing stays


def test_fine_tuning_from_a_checkpoint(data, trained, tmp_path):
    text = train(data, tmp_path, '--max_number_of_steps=2', f'--checkpoint_path={trained[0]}', '--freeze_batch_norm',
                 '--checkpoint_moving_averages', '--trainable_scopes=ssd_160_mobilenet_v1_025', '--optimizer=adam',
                 '--learning_rate_per_image=0.0005', '--backbone_learning_rate_multiplier=0.1')
    assert re.search(r'restored +185 ', text) and 'learning rate 0.002,' in text
    before, after = weights(trained[0]), weights(tmp_path)
    frozen = 'MobilenetV1/Conv2d_5_pointwise/weights'
    np.testing.assert_array_equal(before[f'{frozen}/ExponentialMovingAverage'], after[frozen])
    assert (before[frozen] != after[frozen]).any()
    for moment in (name for name in after if name.endswith(('moving_mean', 'moving_variance'))):
        np.testing.assert_array_equal(before[moment], after[moment])
    head = 'ssd_160_mobilenet_v1_025/block14_box/conv_cls/weights'
    assert (before[head] != after[head]).any()


def test_an_imported_detector_can_be_evaluated(data, trained, tmp_path):
    arguments = ['--model_name=ssd_160_mobilenet_v1_025', f'--checkpoint_path={trained[0]}', '--use_moving_averages',
                 f'--output_dir={tmp_path}/imported']
    text = scripts.succeed('checkpoints/import_weights.py', *arguments, f'--labels_file={data}/records/labels.txt')
    assert 'a complete detector' in text and len(weights(tmp_path / 'imported')) == 185
    assert 'holds a checkpoint already' in scripts.rejection('checkpoints/import_weights.py', *arguments)
    for run in (trained[0], tmp_path / 'imported'):
        scripts.succeed('eval_ssd_network.py', f'--checkpoint_path={run}', f'--dataset_dir={data}/records',
                        f'--eval_dir={tmp_path}/{run.name}_eval')
    results = [json.loads((tmp_path / f'{run}_eval/result.json').read_text()) for run in (trained[0].name, 'imported')]
    assert results[0]['mAP'] == results[1]['mAP'] and results[0]['classes'] == results[1]['classes']


def test_two_clones_with_own_anchors(data, tmp_path):
    (tmp_path / 'sizes.txt').write_text('24,96 62,92:2,1/2 92,122 122,152 152,160')
    text = train(data, tmp_path, '--max_number_of_steps=2', '--num_clones=2', '--clone_on_cpu', '--precision=bfloat16',
                 '--clip_gradient_norm=5', '--sync_batch_norm', f'--anchor_preset={tmp_path}/sizes.txt')
    (tmp_path / 'sizes.txt').unlink()   # the checkpoint knows
    scripts.succeed('eval_ssd_network.py', f'--checkpoint_path={tmp_path}', f'--dataset_dir={data}/records')
    assert '24,96 62,92:2,1/2 92,122 122,152 152,160 anchors' in text
    assert weights(tmp_path)['ssd_160_mobilenet_v1_025/Conv2d_13_pointwise_box/conv_cls/biases'].shape == (4 * 5,)
    assert 'found      no GPU, ' in text
    assert 'clones on /device:CPU:0, /device:CPU:1; variables on /device:CPU:0' in text
    assert 'step 2/2' in text and {value.dtype for value in weights(tmp_path).values()} == {
        np.dtype('float32'), np.dtype('int64')}
    assert 'num_clones=7, but TensorFlow sees 0 GPUs' in scripts.rejection(
        'train_ssd_network.py', f'--dataset_dir={data}/records', f'--train_dir={tmp_path}/x', '--num_clones=7')


@pytest.mark.parametrize('number, code', [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_says_so(data, tmp_path, number, code):
    running = scripts.start('train_ssd_network.py', f'--dataset_dir={data}/records', f'--train_dir={tmp_path}', *NET)
    lines = []
    for line in running.stdout:
        lines.append(line)
        if line.startswith('step '):
            running.send_signal(number)
            break
    text = ''.join(lines) + running.communicate(timeout=60)[0]
    assert running.returncode == code, text
    assert 'stopping after this step' in text and re.search(r'step \d+: saved', text)
    saved = int(weights(tmp_path)['global_step'])
    assert tf.train.latest_checkpoint(str(tmp_path)).endswith(f'-{saved}')


def test_two_runs_in_one_folder(data, tmp_path):
    running = scripts.start('train_ssd_network.py', f'--dataset_dir={data}/records', f'--train_dir={tmp_path}', *NET)
    try:
        assert any(line.startswith('step ') for line in running.stdout)
        assert f'in use by another training (process {running.pid})' in scripts.rejection(
            'train_ssd_network.py', f'--dataset_dir={data}/records', f'--train_dir={tmp_path}', *NET)
    finally:
        running.terminate()
        running.communicate(timeout=60)

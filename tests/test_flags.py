"""Invalid flags end a script with a one-line error, most of them before TensorFlow is imported."""
import numpy as np
import pytest
from voc_folder import box_xml, write_voc

import scripts

TRAIN = 'train_ssd_network.py'


@pytest.mark.parametrize('flag, message', [
    ('--batch_size=0', 'batch_size'),
    ('--batch_size=many', 'batch_size'),
    ('--learning_rate=-1', 'learning_rate'),
    ('--gpu_memory_fraction=1.5', 'gpu_memory_fraction'),
    ('--label_smoothing=1', 'label_smoothing'),
    ('--match_threshold=2', 'match_threshold'),
    ('--negative_ratio=-1', 'negative_ratio'),
    ('--max_number_of_steps=0', 'max_number_of_steps'),
    ('--num_clones=-1', 'num_clones'),
    ('--num_readers=0', 'num_readers'),
    ('--num_readers=999999', 'num_readers'),
    ('--log_every_n_steps=0', 'log_every'),
    ('--learning_rate=nan', '--learning_rate=nan is not a finite number'),
    ('--loss_alpha=inf', '--loss_alpha=inf is not a finite number'),
    ('--optimizer=adamw',
     'should be one of <adadelta|adagrad|adam|ftrl|momentum|rmsprop|sgd>'),
    ('--learning_rate_decay_type=cosine',
     'should be one of <fixed|exponential|polynomial|piecewise>'),
    ('--learning_rate_boundaries=20,10', '20,10 is not a list of increasing step numbers'),
    ('--recipe=best', 'should be one of <paper|strong>'),
    ('--recipe=strong', '=polynomial of --recipe=strong reaches its end ... Pass '
                        '--max_number_of_steps'),
    ('--learning_rate_decay_type=polynomial', 'Pass --max_number_of_steps, or'),
    ('--learning_rate_boundaries=soon', 'is not a list of increasing step numbers'),
    ('--model_name=ssd_300_vg', "'ssd_300_vg' ... Did you mean ssd_300_vgg"),
    ('--preprocessing_name=inception', 'should be one of <ssd|'),
    ('--anchor_preset=kitti', "unknown anchor preset 'kitti', and no such file exists"),
    ('--anchor_preset=30,60', 'has sizes for 1 layers, but ssd_300_vgg has 6: block4, block7'),
    ('--train_dir=runs/a[1]', "such as 'runs/a[1]'"),
    ('--freeze_batch_norm', 'ssd_300_vgg has no batch norm. Leave out --freeze_batch_norm'),
    ('--num_classes=1', 'Count the background too'),
    ('--learning_rat=1', "Unknown command line flag 'learning_rat'. Did you mean: learning_rate"),
    ('--checkpoint_path=/no/such/model.ckpt', 'there is no checkpoint /no/such/model.ckpt'),
    ('--dataset_dir=/no/such/folder', 'dataset_dir /no/such/folder does not exist'),
    ('--train_dir=' + __file__, 'is a file'),
    ('stray', "'stray' is not a flag. Write flags as --name=value")])
def test_training_rejects_invalid_flags(tmp_path, flag, message):
    """A message is given as parts, separated by ' ... '."""
    error = scripts.rejection(
        TRAIN, f'--train_dir={tmp_path}/run', f'--dataset_dir={tmp_path}', flag)
    assert all(part in error for part in message.split(' ... ')), error
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('script, flag', [
    (TRAIN, 'train_dir'),
    ('eval_ssd_network.py', 'checkpoint_path'),
    ('predict_ssd_network.py', 'checkpoint_path'),
    ('tf_convert_data.py', 'dataset_dir')])
def test_required_flags(script, flag):
    assert scripts.rejection(script) == f'error: --{flag} is required. See --help'


@pytest.mark.parametrize('flags, message', [
    ('--optimizer=ftrl', 'FTRL overwrites the restored weights at the first step'),
    ('--sync_batch_norm', 'ssd_300_vgg has no batch norm. Leave out --sync_batch_norm'),
    ('--sync_batch_norm --freeze_batch_norm --model_name=ssd_300_mobilenet_v1',
     'frozen batch norm computes no moments to synchronize')])
def test_training_rejects_contradicting_flags(tmp_path, flags, message):
    np.savez(tmp_path / 'weights.npz', kernel=np.zeros((1, 1, 1, 1), np.float32))
    assert message in scripts.rejection(
        TRAIN, f'--train_dir={tmp_path}/run', f'--dataset_dir={tmp_path}',
        f'--checkpoint_path={tmp_path}/weights.npz', *flags.split())


def test_frozen_batch_norm_needs_a_checkpoint(tmp_path):
    error = scripts.rejection(
        TRAIN, f'--train_dir={tmp_path}/run', f'--dataset_dir={tmp_path}', '--freeze_batch_norm',
        '--model_name=ssd_300_mobilenet_v1')
    assert 'needs learned moments. Pass --checkpoint_path' in error


def test_flag_aliases_of_public_scripts(tmp_path):
    error = scripts.rejection(TRAIN, f'--train_model_dir={tmp_path}/run',
                              f'--dataset_dir={tmp_path}', '--pre_trained_model=/no/model')
    assert 'no checkpoint /no/model' in error


def test_training_help_shows_the_flag_groups():
    lines = scripts.succeed(TRAIN, '--help').splitlines()
    titles = [line for line in lines if line.endswith(':') and line[0] != ' ']
    assert titles == ['Run and deployment:', 'Several machines:', 'Net:', 'Data:', 'Loss:',
                      'Learning rate:', 'Optimizer:', 'Fine-tuning:']
    optimizer = lines.index('Optimizer:')
    assert lines[optimizer - 1:optimizer + 4] == [
        '', 'Optimizer:',
        '  --optimizer=momentum  Name of the optimizer. (one of adadelta, adagrad, adam,',
        '      ftrl, momentum, rmsprop, sgd)',
        '  --momentum=0.9  Momentum coefficient. (0 to 1)']


def test_print_anchors_exits_without_training():
    output = scripts.succeed(TRAIN, '--print_anchors', '--model_name=ssd_512_vgg')
    assert '64x64' in output and output.strip().endswith('24564')


def test_print_model_exits_without_training():
    output = scripts.succeed(TRAIN, '--print_model', '--model_name=ssd_160_mobilenet_v1_025',
                             '--num_classes=4')
    assert 'with 4 classes (background included)' in output and 'block14/conv1x1' in output


def test_conversion_rejects_invalid_flags(tmp_path):
    voc = write_voc(tmp_path / 'voc', {'one': box_xml('cat')})
    (tmp_path / 'classes.txt').write_text('dog')
    arguments = ['tf_convert_data.py', f'--dataset_dir={voc}', f'--output_dir={tmp_path}/out']
    assert 'does not exist' in scripts.rejection(
        'tf_convert_data.py', '--dataset_dir=/no', '--output_dir=/tmp/x')
    assert "no split 'val'" in scripts.rejection(*arguments, '--split_names=val')
    assert 'contradict each other' in scripts.rejection(
        *arguments, '--skip_converted', '--overwrite')
    scripts.succeed(*arguments)
    assert 'already contains train. Pass --overwrite' in scripts.rejection(*arguments)
    assert 'converted with the classes cat, but now the classes are dog' in scripts.rejection(
        *arguments, '--overwrite', f'--labels_file={tmp_path}/classes.txt')
    scripts.succeed(*arguments, '--overwrite')
    assert scripts.succeed(*arguments, '--skip_converted') == ''


def test_export_rejects_calibration_without_integers(tmp_path):
    assert 'only tflite_int8 uses calibration images' in scripts.rejection(
        'export_ssd_network.py', f'--checkpoint_path={tmp_path}', '--formats=tflite',
        f'--calibration_images={tmp_path}')


def test_fit_anchors_rejects_an_unknown_kind_of_plot(tmp_path):
    assert 'Pass a file with .png, .svg, .pdf' in scripts.rejection(
        'fit_anchors.py', f'--dataset_dir={tmp_path}', '--plot=plot.gif')

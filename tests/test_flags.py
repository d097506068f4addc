"""What is wrong is refused with one sentence, most of it within a moment, before TensorFlow is loaded."""
import pytest
from voc_folder import box_xml, write_voc

import scripts

TRAIN = 'train_ssd_network.py'


@pytest.mark.parametrize('flag, message', [
    ('--batch_size=0', 'batch_size'), ('--batch_size=many', 'batch_size'), ('--learning_rate=-1', 'learning_rate'),
    ('--gpu_memory_fraction=1.5', 'gpu_memory_fraction'), ('--label_smoothing=1', 'label_smoothing'),
    ('--match_threshold=2', 'match_threshold'), ('--negative_ratio=-1', 'negative_ratio'),
    ('--learning_rate=nan', '--learning_rate=nan is no finite number'), ('--loss_alpha=inf', 'no finite number'),
    ('--optimizer=adamw', 'should be one of <adadelta|adagrad|adam|ftrl|momentum|rmsprop|sgd>'),
    ('--learning_rate_decay_type=cosine', 'should be one of <fixed|exponential|polynomial|piecewise>'),
    ('--learning_rate_boundaries=20,10', '20,10 are not rising step numbers'),
    ('--learning_rate_boundaries=soon', 'not rising step numbers'),
    ('--model_name=ssd_300_vg', "no net is called 'ssd_300_vg' ... Did you mean ssd_300_vgg"),
    ('--preprocessing_name=inception', 'should be one of <ssd|'),
    ('--anchor_preset=kitti', "no anchor preset is called 'kitti' and no such file is there; give voc, coco, a file"),
    ('--train_dir=runs/a[1]', "such as 'runs/a[1]'"),
    ('--anchor_preset=30,60', 'has sizes for 1 layers, but ssd_300_vgg has 6: block4, block7'),
    ('--freeze_batch_norm', 'wants moments that were learned: give --checkpoint_path'),
    ('--num_classes=1', 'count the background too'), ('--max_number_of_steps=0', 'max_number_of_steps'),
    ('--num_clones=-1', 'num_clones'), ('--num_readers=0', 'num_readers'),
    ('--num_readers=999999', 'num_readers'), ('--log_every_n_steps=0', 'log_every'),
    ('--learning_rat=1', "Unknown command line flag 'learning_rat'. Did you mean: learning_rate"),
    ('--checkpoint_path=/no/such/model.ckpt', 'there is no checkpoint /no/such/model.ckpt'),
    ('--dataset_dir=/no/such/folder', 'dataset_dir /no/such/folder does not exist'),
    ('--train_dir=' + __file__, 'is a file'), ('stray', "'stray' is no flag")])
def test_wrong_flags_of_training(tmp_path, flag, message):
    sentence = scripts.refusal(TRAIN, f'--train_dir={tmp_path}/run', f'--dataset_dir={tmp_path}', flag)
    assert all(part in sentence for part in message.split(' ... ')), sentence
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('script, flag', [
    (TRAIN, 'train_dir'), ('eval_ssd_network.py', 'checkpoint_path'), ('predict_ssd_network.py', 'checkpoint_path'),
    ('tf_convert_data.py', 'dataset_dir')])
def test_what_must_be_given(script, flag):
    assert f'--{flag} is required' in scripts.refusal(script)


@pytest.mark.parametrize('flag, message', [
    ('--optimizer=ftrl', 'ftrl sets weights from its own sums'),
    ('--freeze_batch_norm', 'ssd_300_vgg has no batch norm'),
    ('--sync_batch_norm', 'ssd_300_vgg has no batch norm; leave out --sync_batch_norm'),
    ('--sync_batch_norm --freeze_batch_norm --model_name=ssd_300_mobilenet_v1', 'leaves no moments of a batch to')])
def test_what_does_not_go_with_pretrained_weights(tmp_path, flag, message):
    (tmp_path / 'weights.npz').write_bytes(b'')
    assert message in scripts.refusal(TRAIN, f'--train_dir={tmp_path}/run', f'--dataset_dir={tmp_path}',
                                      f'--checkpoint_path={tmp_path}/weights.npz', *flag.split())


def test_aliases_of_public_scripts(tmp_path):
    sentence = scripts.refusal(TRAIN, f'--train_model_dir={tmp_path}/run', f'--dataset_dir={tmp_path}',
                               '--pre_trained_model=/no/model')
    assert 'no checkpoint /no/model' in sentence


def test_help_and_anchors_come_at_once():
    done = scripts.run(TRAIN, '--help')
    assert done.returncode in (0, 1) and '--model_name' in done.stdout and 'tensorflow' not in done.stderr
    text = scripts.succeed(TRAIN, '--print_anchors', '--model_name=ssd_512_vgg')
    assert '64x64' in text and text.strip().endswith('24564')


def test_conversion_refuses(tmp_path):
    voc = write_voc(tmp_path / 'voc', {'one': box_xml('cat')})
    arguments = [f'--dataset_dir={voc}', f'--output_dir={tmp_path}/out']
    assert 'does not exist' in scripts.refusal('tf_convert_data.py', '--dataset_dir=/no', '--output_dir=/tmp/x')
    assert "no split 'val'" in scripts.refusal('tf_convert_data.py', *arguments, '--split_names=val')
    scripts.succeed('tf_convert_data.py', *arguments)
    assert 'already holds train; pass --overwrite' in scripts.refusal('tf_convert_data.py', *arguments)
    assert 'converted with the classes cat; now they are dog' in scripts.refusal(
        'tf_convert_data.py', *arguments, '--overwrite', f'--labels_file={write_labels(tmp_path, "dog")}')
    scripts.succeed('tf_convert_data.py', *arguments, '--overwrite')
    assert scripts.succeed('tf_convert_data.py', *arguments, '--skip_converted') == ''


def write_labels(folder, *names):
    path = folder / 'classes.txt'
    path.write_text('\n'.join(names))
    return path

import json
import os

import numpy as np
import pytest
from absl import flags

from common.errors import UserError
from training import net_choice

SIZES = '25,60 62 92 122 152,160'


@pytest.fixture
def folder(tmp_path):
    """A folder with a checkpoint of a net that differs from the table, with anchors of its own."""
    model = {'model_name': 'ssd_160_mobilenet_v1_025', 'net': {'extra_activation': 'relu6'},
             'anchor_preset': SIZES, 'class_names': ['cat'], 'num_classes': 2}
    (tmp_path / 'config.json').write_text(json.dumps({'model': model, 'flags': {}}))
    (tmp_path / 'model.ckpt-7.index').touch()
    return str(tmp_path)


def choose(*arguments):
    """Return name, anchors and activation of the net that flags choose."""
    values = flags.FlagValues()
    for name, default in (('train_dir', None), ('checkpoint_path', None), ('anchor_preset', None),
                          ('model_name', 'ssd_300_vgg')):
        flags.DEFINE_string(name, default, '', flag_values=values)
    values(['train', *arguments])
    params = net_choice.choose(values)
    return params.name, params.anchor_preset, params.extra_activation


def test_default_net_without_weights(tmp_path):
    assert choose() == ('ssd_300_vgg', 'voc', 'relu')
    assert choose(f'--train_dir={tmp_path}', f'--checkpoint_path={tmp_path}/missing') == (
        'ssd_300_vgg', 'voc', 'relu')


@pytest.mark.parametrize('flag', ['train_dir', 'checkpoint_path'])
def test_net_and_anchors_of_the_weights(flag, folder):
    expected = ('ssd_160_mobilenet_v1_025', SIZES, 'relu6')
    assert choose(f'--{flag}={folder}') == expected
    assert choose(f'--{flag}={folder}', '--model_name=ssd_160_mobilenet_v1_025') == expected
    assert choose(f'--{flag}={folder}', '--anchor_preset=coco') == (*expected[:1], 'coco', 'relu6')


@pytest.mark.parametrize('flag', ['train_dir', 'checkpoint_path'])
def test_another_net_takes_nothing_over(flag, folder):
    assert choose(f'--{flag}={folder}', '--model_name=ssd_512_vgg') == (
        'ssd_512_vgg', 'voc', 'relu')


def test_another_net_with_the_backbone_of_the_weights_takes_over_what_these_mean(
        tmp_path, monkeypatch):
    monkeypatch.delenv('TF_ENABLE_ONEDNN_OPTS', raising=False)
    path = str(tmp_path / 'resnet50.npz')
    kernel = np.zeros((1, 1, 1, 1), np.float32)
    np.savez(path, **{'conv1.weight': kernel, 'layer3.5.conv3.weight': kernel})
    values = flags.FlagValues()
    for name, default in (('train_dir', None), ('checkpoint_path', path), ('anchor_preset', None),
                          ('model_name', 'ssd_300_vgg')):
        flags.DEFINE_string(name, default, '', flag_values=values)
    values(['train', '--model_name=ssd_300_resnet_50'])
    params = net_choice.choose(values)
    assert (params.padding, params.stride_unit) == ('symmetric', 'first')
    assert os.environ['TF_ENABLE_ONEDNN_OPTS'] == '1'   # as for weights that need no TensorFlow
    values(['train', '--model_name=ssd_300_mobilenet_v2'])   # restoring rejects the weights
    assert net_choice.choose(values).padding == 'SAME'


def test_the_run_folder_goes_before_the_pretrained_weights(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp('other')
    model = {'model_name': 'ssd_512_vgg', 'anchor_preset': 'coco', 'class_names': ['cat']}
    (other / 'config.json').write_text(json.dumps({'model': model, 'flags': {}}))
    (other / 'model.ckpt-1.index').touch()
    assert choose(f'--train_dir={folder}', f'--checkpoint_path={other}')[:2] == (
        'ssd_160_mobilenet_v1_025', SIZES)
    assert choose(f'--checkpoint_path={other}')[:2] == ('ssd_512_vgg', 'coco')


def test_wrong_anchors_of_a_resumed_run_name_the_remedy(folder):
    with pytest.raises(UserError, match='has sizes for 1 layers.*Leave out --anchor_preset to '
                                        'resume'):
        choose(f'--train_dir={folder}', '--anchor_preset=30,60')
    with pytest.raises(UserError, match="unknown net 'ssd'"):
        choose('--model_name=ssd')

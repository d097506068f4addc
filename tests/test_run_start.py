import json

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from absl import flags

from common.errors import UserError
from datasets.dataset_factory import Dataset
from deployment import model_deploy, process_group
from nets import nets_factory
from run_folder import run_lock
from training import recipes, run_start
from training.options import TrainOptions

pytestmark = pytest.mark.usefixtures('loggers_as_before')
NET = nets_factory.get_params('ssd_160_mobilenet_v1_025')
DATASET = Dataset('pets', 'train', ['a', 'b'], [np.arange(4), np.arange(3)], ['cat', 'dog'], 'ab12')


def begin(folder, dataset=DATASET, **options):
    """Begin a run of two clones in this process; return (lock, write_config)."""
    options = TrainOptions(train_dir=str(folder), batch_size=8, gradient_accumulation_steps=3,
                           **options)
    deployment = model_deploy.make_deployment_config(2, True, 0)
    flag_values = flags.FlagValues()
    flags.DEFINE_integer('seed', 0, '', flag_values=flag_values)
    flags.DEFINE_float('momentum', .9, '', flag_values=flag_values)
    flag_values(['train', f'--seed={options.seed}'])
    return run_start.lock_and_log(
        options, [flag_values[name] for name in ('seed', 'momentum')], NET, dataset,
        process_group.ProcessGroup(deployment, tf.ConfigProto()))


def test_begin_locks_the_folder_and_writes_the_configuration_on_request(tmp_path):
    lock, write_config = begin(tmp_path)
    with lock:
        assert run_lock.is_locked(str(tmp_path))
        assert not (tmp_path / 'config.json').exists()
        write_config()
    assert not run_lock.is_locked(str(tmp_path))
    assert json.loads((tmp_path / 'config.json').read_text()) == {
        'model': {'model_name': 'ssd_160_mobilenet_v1_025', 'anchor_preset': 'voc',
                  'num_classes': 3, 'class_names': ['cat', 'dog']},
        'flags': {'seed': 0, 'momentum': .9},
        'data': {'name': 'pets', 'split': 'train', 'pictures': 7, 'fingerprint': 'ab12'},
        'augmentation': 'zoom_out, random_crop, horizontal_flip, photometric_distortion',
        'global_batch': 48}


def test_begin_logs_the_run_and_what_changed(tmp_path, caplog):
    lock, write_config = begin(tmp_path)
    with lock:
        write_config()
    (tmp_path / 'model.ckpt-1.index').write_bytes(b'')
    with caplog.at_level('INFO', 'ssd'):
        begin(tmp_path, seed=1)[0].close()
    for line in ('net        ssd_160_mobilenet_v1_025, voc anchors, 3 classes with the background',
                 'data       pets train: 7 images in 2 files',
                 'batch      8 images x 3 accumulation steps x 2 clones',
                 'flags      --seed=1', 'changed since the last run: seed: 0 -> 1'):
        assert line in caplog.messages


def test_begin_logs_the_flags_of_the_recipe(tmp_path, caplog, monkeypatch):
    monkeypatch.setitem(recipes.RECIPES, 'strong', {'momentum': .9, 'seed': 5})
    with caplog.at_level('INFO', 'ssd'):
        begin(tmp_path / 'strong', recipe='strong')[0].close()
    assert 'flags      --seed=0' in caplog.messages
    assert 'recipe     --momentum=0.9' in caplog.messages   # the seed was passed
    caplog.clear()
    with caplog.at_level('INFO', 'ssd'):
        begin(tmp_path / 'paper')[0].close()
    assert not any(message.startswith('recipe') for message in caplog.messages)


def test_begin_fails_if_the_folder_holds_another_net(tmp_path):
    lock, write_config = begin(tmp_path)
    with lock:
        write_config()
    (tmp_path / 'model.ckpt-1.index').write_bytes(b'')
    with pytest.raises(UserError, match='was trained with num_classes 3, not 4'):
        begin(tmp_path, DATASET._replace(class_names=['cat', 'dog', 'cow']))
    assert not run_lock.is_locked(str(tmp_path))


def test_deploy_in_one_process():
    group = run_start.deploy(TrainOptions(num_clones=2, clone_on_cpu=True))
    assert group.num_processes == 1 and group.is_chief and group.master == ''
    assert group.deployment.num_replicas == 2
    assert group.session_config.device_count['CPU'] == 2


def test_missing_dataset_fails(tmp_path):
    with pytest.raises(UserError, match='gone does not exist'):
        run_start.load_dataset(TrainOptions(dataset_dir=str(tmp_path / 'gone')))

import json

import pytest

from common.errors import UserError
from run_folder import run_config

MODEL = {'model_name': 'net', 'num_classes': 3, 'anchor_preset': 'voc',
         'class_names': ['cat', 'dog']}


def start_run(folder, config):
    """Write the configuration as a new run does; return what changed since the last run."""
    changes = run_config.changes_since_last_run(str(folder), config)
    run_config.write(str(folder), config)
    return changes


def make_config(model=(), **flags):
    return {'model': {**MODEL, **dict(model)}, 'flags': {'batch_size': 32, 'seed': 0, **flags}}


def add_checkpoint(folder):
    (folder / 'model.ckpt-1.index').write_bytes(b'')


def test_a_written_configuration_is_read_back(tmp_path):
    assert run_config.read(str(tmp_path)) is None
    assert start_run(tmp_path, make_config()) == []
    assert run_config.read(str(tmp_path)) == make_config()


def test_changed_flags_are_reported_once(tmp_path):
    add_checkpoint(tmp_path)
    start_run(tmp_path, make_config())
    assert start_run(tmp_path, make_config(batch_size=16)) == ['batch_size: 32 -> 16']
    assert start_run(tmp_path, make_config(batch_size=16)) == []


@pytest.mark.parametrize('change', [
    {'model_name': 'other'}, {'anchor_preset': 'coco'}, {'class_names': ['dog', 'cat']}])
def test_another_model_is_rejected_without_writing(tmp_path, change):
    add_checkpoint(tmp_path)
    start_run(tmp_path, make_config())
    with pytest.raises(UserError, match=f'was trained with {next(iter(change))}'):
        start_run(tmp_path, make_config(change, batch_size=1))
    assert run_config.read(str(tmp_path)) == make_config()


def test_changes_of_the_training_examples_are_reported(tmp_path):
    add_checkpoint(tmp_path)
    first_data = {'name': 'pets', 'split': 'train', 'pictures': 7, 'fingerprint': 'ab'}

    def changes(data=first_data, global_batch=4, **flags):
        """Return the changes from a run of batches of 4 on `first_data` to a run of these."""
        start_run(tmp_path, {**make_config(), 'data': first_data, 'global_batch': 4})
        return start_run(
            tmp_path, {**make_config(**flags), 'data': data, 'global_batch': global_batch})
    differ = 'from here on the training examples differ from those of an unchanged run'
    assert changes() == []
    assert changes(seed=1) == ['seed: 0 -> 1', differ]
    assert changes(batch_size=16, global_batch=16) == ['batch_size: 32 -> 16', differ]
    assert changes(batch_size=16) == ['batch_size: 32 -> 16']   # for example on twice the clones
    assert changes({**first_data, 'fingerprint': 'cd'}) == [
        'dataset: 7 images of pets train (fingerprint ab) -> '
        '7 images of pets train (fingerprint cd)', differ]


def test_changes_of_the_augmentation_change_the_training_examples(tmp_path):
    add_checkpoint(tmp_path)

    def changes(old, new):
        start_run(tmp_path, old)
        return start_run(tmp_path, new)

    def config(augmentation, **flags):
        return {**make_config(**flags), 'augmentation': augmentation}
    differ = 'from here on the training examples differ from those of an unchanged run'
    no_flip = config('random_crop', horizontal_flip=False)
    assert changes(config('random_crop, horizontal_flip', horizontal_flip=None), no_flip) == [
        'horizontal_flip: None -> False', differ]
    assert changes(config('none', zoom_out=None), config('none', zoom_out=False)) == [
        'zoom_out: None -> False']
    # Configurations of earlier versions have only the name.
    assert changes(make_config(preprocessing_name='ssd'),
                   config('none', preprocessing_name='plain')) == [
        'preprocessing_name: ssd -> plain', differ]
    assert changes(make_config(preprocessing_name='plain'),
                   config('none', preprocessing_name='plain')) == []


def test_another_model_is_accepted_in_a_folder_without_a_checkpoint(tmp_path):
    start_run(tmp_path, make_config())
    start_run(tmp_path, make_config({'anchor_preset': 'coco'}))
    assert run_config.read(str(tmp_path))['model']['anchor_preset'] == 'coco'


def test_differences_from_pretrained(tmp_path):
    start_run(tmp_path, make_config())
    for path in (str(tmp_path), str(tmp_path / 'model.ckpt-5')):
        assert run_config.differences_from_pretrained(path, MODEL) == []
        assert run_config.differences_from_pretrained(path, {**MODEL, 'anchor_preset': 'coco'}) == [
            'anchor_preset voc, here coco']
    for path in (None, str(tmp_path / 'x/y')):
        assert run_config.differences_from_pretrained(path, MODEL) == []


@pytest.mark.parametrize('name, content', [
    ('w.npz', None),
    ('model.ckpt-1', '{"architectures": []}'),
    ('model.ckpt-1', '{"model": "bert", "flags": {}}')])
def test_weights_and_configurations_of_other_projects_describe_no_model(tmp_path, name, content):
    start_run(tmp_path, make_config())
    if content:
        (tmp_path / 'config.json').write_text(content)
    else:
        (tmp_path / name).write_bytes(b'')
    assert run_config.model_of_checkpoint(str(tmp_path / name)) == {}


@pytest.mark.parametrize('field', [{'num_classes': '2'}, {'net': None}, {'model_name': 7}])
def test_a_damaged_configuration_is_not_taken_for_that_of_another_project(tmp_path, field):
    config = make_config(field)
    start_run(tmp_path, config)
    with pytest.raises(UserError, match='config.json is not a configuration of this project, or '
                                        'was damaged. Restore it'):
        run_config.model_of_checkpoint(str(tmp_path / 'model.ckpt-1'))


def test_a_prefix_without_a_folder_is_in_the_working_directory(tmp_path, monkeypatch):
    start_run(tmp_path, make_config())
    monkeypatch.chdir(tmp_path)
    assert run_config.model_of_checkpoint('model.ckpt-1') == MODEL
    assert run_config.model_of_checkpoint('.') == MODEL


def test_model_of_train_dir_needs_a_checkpoint(tmp_path):
    assert run_config.model_of_train_dir(str(tmp_path)) == {}
    start_run(tmp_path, make_config())
    assert run_config.model_of_train_dir(str(tmp_path)) == {}
    add_checkpoint(tmp_path)
    assert run_config.model_of_train_dir(str(tmp_path)) == MODEL


@pytest.mark.parametrize('text', [
    '{"architectures": []}', '[]', '{"model": {"class_names": 5}, "flags": {}}',
    '{"model": {"class_names": ["cat", null]}, "flags": {}}',
    '{"model": {"anchor_preset": [30, 60]}, "flags": {}}',
    '{"model": {"num_classes": "21"}, "flags": {}}',
    '{"model": {}, "flags": {}, "data": "voc"}',
    '{"model": {}, "flags": {}, "data": {"name": "voc"}}'])
def test_a_configuration_of_another_project_cannot_be_read(tmp_path, text):
    (tmp_path / 'config.json').write_text(text)
    with pytest.raises(UserError, match='is not a configuration of this project'):
        run_config.read(str(tmp_path))


def test_a_configuration_that_cannot_be_parsed(tmp_path):
    (tmp_path / 'config.json').write_text('{')
    for read in (run_config.read, run_config.model_of_checkpoint):
        with pytest.raises(UserError, match='Correct or remove it'):
            read(str(tmp_path))
    (tmp_path / 'config.json').write_text(json.dumps(make_config()))
    assert run_config.read(str(tmp_path)) == make_config()


def test_a_configuration_that_lacks_fields_is_that_of_another_net(tmp_path):
    add_checkpoint(tmp_path)
    (tmp_path / 'config.json').write_text('{"model": {"model_name": "net"}, "flags": {}}')
    with pytest.raises(UserError, match='was trained with num_classes None, not 3'):
        run_config.changes_since_last_run(str(tmp_path), make_config())

import fcntl
import json
import threading

import pytest

from common.errors import UserError
from run_folder import checkpoint_files, run_config, run_lock

MODEL = {'model_name': 'net', 'num_classes': 3, 'anchor_preset': 'voc', 'class_names': ['cat', 'dog']}


def keep_config(folder, config):
    """As a run does that starts; what changed since the last one."""
    changed = run_config.changes_since_last_run(folder, config)
    run_config.write(folder, config)
    return changed


def config(model=(), **flags):
    return {'model': {**MODEL, **dict(model)}, 'flags': {'batch_size': 32, 'seed': 0, **flags}}


def test_a_folder_is_claimed_by_one(tmp_path):
    with run_lock.acquire(str(tmp_path / 'run')), pytest.raises(UserError, match='in use by another training .process'):
        run_lock.acquire(str(tmp_path / 'run'))
    run_lock.acquire(str(tmp_path / 'run')).close()      # free again


def test_whether_a_folder_is_claimed(tmp_path):
    run = str(tmp_path / 'run')
    assert not run_lock.is_locked(run)            # not even there
    with run_lock.acquire(run):
        assert run_lock.is_locked(run) and run_lock.is_locked(run)
    assert not run_lock.is_locked(run)


def test_whoever_looks_does_not_keep_others_from_claiming(tmp_path):
    with open(tmp_path / '.lock', 'w') as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        threading.Timer(.1, looking.close).start()
        run_lock.acquire(str(tmp_path)).close()


def test_who_claims_and_what_to_do(tmp_path):
    with run_lock.acquire(str(tmp_path), 'watch'), pytest.raises(UserError, match='by another watch .*; come again'):
        run_lock.acquire(str(tmp_path), 'watch', 'come again')


def test_the_configuration_is_kept(tmp_path):
    assert run_config.read(str(tmp_path)) is None
    assert keep_config(str(tmp_path), config()) == []
    assert run_config.read(str(tmp_path)) == config()


def test_what_changed_is_said(tmp_path):
    (tmp_path / 'model.ckpt-1.index').write_text('')
    keep_config(str(tmp_path), config())
    assert keep_config(str(tmp_path), config(batch_size=16)) == ['batch_size: 32 -> 16']
    assert keep_config(str(tmp_path), config(batch_size=16)) == []


@pytest.mark.parametrize('change', [
    {'model_name': 'other'}, {'anchor_preset': 'coco'}, {'class_names': ['dog', 'cat']}])
def test_another_model_is_refused_and_nothing_is_written(tmp_path, change):
    (tmp_path / 'model.ckpt-1.index').write_text('')
    keep_config(str(tmp_path), config())
    with pytest.raises(UserError, match=f'was trained with {next(iter(change))}'):
        keep_config(str(tmp_path), config(change, batch_size=1))
    assert run_config.read(str(tmp_path)) == config()


def test_what_changes_the_examples_is_said(tmp_path):
    (tmp_path / 'model.ckpt-1.index').write_text('')
    data = {'name': 'pets', 'split': 'train', 'pictures': 7, 'fingerprint': 'ab'}

    def changed(data=data, global_batch=4, **flags):
        keep_config(str(tmp_path), {**config(), 'data': first, 'global_batch': 4})
        return keep_config(str(tmp_path), {**config(**flags), 'data': data, 'global_batch': global_batch})
    first, meaning = dict(data), 'from here on the training examples differ from those of an unchanged run'
    assert changed() == []
    assert changed(seed=1) == ['seed: 0 -> 1', meaning]
    assert changed(batch_size=16, global_batch=16) == ['batch_size: 32 -> 16', meaning]
    assert changed(batch_size=16) == ['batch_size: 32 -> 16']              # half the batch on twice the clones
    assert changed({**data, 'fingerprint': 'cd'}) == [
        'dataset: 7 images of pets train (fingerprint ab) -> 7 images of pets train (fingerprint cd)', meaning]


def test_without_weights_another_model_is_welcome(tmp_path):
    keep_config(str(tmp_path), config())
    keep_config(str(tmp_path), config({'anchor_preset': 'coco'}))
    assert run_config.read(str(tmp_path))['model']['anchor_preset'] == 'coco'


def test_pretrained_weights_that_mean_something_else(tmp_path):
    keep_config(str(tmp_path), config())
    for path in (tmp_path, tmp_path / 'model.ckpt-5'):
        assert run_config.differences_from_pretrained(str(path), MODEL) == []
        found = run_config.differences_from_pretrained(str(path), {**MODEL, 'anchor_preset': 'coco'})
        assert found == ['anchor_preset voc, here coco']
    assert run_config.differences_from_pretrained(None, MODEL) == run_config.differences_from_pretrained(str(tmp_path / 'x/y'), MODEL) == []


@pytest.mark.parametrize('name, content', [
    ('w.npz', None), ('model.ckpt-1', '{"architectures": []}'), ('model.ckpt-1', '{"model": "bert", "flags": {}}')])
def test_weights_of_others_mean_nothing_of_ours(tmp_path, name, content):
    keep_config(str(tmp_path), config())
    if content:
        (tmp_path / 'config.json').write_text(content)
    else:
        (tmp_path / name).write_bytes(b'')
    assert run_config.model_of_checkpoint(str(tmp_path / name)) == {}


def test_a_name_alone_is_in_this_folder(tmp_path, monkeypatch):
    keep_config(str(tmp_path), config())
    monkeypatch.chdir(tmp_path)
    assert run_config.model_of_checkpoint('model.ckpt-1') == run_config.model_of_checkpoint('.') == MODEL


def test_what_a_train_dir_was_trained_as(tmp_path):
    assert run_config.model_of_train_dir(str(tmp_path)) == {}
    keep_config(str(tmp_path), config())
    assert run_config.model_of_train_dir(str(tmp_path)) == {}      # nothing was trained
    (tmp_path / 'model.ckpt-1.index').write_bytes(b'')
    assert run_config.model_of_train_dir(str(tmp_path)) == MODEL


@pytest.mark.parametrize('name', ['a [1]', 'a]', 'a\\b'])
def test_names_that_tensorflow_takes_for_patterns(name):
    with pytest.raises(UserError, match='no checkpoint from a path with brackets or backslashes'):
        checkpoint_files.check_path(name)
    checkpoint_files.check_path('runs/a b*?{}')


def test_a_configuration_of_something_else(tmp_path):
    (tmp_path / 'config.json').write_text('{"architectures": []}')
    with pytest.raises(UserError, match='is not a configuration of this project'):
        run_config.read(str(tmp_path))


def test_a_broken_configuration(tmp_path):
    (tmp_path / 'config.json').write_text('{')
    for read in (run_config.read, run_config.model_of_checkpoint):
        with pytest.raises(UserError, match='correct or remove it'):
            read(str(tmp_path))
    (tmp_path / 'config.json').write_text(json.dumps(config()))
    assert run_config.read(str(tmp_path)) == config()

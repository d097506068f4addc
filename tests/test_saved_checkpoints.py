import resource

import pytest
import tensorflow.compat.v1 as tf

from common.errors import UserError
from run_folder import saved_checkpoints


@pytest.fixture
def session():
    tf.train.get_or_create_global_step()
    tf.get_variable('weights', initializer=[1., 2.])
    with tf.Session() as made:
        yield made


def start(session):
    saver = saved_checkpoints.CheckpointSaver(max_to_keep=2)
    session.run(tf.global_variables_initializer())
    return saver


def test_a_folder_can_be_moved(session, tmp_path):
    (tmp_path / 'old').mkdir()
    start(session).save(session, str(tmp_path / 'old/model.ckpt'), global_step=3)
    (tmp_path / 'old').rename(tmp_path / 'new')
    assert saved_checkpoints.find(str(tmp_path / 'new')) == str(tmp_path / 'new/model.ckpt-3')
    assert saved_checkpoints.shapes(str(tmp_path / 'new/model.ckpt-3'))['weights'] == [2]


def test_folders_as_people_unpack_them(session, tmp_path):
    session.run(tf.global_variables_initializer())
    saver = tf.train.Saver()
    saver.save(session, str(tmp_path / 'ssd.ckpt'), latest_filename='no_list', write_meta_graph=False)
    (tmp_path / 'no_list').unlink()
    assert saved_checkpoints.find(str(tmp_path)) == str(tmp_path / 'ssd.ckpt')
    saver.save(session, str(tmp_path / 'other.ckpt'), latest_filename='checkpoint', write_meta_graph=False)
    assert saved_checkpoints.find(str(tmp_path / 'checkpoint')) == str(tmp_path / 'other.ckpt')
    (tmp_path / 'checkpoint').unlink()
    with pytest.raises(UserError, match='several checkpoints and no list of them: name one of other.ckpt, ssd.ckpt'):
        saved_checkpoints.find(str(tmp_path))


def test_a_step_is_written_once(session, tmp_path):
    saver = start(session)
    assert saver.save(session, str(tmp_path / 'model.ckpt'), global_step=3)
    assert saver.save(session, str(tmp_path / 'model.ckpt'), global_step=3) is None
    saver.already_saved(4)
    assert saver.save(session, str(tmp_path / 'model.ckpt'), global_step=4) is None


def test_the_step_may_be_a_tensor(session, tmp_path):
    saver = start(session)
    assert saver.save(session, str(tmp_path / 'model.ckpt'), global_step=tf.train.get_global_step()).endswith('-0')


def test_weights_that_are_not_finite_are_not_written(session, tmp_path):
    saver = start(session)
    saver.save(session, str(tmp_path / 'model.ckpt'), global_step=1)
    session.run(tf.assign(tf.global_variables()[1], [1., float('nan')]))
    with pytest.raises(UserError, match='step 2: a weight is not finite'):
        saver.save(session, str(tmp_path / 'model.ckpt'), global_step=2)
    assert saved_checkpoints.find(str(tmp_path)).endswith('-1')


def test_a_folder_that_cannot_be_written(session, tmp_path):
    saver = start(session)
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='the checkpoint of step 1 could not be written'):
        saver.save(session, str(tmp_path / 'file/model.ckpt'), global_step=1)


def test_a_broken_checkpoint(tmp_path):
    (tmp_path / 'model.ckpt.index').write_bytes(b'junk')
    with pytest.raises(UserError, match='cannot be read'):
        saved_checkpoints.shapes(str(tmp_path / 'model.ckpt'))


def save_steps(session, folder, *steps):
    saver = start(session)
    for step in steps:
        saver.save(session, str(folder / 'model.ckpt'), global_step=step)


def test_without_checkpoints_there_is_nothing_to_pass_over(tmp_path):
    assert saved_checkpoints.pass_over_broken(str(tmp_path)) is None


def test_whole_checkpoints_stay_as_they_are(session, tmp_path):
    save_steps(session, tmp_path, 1, 2)
    before = (tmp_path / 'checkpoint').read_text()
    assert saved_checkpoints.pass_over_broken(str(tmp_path)) == str(tmp_path / 'model.ckpt-2')
    assert (tmp_path / 'checkpoint').read_text() == before


@pytest.mark.parametrize('file, breaking', [
    ('data-00000-of-00001', lambda content: content[:-1]),
    ('data-00000-of-00001', lambda content: bytes([content[0] ^ 1]) + content[1:]),
    ('index', lambda content: content[:50]), ('index', lambda _: b''), ('index', None), ('data-00000-of-00001', None)])
def test_a_broken_checkpoint_is_passed_over(session, tmp_path, caplog, file, breaking):
    save_steps(session, tmp_path, 1, 2)
    path = tmp_path / f'model.ckpt-2.{file}'
    path.write_bytes(breaking(path.read_bytes())) if breaking else path.unlink()
    (tmp_path / 'model.ckpt-3.data-00000-of-00001.tempstate42').write_bytes(b'half')
    with caplog.at_level('INFO', 'ssd'):
        assert saved_checkpoints.pass_over_broken(str(tmp_path)) == str(tmp_path / 'model.ckpt-1')
    assert 'model.ckpt-2 is broken (' in caplog.text and f'going on from {tmp_path}/model.ckpt-1' in caplog.text
    assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / 'model.ckpt-1')
    assert not list(tmp_path.glob('model.ckpt-[23]*')) and (tmp_path / 'broken.ckpt-2.meta').exists()


def test_a_lost_list_loses_no_checkpoint(session, tmp_path):
    save_steps(session, tmp_path, 9, 10)
    (tmp_path / 'checkpoint').write_text('')
    assert saved_checkpoints.pass_over_broken(str(tmp_path)) == str(tmp_path / 'model.ckpt-10')
    assert tf.train.get_checkpoint_state(str(tmp_path)).all_model_checkpoint_paths == [
        str(tmp_path / f'model.ckpt-{step}') for step in (9, 10)]


def test_when_none_is_whole_nothing_is_begun_anew(session, tmp_path, caplog):
    save_steps(session, tmp_path, 1, 2)
    (tmp_path / 'model.ckpt-1.index').write_bytes(b'')
    (tmp_path / 'model.ckpt-2.index').unlink()
    with caplog.at_level('INFO', 'ssd'), pytest.raises(
            UserError, match=r'no checkpoint in .* is whole: model.ckpt-2 \(.*\), model.ckpt-1 \(.*; move them away'):
        saved_checkpoints.pass_over_broken(str(tmp_path))
    assert (tmp_path / 'model.ckpt-1.index').exists() and not caplog.text


def test_the_name_of_the_folder_does_not_matter(session, tmp_path):
    folder = tmp_path / 'model.ckpt-runs'
    folder.mkdir()
    save_steps(session, folder, 1, 2)
    (folder / 'model.ckpt-2.index').write_bytes(b'')
    assert saved_checkpoints.pass_over_broken(str(folder)) == str(folder / 'model.ckpt-1')
    assert (folder / 'broken.ckpt-2.index').exists()


def test_a_disk_that_is_full_leaves_the_checkpoint_before(session, tmp_path):
    tf.get_variable('large', initializer=tf.zeros([300000]))
    save_steps(session, tmp_path, 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100000, hard))       # files cannot grow beyond: as a disk that is full
    try:
        with pytest.raises(UserError, match='the checkpoint of step 2 could not be written .* one before it is unt'):
            save_steps(session, tmp_path, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.glob('model.ckpt-2*'))
    assert saved_checkpoints.pass_over_broken(str(tmp_path)) == str(tmp_path / 'model.ckpt-1')


@pytest.mark.parametrize('folder', ['run', './run', '{}/run'])
def test_a_list_holds_names_wherever_its_folder_is_named_from(tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'run').mkdir()
    saved_checkpoints.write_list(folder.format(tmp_path), ['model.ckpt-1', 'model.ckpt-2'])
    assert (tmp_path / 'run/checkpoint').read_text().splitlines() == [
        'model_checkpoint_path: "model.ckpt-2"', 'all_model_checkpoint_paths: "model.ckpt-1"',
        'all_model_checkpoint_paths: "model.ckpt-2"']

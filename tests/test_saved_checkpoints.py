import os
import resource
import shutil

import pytest
import tensorflow.compat.v1 as tf
from small_checkpoints import write_checkpoints

from common.errors import UserError
from run_folder import checkpoint_files, open_folder, saved_checkpoints


@pytest.fixture
def session():
    tf.train.get_or_create_global_step()
    tf.get_variable('weights', initializer=[1., 2.])
    with tf.Session() as new_session:
        yield new_session


def start(session, folder=None):
    """Initialize all variables and return a saver that keeps two checkpoints."""
    saver = saved_checkpoints.CheckpointSaver(folder, max_to_keep=2)
    session.run(tf.global_variables_initializer())
    return saver


def test_a_moved_folder_keeps_its_checkpoint_list(session, tmp_path):
    (tmp_path / 'old').mkdir()
    start(session).save(session, str(tmp_path / 'old/model.ckpt'), global_step=3)
    (tmp_path / 'old').rename(tmp_path / 'new')
    prefix = saved_checkpoints.find_checkpoint(str(tmp_path / 'new'))
    assert prefix == str(tmp_path / 'new/model.ckpt-3')
    assert saved_checkpoints.read_shapes(prefix)['weights'] == [2]


def test_find_checkpoint_in_a_folder_without_steps(session, tmp_path):
    session.run(tf.global_variables_initializer())

    def save(name, list_name):
        tf.train.Saver().save(session, str(tmp_path / name), latest_filename=list_name,
                              write_meta_graph=False)
    save('ssd.ckpt', 'unused')
    (tmp_path / 'unused').unlink()
    assert saved_checkpoints.find_checkpoint(str(tmp_path)) == str(tmp_path / 'ssd.ckpt')
    save('other.ckpt', 'checkpoint')
    prefix = saved_checkpoints.find_checkpoint(str(tmp_path / 'checkpoint'))
    assert prefix == str(tmp_path / 'other.ckpt')
    (tmp_path / 'checkpoint').unlink()
    message = 'several checkpoints, but no list of them. Pass one of other.ckpt, ssd.ckpt'
    with pytest.raises(UserError, match=message):
        saved_checkpoints.find_checkpoint(str(tmp_path))


def test_a_step_is_saved_once(session, tmp_path):
    saver = start(session)
    assert saver.save(session, str(tmp_path / 'model.ckpt'), global_step=3)
    assert saver.save(session, str(tmp_path / 'model.ckpt'), global_step=3) is None
    saver.mark_as_saved(4)
    assert saver.save(session, str(tmp_path / 'model.ckpt'), global_step=4) is None


def test_save_accepts_the_global_step_tensor(session, tmp_path):
    saver = start(session)
    global_step = tf.train.get_global_step()
    assert saver.save(session, str(tmp_path / 'model.ckpt'), global_step).endswith('-0')


def test_non_finite_weights_are_not_saved(session, tmp_path):
    saver = start(session)
    saver.save(session, str(tmp_path / 'model.ckpt'), global_step=1)
    session.run(tf.assign(tf.global_variables()[1], [1., float('nan')]))
    with pytest.raises(UserError, match='step 2: a weight is not finite'):
        saver.save(session, str(tmp_path / 'model.ckpt'), global_step=2)
    assert saved_checkpoints.find_checkpoint(str(tmp_path)).endswith('-1')


def test_save_to_an_invalid_folder_raises_a_user_error(session, tmp_path):
    saver = start(session)
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='the checkpoint of step 1 could not be written'):
        saver.save(session, str(tmp_path / 'file/model.ckpt'), global_step=1)


@pytest.mark.parametrize('change, steps, message', [
    ('rename', [1, 2], 'run was renamed to .*/elsewhere during the run. Pass --train_dir='),
    ('delete', [2], 'run was deleted during the run and has been created again. Run the same')])
def test_a_moved_folder_does_not_lose_the_step(session, tmp_path, change, steps, message):
    folder = tmp_path / 'run'
    folder.mkdir()
    saver = start(session, folder=open_folder.OpenFolder(
        str(folder), (folder / 'config.json').touch))
    saver.save(session, f'{folder}/model.ckpt', global_step=1)
    folder.rename(tmp_path / 'elsewhere') if change == 'rename' else shutil.rmtree(folder)
    with pytest.raises(UserError, match=message):
        saver.save(session, f'{folder}/model.ckpt', global_step=2)
    saved_to, = tmp_path.iterdir()
    assert tf.train.latest_checkpoint(str(saved_to)) == f'{saved_to}/model.ckpt-2'
    assert checkpoint_files.list_checkpoints(str(saved_to)) == [
        f'{saved_to}/model.ckpt-{step}' for step in reversed(steps)]


def test_reading_a_broken_checkpoint_raises_a_user_error(tmp_path):
    (tmp_path / 'model.ckpt.index').write_bytes(b'junk')
    with pytest.raises(UserError, match='cannot be read'):
        saved_checkpoints.read_shapes(str(tmp_path / 'model.ckpt'))


def save_steps(session, folder, *steps):
    saver = start(session)
    for step in steps:
        saver.save(session, str(folder / 'model.ckpt'), global_step=step)


def set_aside(folder):
    """Set broken checkpoints aside and return the checkpoint that a run resumes from."""
    saved_checkpoints.set_aside_broken_checkpoints(str(folder))
    return saved_checkpoints.latest_checkpoint(str(folder))


def test_a_folder_without_checkpoints_has_no_latest_checkpoint(tmp_path):
    assert saved_checkpoints.latest_checkpoint(str(tmp_path)) is None
    assert set_aside(tmp_path) is None
    assert saved_checkpoints.latest_checkpoint(str(tmp_path / 'missing')) is None


def test_intact_checkpoints_are_not_changed(session, tmp_path):
    save_steps(session, tmp_path, 1, 2)
    content = (tmp_path / 'checkpoint').read_text()
    assert set_aside(tmp_path) == str(tmp_path / 'model.ckpt-2')
    assert (tmp_path / 'checkpoint').read_text() == content


@pytest.mark.parametrize('file, corrupt', [
    ('data-00000-of-00001', lambda content: content[:-1]),
    ('data-00000-of-00001', lambda content: bytes([content[0] ^ 1]) + content[1:]),
    ('index', lambda content: content[:50]),
    ('index', lambda _: b''),
    ('index', None),
    ('data-00000-of-00001', None)])
def test_a_broken_checkpoint_is_set_aside(session, tmp_path, caplog, file, corrupt):
    save_steps(session, tmp_path, 1, 2)
    path = tmp_path / f'model.ckpt-2.{file}'
    path.write_bytes(corrupt(path.read_bytes())) if corrupt else path.unlink()
    (tmp_path / 'model.ckpt-3.data-00000-of-00001.tempstate42').write_bytes(b'half')
    with caplog.at_level('INFO', 'ssd'):
        assert set_aside(tmp_path) == str(tmp_path / 'model.ckpt-1')
    assert 'model.ckpt-2 is broken (' in caplog.text
    assert f'renamed it to {tmp_path}/broken.ckpt-2' in caplog.text
    assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / 'model.ckpt-1')
    assert not list(tmp_path.glob('model.ckpt-[23]*'))
    assert (tmp_path / 'broken.ckpt-2.meta').exists()


def test_latest_checkpoint_changes_no_file(session, tmp_path):
    save_steps(session, tmp_path, 1, 2)
    (tmp_path / 'model.ckpt-2.data-00000-of-00001').write_bytes(b'')
    (tmp_path / 'model.ckpt-3.data-00000-of-00001.tempstate42').write_bytes(b'half')
    files = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert saved_checkpoints.latest_checkpoint(str(tmp_path)) == str(tmp_path / 'model.ckpt-2')
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == files


def test_a_lost_checkpoint_list_is_rewritten(session, tmp_path):
    save_steps(session, tmp_path, 9, 10)
    (tmp_path / 'checkpoint').write_text('')
    with pytest.raises(UserError, match='does not name the checkpoints there. Call .*set_aside'):
        saved_checkpoints.latest_checkpoint(str(tmp_path))
    assert set_aside(tmp_path) == str(tmp_path / 'model.ckpt-10')
    assert tf.train.get_checkpoint_state(str(tmp_path)).all_model_checkpoint_paths == [
        str(tmp_path / f'model.ckpt-{step}') for step in (9, 10)]


def test_fails_without_changes_if_no_checkpoint_is_intact(session, tmp_path, caplog):
    save_steps(session, tmp_path, 1, 2)
    (tmp_path / 'model.ckpt-1.index').write_bytes(b'')
    (tmp_path / 'model.ckpt-2.index').unlink()
    message = r'is intact: model.ckpt-2 \(.*\), model.ckpt-1 \(.*\). Move them away'
    with caplog.at_level('INFO', 'ssd'), pytest.raises(UserError, match=message):
        saved_checkpoints.set_aside_broken_checkpoints(str(tmp_path))
    assert (tmp_path / 'model.ckpt-1.index').exists() and not caplog.text


def test_only_the_file_name_is_renamed_not_its_folder(session, tmp_path):
    folder = tmp_path / 'model.ckpt-runs'
    folder.mkdir()
    save_steps(session, folder, 1, 2)
    (folder / 'model.ckpt-2.index').write_bytes(b'')
    assert set_aside(folder) == str(folder / 'model.ckpt-1')
    assert (folder / 'broken.ckpt-2.index').exists()


def test_a_full_disk_leaves_the_previous_checkpoint_intact(session, tmp_path):
    tf.get_variable('large', initializer=tf.zeros([300000]))
    save_steps(session, tmp_path, 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100000, hard))   # larger files fail: a full disk
    message = 'step 2 could not be written .* last checkpoint is kept'
    try:
        with pytest.raises(UserError, match=message):
            save_steps(session, tmp_path, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.glob('model.ckpt-2*'))
    assert set_aside(tmp_path) == str(tmp_path / 'model.ckpt-1')


@pytest.mark.parametrize('folder', ['run', './run', '{}/run'])
def test_the_checkpoint_list_holds_base_names(tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'run').mkdir()
    saved_checkpoints.write_checkpoint_list(
        folder.format(tmp_path), ['model.ckpt-1', 'model.ckpt-2'])
    assert (tmp_path / 'run/checkpoint').read_text().splitlines() == [
        'model_checkpoint_path: "model.ckpt-2"',
        'all_model_checkpoint_paths: "model.ckpt-1"',
        'all_model_checkpoint_paths: "model.ckpt-2"']


def listed_names(folder):
    state = tf.train.get_checkpoint_state(str(folder))
    assert {os.path.dirname(path) for path in state.all_model_checkpoint_paths} == {str(folder)}
    return list(map(os.path.basename, state.all_model_checkpoint_paths))


@pytest.fixture
def other_folder(tmp_path):
    """A folder with the checkpoints of steps 3 and 4 of another run."""
    return write_checkpoints(tmp_path / 'other', 3, 4)


def write_list(folder, *prefixes):
    folder.mkdir(exist_ok=True)
    tf.train.update_checkpoint_state(str(folder), str(prefixes[-1]), list(map(str, prefixes)))


def test_a_list_of_another_folder_is_not_followed(tmp_path, other_folder, caplog):
    """TensorFlow would resume from these checkpoints, and delete them later."""
    run = tmp_path / 'run'
    write_list(run, other_folder / 'model.ckpt-3', other_folder / 'model.ckpt-4')
    with pytest.raises(UserError, match='does not name the checkpoints there. Call .*set_aside'):
        saved_checkpoints.latest_checkpoint(str(run))
    with caplog.at_level('INFO', 'ssd'):
        assert set_aside(run) is None
    assert tf.train.get_checkpoint_state(str(run)) is None
    assert (f'named 2 checkpoints of other folders, such as {other_folder}/model.ckpt-4; they are '
            f'neither used nor changed') in caplog.text
    assert len(list(other_folder.glob('model.ckpt-*'))) == 6


def test_entries_of_other_folders_are_removed_from_the_list(tmp_path, other_folder, session):
    """The saver deletes its own old checkpoints only: it keeps two, of steps 9 and 10."""
    run = write_checkpoints(tmp_path / 'run', 7, 8)
    write_list(run, other_folder / 'model.ckpt-3', run / 'model.ckpt-7', '../other/model.ckpt-4',
               run / 'model.ckpt-8')
    assert set_aside(run) == str(run / 'model.ckpt-8')
    assert listed_names(run) == ['model.ckpt-7', 'model.ckpt-8']
    saver = start(session)
    saver.recover_last_checkpoints(   # as TensorFlow's supervisor does
        tf.train.get_checkpoint_state(str(run)).all_model_checkpoint_paths)
    for step in (9, 10):
        saver.save(session, str(run / 'model.ckpt'), global_step=step)
    assert {path.name for path in run.glob('*.index')} == {
        'model.ckpt-9.index', 'model.ckpt-10.index'}
    assert len(list(other_folder.glob('model.ckpt-*'))) == 6


def test_absolute_names_of_a_moved_folder_become_own_checkpoints(tmp_path):
    write_checkpoints(tmp_path / 'old', 7, 8).rename(tmp_path / 'new')
    assert set_aside(tmp_path / 'new') == str(tmp_path / 'new/model.ckpt-8')
    assert listed_names(tmp_path / 'new') == ['model.ckpt-7', 'model.ckpt-8']


def test_a_list_without_its_checkpoints_is_removed(tmp_path):
    """Moving all checkpoints away starts a run anew."""
    for path in write_checkpoints(tmp_path, 1, 2).glob('model.ckpt-*'):
        path.unlink()
    assert set_aside(tmp_path) is None
    assert not (tmp_path / 'checkpoint').exists()


def test_kept_checkpoints_do_not_return_to_the_list(tmp_path):
    """A saver does not list the hourly checkpoints, so that it never deletes them."""
    write_checkpoints(tmp_path, 1, 2, 3)
    write_list(tmp_path, tmp_path / 'model.ckpt-2', tmp_path / 'model.ckpt-3')
    (tmp_path / 'model.ckpt-3.index').write_bytes(b'')
    assert set_aside(tmp_path) == str(tmp_path / 'model.ckpt-2')
    assert listed_names(tmp_path) == ['model.ckpt-2']


def test_a_checkpoint_of_another_program_that_is_not_finite_is_set_aside(
        session, tmp_path, caplog):
    save_steps(session, tmp_path, 1)
    session.run(tf.assign(tf.global_variables()[1], [1., float('nan')]))
    tf.train.Saver().save(session, str(tmp_path / 'model.ckpt'), global_step=2)
    with caplog.at_level('INFO', 'ssd'):
        assert set_aside(tmp_path) == str(tmp_path / 'model.ckpt-1')
    assert 'model.ckpt-2 is broken (weights is not finite)' in caplog.text


def test_named_pipes_are_not_read(tmp_path):
    write_checkpoints(tmp_path, 1)
    (tmp_path / 'model.ckpt-1.index').unlink()
    os.mkfifo(tmp_path / 'model.ckpt-1.index')
    with pytest.raises(UserError, match='model.ckpt-1.index is not a regular file'):
        saved_checkpoints.read_shapes(str(tmp_path / 'model.ckpt-1'))
    with pytest.raises(UserError, match='/dev/zero is not a TensorFlow checkpoint'):
        saved_checkpoints.find_checkpoint('/dev/zero')


def test_a_checkpoint_list_that_is_a_pipe_is_replaced(tmp_path):
    write_checkpoints(tmp_path, 1, 2)
    (tmp_path / 'checkpoint').unlink()
    os.mkfifo(tmp_path / 'checkpoint')
    assert saved_checkpoints.listed_checkpoint(str(tmp_path)) is None
    assert set_aside(tmp_path) == str(tmp_path / 'model.ckpt-2')
    assert (tmp_path / 'checkpoint').is_file()


def test_no_memory_is_taken_for_values_that_are_not_in_the_files(session, tmp_path):
    """The variables weights [2] float32 and global_step [] int64 need 16 bytes."""
    save_steps(session, tmp_path, 1)
    path = tmp_path / 'model.ckpt-1.data-00000-of-00001'
    path.write_bytes(path.read_bytes()[:15])
    assert saved_checkpoints.corruption(str(tmp_path / 'model.ckpt-1')) == (
        'its index has 16 bytes of values, but the data files have 15')


def test_nothing_is_printed_for_a_list_that_names_a_missing_checkpoint(tmp_path, capfd):
    write_list(tmp_path, tmp_path / 'model.ckpt-9')
    assert set_aside(tmp_path) is None
    assert capfd.readouterr() == ('', '')


def test_derived_variables_are_prepared_and_saved_but_not_restored(session, tmp_path):
    derived = tf.Variable(0., collections=[tf.GraphKeys.LOCAL_VARIABLES], name='derived')
    session.run([tf.global_variables_initializer(), derived.initializer])
    tf.train.Saver().save(session, str(tmp_path / 'old.ckpt'))   # without the derived variable
    saver = saved_checkpoints.CheckpointSaver(
        prepare=lambda sess, *_: derived.load(3., sess), derived=[derived])
    prefix = saver.save(session, str(tmp_path / 'model.ckpt'), global_step=1)
    assert tf.train.load_variable(prefix, 'derived') == 3
    derived.load(5., session)
    for path in (prefix, str(tmp_path / 'old.ckpt')):
        saver.restore(session, path)
        assert session.run(derived) == 5


def test_steps_are_prepared_once(session, tmp_path):
    """And with the step of the checkpoint before."""
    prepared = []
    session.run(tf.global_variables_initializer())
    saver = saved_checkpoints.CheckpointSaver(prepare=lambda *arguments: prepared.append(arguments))
    for step in (3, 3, 7):
        saver.save(session, str(tmp_path / 'model.ckpt'), global_step=step)
    assert prepared == [(session, 3, 0), (session, 7, 3)]

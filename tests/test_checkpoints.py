import pytest
import tensorflow.compat.v1 as tf

from deployment import checkpoints
from deployment.errors import UserError


@pytest.fixture
def session():
    tf.train.get_or_create_global_step()
    tf.get_variable('weights', initializer=[1., 2.])
    with tf.Session() as made:
        yield made


def start(session):
    saver = checkpoints.CheckpointSaver(max_to_keep=2)
    session.run(tf.global_variables_initializer())
    return saver


def test_a_folder_can_be_moved(session, tmp_path):
    (tmp_path / 'old').mkdir()
    start(session).save(session, str(tmp_path / 'old/model.ckpt'), global_step=3)
    (tmp_path / 'old').rename(tmp_path / 'new')
    assert checkpoints.find(str(tmp_path / 'new')) == str(tmp_path / 'new/model.ckpt-3')
    assert checkpoints.shapes(str(tmp_path / 'new/model.ckpt-3'))['weights'] == [2]


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
    assert checkpoints.find(str(tmp_path)).endswith('-1')


def test_a_folder_that_cannot_be_written(session, tmp_path):
    saver = start(session)
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='the checkpoint of step 1 could not be written'):
        saver.save(session, str(tmp_path / 'file/model.ckpt'), global_step=1)


def test_a_broken_checkpoint(tmp_path):
    (tmp_path / 'model.ckpt.index').write_bytes(b'junk')
    with pytest.raises(UserError, match='cannot be read'):
        checkpoints.shapes(str(tmp_path / 'model.ckpt'))

import sys
import types

import caffe_writer
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from checkpoints import sources
from common.errors import UserError


def test_npz(tmp_path):
    np.savez(tmp_path / 'w.npz', **{'conv1/kernel:0': np.ones((2, 3)), 'bias': np.zeros(4)})
    source = sources.open_source(str(tmp_path / 'w.npz'))
    assert source.shapes == {'conv1/kernel': [2, 3], 'bias': [4]}
    np.testing.assert_array_equal(source.read('conv1/kernel'), np.ones((2, 3)))


@pytest.mark.parametrize('path', ['', '/model.ckpt-3', '/model.ckpt-3.index', '/model.ckpt-3.data-00000-of-00001'])
def test_tensorflow_checkpoints_by_any_name(tmp_path, path):
    made = tf.get_variable('a/weights', initializer=[1., 2.])
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        tf.train.Saver([made]).save(session, str(tmp_path / 'model.ckpt'), global_step=3)
    source = sources.open_source(f'{tmp_path}{path}')
    assert source.path == str(tmp_path / 'model.ckpt-3') and source.shapes == {'a/weights': [2]}
    np.testing.assert_array_equal(source.read('a/weights'), [1, 2])


def test_caffe(tmp_path):
    (tmp_path / 'net.caffemodel').write_bytes(caffe_writer.net({'fc6': [np.ones((2, 3, 1, 1))]}))
    assert sources.open_source(str(tmp_path / 'net.caffemodel')).shapes == {'fc6/blob_0': [2, 3, 1, 1]}


def test_without_pytorch_it_is_asked_for(tmp_path, monkeypatch):
    (tmp_path / 'w.pth').write_bytes(b'')
    monkeypatch.setitem(sys.modules, 'torch', None)   # as where it is not installed
    with pytest.raises(UserError, match='needs PyTorch to be read: pip install torch, or save it as .npz'):
        sources.open_source(str(tmp_path / 'w.pth'))


@pytest.mark.parametrize('wrap', [lambda weights: weights, lambda weights: {'state_dict': weights, 'epoch': 3},
                                  lambda weights: {'model': weights}])
def test_pytorch_files_and_their_wrappers(tmp_path, monkeypatch, wrap):
    """A stand-in for PyTorch: the true one is too large to install for a test (the next one uses it if it is)."""
    class Tensor(np.ndarray):
        def detach(self):
            return self

        def float(self):
            return self.astype(np.float32)

        def numpy(self):
            return np.asarray(self)
    weights = {'module.features.0.weight': np.ones((2, 3)).view(Tensor), 'note': 'text'}
    asked = {}
    torch = types.SimpleNamespace(Tensor=Tensor, load=lambda _, **how: asked.update(how) or wrap(weights))
    monkeypatch.setitem(sys.modules, 'torch', torch)
    (tmp_path / 'w.pth').write_bytes(b'')
    assert sources.open_source(str(tmp_path / 'w.pth')).shapes == {'features.0.weight': [2, 3]}
    assert asked == {'map_location': 'cpu', 'weights_only': True}   # no code of the file is run


def test_a_file_of_pytorch_itself(tmp_path):
    torch = pytest.importorskip('torch', reason='PyTorch is optional and not installed')
    torch.save({'features.0.weight': torch.ones(2, 3).half()}, tmp_path / 'w.pth')
    source = sources.open_source(str(tmp_path / 'w.pth'))
    np.testing.assert_array_equal(source.read('features.0.weight'), np.ones((2, 3)))


@pytest.mark.parametrize('name, content, message', [
    ('gone.npz', None, 'there is no checkpoint'),
    ('gone.ckpt', None, 'there is no checkpoint'),
    ('w.npz', b'PK\x03\x04 and no more', 'no whole .npz of arrays'),
    ('w.npz', b'', 'no whole .npz of arrays'),
    ('vgg_16.tgz', b'\x1f\x8b', 'vgg_16.tgz is an archive: unpack it, and name the checkpoint in it'),
    ('a[1].ckpt', None, r"cannot read checkpoints from a path with brackets or backslashes, such as '.*a\[1\].ckpt'"),
    ('w.h5', b'\x89HDF', 'w.h5 is no checkpoint of TensorFlow; other files .* .npz, .pth'),
    ('folder', 'folder', 'holds no TensorFlow checkpoint')])
def test_what_cannot_be_read(tmp_path, name, content, message):
    if content == 'folder':
        (tmp_path / name).mkdir()
    elif content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        sources.open_source(str(tmp_path / name))


def test_damaged_and_mistaken_arrays(tmp_path):
    np.savez_compressed(tmp_path / 'w.npz', a=np.arange(4000))
    content = bytearray((tmp_path / 'w.npz').read_bytes())
    content[200:260] = bytes(60)
    (tmp_path / 'w.npz').write_bytes(bytes(content))
    np.save(tmp_path / 'one.npy', np.ones(3))
    (tmp_path / 'one.npy').rename(tmp_path / 'one.npz')
    for name in ('w.npz', 'one.npz'):
        with pytest.raises(UserError, match='no whole .npz of arrays'):
            sources.open_source(str(tmp_path / name))


def test_an_encrypted_file_is_refused(tmp_path):
    np.savez(tmp_path / 'w.npz', a=np.ones(2))
    content = bytearray((tmp_path / 'w.npz').read_bytes())
    content[6] |= 1                                          # the flag of the local header, and of the directory
    content[content.index(b'PK\x01\x02') + 8] |= 1
    (tmp_path / 'w.npz').write_bytes(bytes(content))
    with pytest.raises(UserError, match='no whole .npz of arrays .*encrypted'):
        sources.open_source(str(tmp_path / 'w.npz'))


def test_what_is_no_number_is_passed_over(tmp_path):
    np.savez(tmp_path / 'W.NPZ', names=np.array(['a', 'b']), a=np.ones(2))
    (tmp_path / 'W.NPZ.npz').rename(tmp_path / 'W.NPZ')
    assert sources.open_source(str(tmp_path / 'W.NPZ')).shapes == {'a': [2]}


def test_averages_take_the_place_of_weights():
    arrays = {'a': 1, 'a/ExponentialMovingAverage': 2, 'b': 3}
    averaged = sources.with_moving_averages(sources.WeightSource('a file', dict.fromkeys(arrays, []), arrays.__getitem__))
    assert [averaged.read(name) for name in ('a', 'b')] == [2, 3]
    with pytest.raises(UserError, match='a file holds no moving averages'):
        sources.with_moving_averages(sources.WeightSource('a file', {'a': []}, arrays.__getitem__))


def test_the_format_of_before_2016(tmp_path):
    made = tf.get_variable('a/weights', initializer=[1., 2.])
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        tf.train.Saver([made], write_version=tf.train.SaverDef.V1).save(session, str(tmp_path / 'vgg_16.ckpt'))
    source = sources.open_source(str(tmp_path / 'vgg_16.ckpt'))
    assert source.shapes == {'a/weights': [2]} and source.read('a/weights').tolist() == [1, 2]


def test_arrays_of_objects_are_refused(tmp_path):
    np.savez(tmp_path / 'w.npz', a=np.array([{}], object))
    with pytest.raises(UserError, match='no whole .npz of arrays'):
        sources.open_source(str(tmp_path / 'w.npz'))

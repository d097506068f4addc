import io
import os
import sys
import tarfile
import types
import zipfile

import caffe_writer
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from checkpoints import sources
from common.errors import UserError


def write_tensorflow_checkpoint(path, global_step=None, **saver_options):
    """Write a checkpoint with the variable 'a/weights': [1, 2]."""
    variable = tf.get_variable('a/weights', initializer=[1., 2.])
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        tf.train.Saver([variable], **saver_options).save(session, str(path), global_step)


def test_npz(tmp_path):
    np.savez(tmp_path / 'w.npz', **{'conv1/kernel:0': np.ones((2, 3)), 'bias': np.zeros(4)})
    source = sources.open_source(str(tmp_path / 'w.npz'))
    assert source.shapes == {'conv1/kernel': [2, 3], 'bias': [4]}
    np.testing.assert_array_equal(source.read('conv1/kernel'), np.ones((2, 3)))


@pytest.mark.parametrize('path', [
    '', '/model.ckpt-3', '/model.ckpt-3.index', '/model.ckpt-3.data-00000-of-00001'])
def test_tensorflow_checkpoint_by_folder_prefix_or_file(tmp_path, path):
    write_tensorflow_checkpoint(tmp_path / 'model.ckpt', global_step=3)
    source = sources.open_source(f'{tmp_path}{path}')
    assert source.path == str(tmp_path / 'model.ckpt-3')
    assert source.shapes == {'a/weights': [2]}
    np.testing.assert_array_equal(source.read('a/weights'), [1, 2])


def test_tensorflow_checkpoint_of_the_format_before_2016(tmp_path):
    write_tensorflow_checkpoint(tmp_path / 'vgg_16.ckpt', write_version=tf.train.SaverDef.V1)
    source = sources.open_source(str(tmp_path / 'vgg_16.ckpt'))
    assert source.shapes == {'a/weights': [2]} and source.read('a/weights').tolist() == [1, 2]


def test_caffemodel(tmp_path):
    path = tmp_path / 'net.caffemodel'
    path.write_bytes(caffe_writer.net({'fc6': [np.ones((2, 3, 1, 1))]}))
    assert sources.open_source(str(path)).shapes == {'fc6/blob_0': [2, 3, 1, 1]}


def test_the_error_without_pytorch_names_two_remedies(tmp_path, monkeypatch):
    (tmp_path / 'w.pth').write_bytes(b'')
    monkeypatch.setitem(sys.modules, 'torch', None)   # as if not installed
    message = 'needs PyTorch to be read. Run pip install torch, or save the weights as .npz'
    with pytest.raises(UserError, match=message):
        sources.open_source(str(tmp_path / 'w.pth'))


class Tensor(np.ndarray):
    """Stand-in for a tensor of PyTorch, which is too large to install for a test."""

    def detach(self):
        return self

    def numel(self):
        return self.size

    def float(self):
        return self.astype(np.float32)

    def numpy(self):
        return np.asarray(self)


@pytest.mark.parametrize('wrap', [
    lambda weights: weights,
    lambda weights: {'state_dict': weights, 'epoch': 3},
    lambda weights: {'model': weights}])
def test_pytorch_state_dicts_and_their_wrappers(tmp_path, monkeypatch, wrap):
    weights = {'module.features.0.weight': np.ones((2, 3)).view(Tensor), 'note': 'text'}
    load_arguments = {}

    def load(_, **arguments):
        load_arguments.update(arguments)
        return wrap(weights)
    monkeypatch.setitem(sys.modules, 'torch', types.SimpleNamespace(Tensor=Tensor, load=load))
    (tmp_path / 'w.pth').write_bytes(b'')
    assert sources.open_source(str(tmp_path / 'w.pth')).shapes == {'features.0.weight': [2, 3]}
    # weights_only: no code of the file is run.
    assert load_arguments == {'map_location': 'cpu', 'weights_only': True}


def test_a_file_written_by_pytorch(tmp_path):
    torch = pytest.importorskip('torch', reason='PyTorch is optional and not installed')
    torch.save({'features.0.weight': torch.ones(2, 3).half()}, tmp_path / 'w.pth')
    source = sources.open_source(str(tmp_path / 'w.pth'))
    np.testing.assert_array_equal(source.read('features.0.weight'), np.ones((2, 3)))


def test_a_tensor_that_repeats_values_without_storing_them_is_rejected(tmp_path, monkeypatch):
    weights = {'a': np.broadcast_to(np.float32(1), [1 << 20, 1 << 10]).view(Tensor)}
    torch = types.SimpleNamespace(Tensor=Tensor, load=lambda *_, **__: weights)
    monkeypatch.setitem(sys.modules, 'torch', torch)
    (tmp_path / 'w.pth').write_bytes(b'12345')
    message = 'declares 4,294,967,296 bytes of weights, but has only 5 bytes'
    with pytest.raises(UserError, match=message):
        sources.open_source(str(tmp_path / 'w.pth'))


def test_pytorch_files_that_may_hold_code_are_rejected_before_pytorch_reads_them(
        tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'torch', types.SimpleNamespace())
    tarfile.open(tmp_path / 'w.pth', 'w').close()
    with pytest.raises(UserError, match='has the tar format of the first versions of PyTorch'):
        sources.open_source(str(tmp_path / 'w.pth'))


@pytest.mark.parametrize('is_zip', [True, False])
def test_no_code_of_a_pytorch_file_is_run(tmp_path, is_zip):
    torch = pytest.importorskip('torch', reason='PyTorch is optional and not installed')

    class MakeFolder:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / 'made by the file'),)
    torch.save({'a': MakeFolder()}, tmp_path / 'w.pth', _use_new_zipfile_serialization=is_zip)
    with pytest.raises(UserError, match='holds no plain weights that PyTorch can read'):
        sources.open_source(str(tmp_path / 'w.pth'))
    assert os.listdir(tmp_path) == ['w.pth']


@pytest.mark.parametrize('name, content, message', [
    ('missing.npz', None, 'there is no checkpoint'),
    ('missing.ckpt', None, 'there is no checkpoint'),
    ('w.npz', b'PK\x03\x04 and no more', 'not a complete .npz file of arrays'),
    ('w.npz', b'', 'not a complete .npz file of arrays'),
    ('vgg_16.tgz', b'\x1f\x8b', 'vgg_16.tgz is an archive. Unpack it, and pass the checkpoint'),
    ('a[1].ckpt', None, r'cannot read checkpoints from a path with brackets or backslashes, '
                        r"such as '.*a\[1\].ckpt'"),
    ('w.h5', b'\x89HDF', 'w.h5 is not a TensorFlow checkpoint; files of other .* .npz, .pth'),
    ('folder', 'folder', 'holds no TensorFlow checkpoint')])
def test_paths_that_cannot_be_opened_raise_a_user_error(tmp_path, name, content, message):
    if content == 'folder':
        (tmp_path / name).mkdir()
    elif content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        sources.open_source(str(tmp_path / name))


def test_damaged_and_renamed_npz_files_are_rejected(tmp_path):
    np.savez_compressed(tmp_path / 'damaged.npz', a=np.arange(4000))
    content = bytearray((tmp_path / 'damaged.npz').read_bytes())
    content[200:260] = bytes(60)
    (tmp_path / 'damaged.npz').write_bytes(bytes(content))
    np.save(tmp_path / 'array.npy', np.ones(3))
    (tmp_path / 'array.npy').rename(tmp_path / 'array.npz')
    for name in ('damaged.npz', 'array.npz'):
        with pytest.raises(UserError, match='not a complete .npz file of arrays'):
            sources.open_source(str(tmp_path / name))


def test_an_encrypted_npz_file_is_rejected(tmp_path):
    np.savez(tmp_path / 'w.npz', a=np.ones(2))
    content = bytearray((tmp_path / 'w.npz').read_bytes())
    content[6] |= 1                                # encryption flag of the local header
    content[content.index(b'PK\x01\x02') + 8] |= 1   # and of the central directory
    (tmp_path / 'w.npz').write_bytes(bytes(content))
    with pytest.raises(UserError, match='not a complete .npz file of arrays .*encrypted'):
        sources.open_source(str(tmp_path / 'w.npz'))


def write_npz(path, content, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, 'w', compression) as archive:
        archive.writestr('a.npy', content)
    return str(path)


def array_file(shape, num_bytes):
    """Return the content of an .npy file with this shape of uint8 in its header."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {'descr': '|u1', 'fortran_order': False, 'shape': shape})
    return header.getvalue() + bytes(num_bytes)


@pytest.mark.parametrize('content', [
    array_file((10 ** 12,), 5), array_file((-1, -5), 5), array_file((2 ** 32, 2 ** 32), 0),
    array_file((5,), 6), b'text', b''])
def test_npz_arrays_have_the_size_that_their_header_declares(tmp_path, content):
    assert sources.open_source(
        write_npz(tmp_path / 'w.npz', array_file((5,), 5))).shapes == {'a': [5]}
    with pytest.raises(UserError, match='is not a complete .npz file of arrays'):
        sources.open_source(write_npz(tmp_path / 'w.npz', content))


def test_npz_files_that_expand_are_rejected(tmp_path, monkeypatch):
    """10,128 bytes are compressed to about 200."""
    path = write_npz(tmp_path / 'w.npz', array_file((10000,), 10000), zipfile.ZIP_DEFLATED)
    assert sources.open_source(path).shapes == {'a': [10000]}
    monkeypatch.setattr(sources, '_MIN_MEMORY_LIMIT', 0)
    with pytest.raises(UserError, match='declares 10,128 bytes of weights, but has only 2'):
        sources.open_source(path)
    write_npz(path, array_file((5,), 5), zipfile.ZIP_LZMA)
    with pytest.raises(UserError, match='is compressed with an unsupported method'):
        sources.open_source(path)


@pytest.mark.parametrize('extension', ['npz', 'pth', 'caffemodel'])
def test_pipes_and_devices_are_not_read(tmp_path, extension):
    os.mkfifo(tmp_path / f'pipe.{extension}')   # opening it would wait for a writer
    (tmp_path / f'device.{extension}').symlink_to('/dev/zero')
    for name in ('pipe', 'device'):
        with pytest.raises(UserError, match='is not a regular file. Copy its content to a file'):
            sources.open_source(str(tmp_path / f'{name}.{extension}'))


def test_any_error_of_a_parser_is_one_line(tmp_path, monkeypatch):
    def read(_):
        raise MemoryError('too large\nfor this machine')
    (tmp_path / 'w.npz').write_bytes(b'')
    monkeypatch.setitem(sources._READERS, '.npz', read)
    monkeypatch.setitem(sources._TITLES, read, 'file')
    with pytest.raises(UserError, match=r'w.npz is not a complete file \(too large\). Download'):
        sources.open_source(str(tmp_path / 'w.npz'))


def test_an_npz_file_of_pickled_objects_is_rejected(tmp_path):
    np.savez(tmp_path / 'w.npz', a=np.array([{}], object))
    with pytest.raises(UserError, match='not a complete .npz file of arrays'):
        sources.open_source(str(tmp_path / 'w.npz'))


def test_non_numeric_arrays_are_skipped_and_extensions_are_case_insensitive(tmp_path):
    np.savez(tmp_path / 'W.NPZ', names=np.array(['a', 'b']), a=np.ones(2))
    (tmp_path / 'W.NPZ.npz').rename(tmp_path / 'W.NPZ')
    assert sources.open_source(str(tmp_path / 'W.NPZ')).shapes == {'a': [2]}


def test_with_moving_averages():
    arrays = {'a': 1, 'a/ExponentialMovingAverage': 2, 'b': 3}
    source = sources.WeightSource('a file', dict.fromkeys(arrays, []), arrays.__getitem__)
    averaged = sources.with_moving_averages(source)
    assert [averaged.read(name) for name in ('a', 'b')] == [2, 3]
    with pytest.raises(UserError, match='a file holds no moving averages'):
        sources.with_moving_averages(source._replace(shapes={'a': []}))

import io
import os
import zipfile

import caffe_writer
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from checkpoints import sources
from checkpoints.readers import stored_arrays
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


def test_a_folder_with_the_variables_of_a_saved_model(tmp_path):
    (tmp_path / 'variables').mkdir()
    write_tensorflow_checkpoint(tmp_path / 'variables/variables')
    (tmp_path / 'saved_model.pb').write_bytes(b'')
    for path in (tmp_path, tmp_path / 'variables'):
        source = sources.open_source(str(path))
        assert source.path == str(tmp_path / 'variables/variables')
        assert source.shapes == {'a/weights': [2]}


def test_a_folder_with_one_file_of_weights(tmp_path):
    np.savez(tmp_path / 'w.npz', a=np.ones(2))
    (tmp_path / 'config.json').write_text('{}')
    (tmp_path / 'folder.pth').mkdir()
    source = sources.open_source(str(tmp_path))
    assert source.path == str(tmp_path / 'w.npz') and source.shapes == {'a': [2]}
    (tmp_path / 'v.PTH').write_bytes(b'')
    message = 'holds several files of weights. Pass one of v.PTH, w.npz'
    with pytest.raises(UserError, match=message):
        sources.open_source(str(tmp_path))


def test_caffemodel(tmp_path):
    path = tmp_path / 'net.caffemodel'
    path.write_bytes(caffe_writer.net({'fc6': [np.ones((2, 3, 1, 1))]}))
    assert sources.open_source(str(path)).shapes == {'fc6/blob_0': [2, 3, 1, 1]}


@pytest.mark.parametrize('name, content, message', [
    ('missing.npz', None, 'there is no checkpoint'),
    ('missing.ckpt', None, 'there is no checkpoint'),
    ('w.npz', b'PK\x03\x04 and no more', 'not a complete .npz file of arrays'),
    ('w.npz', b'', 'w.npz is empty. Download or export it again'),
    ('w.pth', b'hello', r'w.pth is not a complete PyTorch file \(unexpected content\)'),
    ('w.pth', b'version https://git-lfs.github.com/spec/v1\noid sha256:0',
     'w.pth is a pointer of Git LFS to a file. Run git lfs pull to get it'),
    ('w.caffemodel', b'\n<!DOCTYPE html><title>404</title>',
     'w.caffemodel is a web page. Download the file that the page links to'),
    ('vgg_16.tgz', b'\x1f\x8b', 'vgg_16.tgz is an archive. Unpack it, and pass the checkpoint'),
    ('a[1].ckpt', None, r'cannot read checkpoints from a path with brackets or backslashes, '
                        r"such as '.*a\[1\].ckpt'"),
    ('w.onnx', b'\x08\x07', 'w.onnx is not a TensorFlow checkpoint; files of other formats must '
                             'have the extension .npz, .pth, .pt, .* .h5, .* .pb, .*model.json'),
    ('folder', 'folder', 'holds no TensorFlow checkpoint')])
def test_paths_that_cannot_be_opened_raise_a_user_error(tmp_path, name, content, message):
    if content == 'folder':
        (tmp_path / name).mkdir()
    elif content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        sources.open_source(str(tmp_path / name))


@pytest.mark.parametrize('name', ['pipe', 'pipe.pth'])
def test_pipes_are_not_opened(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(UserError, match=f'{name} is not a regular file. Copy its content to a'):
        sources.open_source(str(tmp_path / name))


def test_the_binary_file_of_a_tensorflow_js_model_names_its_manifest(tmp_path):
    (tmp_path / 'face.bin').write_bytes(b'\x80\x01\x02')
    (tmp_path / 'face-weights_manifest.json').write_text('[]')
    with pytest.raises(UserError, match='.caffemodel. Pass face-weights_manifest.json, which'):
        sources.open_source(str(tmp_path / 'face.bin'))


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
    monkeypatch.setattr(stored_arrays, '_MIN_MEMORY_LIMIT', 0)
    with pytest.raises(UserError, match='declares 10,128 bytes of weights, but has only 2'):
        sources.open_source(path)
    write_npz(path, array_file((5,), 5), zipfile.ZIP_LZMA)
    with pytest.raises(UserError, match='is compressed with an unsupported method'):
        sources.open_source(path)


@pytest.mark.parametrize('extension', [
    extension for reader in sources.READERS for extension in reader.extensions])
def test_pipes_and_devices_are_not_read(tmp_path, extension):
    os.mkfifo(tmp_path / f'pipe{extension}')   # opening it would wait for a writer
    (tmp_path / f'device{extension}').symlink_to('/dev/zero')
    for name in ('pipe', 'device'):
        with pytest.raises(UserError, match='is not a regular file. Copy its content to a file'):
            sources.open_source(str(tmp_path / f'{name}{extension}'))


def test_any_error_of_a_parser_is_one_line(tmp_path, monkeypatch):
    def read(_):
        raise MemoryError('too large\nfor this machine')
    (tmp_path / 'w.npz').write_bytes(b'PK')
    monkeypatch.setattr(sources, 'READERS', [sources.Reader('file', ('.npz',), read)])
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

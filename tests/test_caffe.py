import caffe_writer
import numpy as np
import pytest

from checkpoints import caffe
from common.errors import UserError


@pytest.mark.parametrize('old', [False, True])
def test_layers_with_their_blobs(tmp_path, old):
    kernel, bias = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2), np.array([5., -1.5], np.float32)
    path = tmp_path / 'net.caffemodel'
    path.write_bytes(caffe_writer.net({'data': [], 'conv1_1': [kernel, bias]}, old))
    read = caffe.read_weights(str(path))
    assert list(read) == ['conv1_1/blob_0', 'conv1_1/blob_1']
    np.testing.assert_array_equal(read['conv1_1/blob_0'], kernel)
    np.testing.assert_array_equal(read['conv1_1/blob_1'].reshape(-1), bias)
    assert read['conv1_1/blob_1'].shape == ((1, 1, 1, 2) if old else (2,))


@pytest.mark.parametrize('content, message', [
    (b'', 'no Caffe model, or one without weights'),
    (caffe_writer.net({'relu': []}), 'no Caffe model, or one without weights'),
    (caffe_writer.net({'a': [np.zeros(3)]})[:-5], 'no whole Caffe model'),
    (b'\x80' * 50, 'no whole Caffe model')])
def test_what_is_no_model(tmp_path, content, message):
    (tmp_path / 'net.caffemodel').write_bytes(content)
    with pytest.raises(UserError, match=message):
        caffe.read_weights(str(tmp_path / 'net.caffemodel'))


def test_a_blob_that_contradicts_its_shape(tmp_path):
    whole = caffe_writer.net({'a': [np.zeros(3)]})
    (tmp_path / 'net.caffemodel').write_bytes(whole.replace(b'\n\x01\x03', b'\n\x01\x04'))   # dim: 3 -> 4
    with pytest.raises(UserError, match=r'layer a has 3 weights for the shape \[4\]'):
        caffe.read_weights(str(tmp_path / 'net.caffemodel'))

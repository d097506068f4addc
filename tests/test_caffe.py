import caffe_writer
import numpy as np
import pytest

from checkpoints.readers import caffe
from common.errors import UserError


@pytest.mark.parametrize('is_old_format', [False, True])
def test_blobs_are_read_by_layer(tmp_path, is_old_format):
    kernel = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)
    bias = np.array([5., -1.5], np.float32)
    path = tmp_path / 'net.caffemodel'
    path.write_bytes(caffe_writer.net({'data': [], 'conv1_1': [kernel, bias]}, is_old_format))
    arrays = {name: array.read() for name, array in caffe.read_arrays(str(path)).items()}
    assert list(arrays) == ['conv1_1/blob_0', 'conv1_1/blob_1']
    np.testing.assert_array_equal(arrays['conv1_1/blob_0'], kernel)
    np.testing.assert_array_equal(arrays['conv1_1/blob_1'].reshape(-1), bias)
    assert arrays['conv1_1/blob_1'].shape == ((1, 1, 1, 2) if is_old_format else (2,))


@pytest.mark.parametrize('content, message', [
    (b'', 'is not a Caffe model, or holds no weights'),
    (caffe_writer.net({'relu': []}), 'is not a Caffe model, or holds no weights'),
    (caffe_writer.net({'a': [np.zeros(3)]})[:-5], 'is not a complete Caffe model'),
    (b'\x80' * 50, 'is not a complete Caffe model')])
def test_invalid_files_are_rejected(tmp_path, content, message):
    (tmp_path / 'net.caffemodel').write_bytes(content)
    with pytest.raises(UserError, match=message):
        caffe.read_arrays(str(tmp_path / 'net.caffemodel'))


def test_a_blob_with_the_wrong_number_of_values_is_rejected(tmp_path):
    content = caffe_writer.net({'a': [np.zeros(3)]})
    content = content.replace(b'\n\x01\x03', b'\n\x01\x04')   # dim: 3 -> 4
    (tmp_path / 'net.caffemodel').write_bytes(content)
    with pytest.raises(UserError, match=r'layer a has 12 bytes of weights for the shape \[4\]'):
        caffe.read_arrays(str(tmp_path / 'net.caffemodel'))


def write_blob(path, dims, **data):
    """Write a model of one layer with a blob of this shape and data (bytes)."""
    net = caffe._net_parameter_class()()
    blob = net.layer.add(name='conv').blobs.add(**data)
    blob.shape.add(dim=dims)
    path.write_bytes(net.SerializeToString())
    return str(path)


@pytest.mark.parametrize('dims, data, message', [
    ([3], {'data': bytes(13)}, r'has 13 bytes of weights for the shape \[3\]'),
    ([3], {'double_data': bytes(23)}, r'has 23 bytes of weights for the shape \[3\]'),
    ([-1, -3], {'data': bytes(12)}, r'has 12 bytes of weights for the shape \[-1, -3\]'),
    # In 64 bits, the product of these dimensions is 0.
    ([1 << 40, 1 << 40], {}, r'has 0 bytes of weights for the shape \[1099511627776, ')])
def test_declared_shapes_are_checked(tmp_path, dims, data, message):
    with pytest.raises(UserError, match=message):
        caffe.read_arrays(write_blob(tmp_path / 'net.caffemodel', dims, **data))

import io
import json
import os
import zipfile

import h5py
import numpy as np
import pytest
from tensorflow.python.eager import context

from checkpoints import sources
from checkpoints.readers import keras_names, stored_arrays
from common.errors import UserError


def read_all(path):
    source = sources.open_source(str(path))
    return {name: source.read(name) for name in source.shapes}


def write_datasets(path, values):
    """Write an HDF5 file: path in the file -> array."""
    with h5py.File(path, 'w') as file:
        for name, value in values.items():
            file[name] = value
    return str(path)


@pytest.mark.parametrize('prefix', ['', 'model_weights/'])
def test_files_of_keras_2(tmp_path, prefix):
    """Weights, or a whole model with the state of its optimizer."""
    path = write_datasets(tmp_path / 'w.h5', {
        f'{prefix}conv1/conv1/kernel:0': np.ones((3, 3, 1, 2)),
        f'{prefix}conv1/conv1/bias:0': np.float16([1, 2]),
        f'{prefix}conv2/conv2_3/kernel:0': np.ones(3),   # third copy in one program
        f'{prefix}conv1_bn/conv1_bn/moving_mean:0': np.ones(2),
        f'{prefix}norm/norm/norm_gamma:0': np.ones(2),   # a layer of a user's own
        f'{prefix}backbone/conv3/kernel:0': np.ones(2),   # a model in a model
        'optimizer_weights/Adam/conv1/kernel/m:0': np.ones((3, 3, 1, 2))})
    arrays = read_all(path)
    assert set(arrays) == {'conv1/kernel', 'conv1/bias', 'conv2/kernel', 'conv1_bn/moving_mean',
                           'norm/norm_gamma', 'conv3/kernel'}
    assert arrays['conv1/kernel'].dtype == arrays['conv1/bias'].dtype == np.float32
    assert arrays['conv1/bias'].tolist() == [1, 2]


def test_layers_of_the_same_name_in_two_models_keep_their_paths(tmp_path):
    path = write_datasets(tmp_path / 'w.h5', {
        'a/conv/kernel:0': np.ones(1), 'b/conv/kernel:0': np.ones(2), 'c/c/kernel:0': np.ones(3)})
    assert {name: array.shape for name, array in read_all(path).items()} == {
        'a/conv/kernel': (1,), 'b/conv/kernel': (2,), 'c/kernel': (3,)}


def write_numbered(file, with_names=True):
    """Write weights as Keras 3: a Conv2D, a BatchNormalization without gamma, a nested Conv2D."""
    with h5py.File(file, 'w') as weights:
        for path, layer, count in (('layers/conv2d', 'conv1', 2),
                                   ('layers/batch_normalization', 'bn', 3),
                                   ('layers/sequential/layers/conv2d', 'inner', 1),
                                   ('layers/my_layer', 'mine', 1), ('optimizer', 'adam', 1)):
            group = weights.create_group(f'{path}/vars')
            if with_names:   # since version 3.4
                group.attrs['name'] = layer
            for number in range(count):
                group[str(number)] = np.float32([number])


CONFIG = {'class_name': 'Functional', 'config': {'layers': [
    {'class_name': 'InputLayer', 'config': {'name': 'input'}},
    {'class_name': 'Conv2D', 'config': {'name': 'conv1'}},
    {'class_name': 'BatchNormalization', 'config': {'name': 'bn', 'scale': False}},
    {'class_name': 'MyLayer', 'config': {'name': 'mine'}},
    {'class_name': 'Sequential', 'config': {'name': 'sub', 'layers': [
        {'class_name': 'Conv2D', 'config': {'name': 'inner'}}]}}]}}
NUMBERED = {'conv1/kernel': 0, 'conv1/bias': 1, 'bn/beta': 0, 'bn/moving_mean': 1,
            'bn/moving_variance': 2, 'inner/kernel': 0, 'mine/0': 0}


@pytest.mark.parametrize('with_names', [True, False])
def test_files_of_keras_3_with_a_configuration(tmp_path, with_names):
    weights = io.BytesIO()
    write_numbered(weights, with_names)
    with zipfile.ZipFile(tmp_path / 'w.keras', 'w') as archive:
        archive.writestr('config.json', json.dumps(CONFIG))
        archive.writestr('model.weights.h5', weights.getvalue())
    assert {name: array.item() for name, array in read_all(tmp_path / 'w.keras').items()} \
        == NUMBERED


def test_weights_of_keras_3_without_a_configuration(tmp_path):
    """Which of gamma and beta is missing is unknown then."""
    write_numbered(tmp_path / 'w.weights.h5')
    assert set(read_all(tmp_path / 'w.weights.h5')) == {
        'conv1/kernel', 'conv1/bias', 'bn/0', 'bn/1', 'bn/2', 'inner/kernel', 'mine/0'}


@pytest.mark.filterwarnings('ignore:__array__ implementation:DeprecationWarning')
def test_files_that_this_keras_writes(tmp_path):
    import keras
    with context.eager_mode():   # Keras 3 has no graph mode
        model = keras.Sequential([
            keras.Input((4, 4, 3)), keras.layers.Conv2D(2, 1, name='conv_1'),
            keras.layers.BatchNormalization(name='norm'),
            keras.layers.SeparableConv2D(2, 1, name='separable')], name='net')
        model.save(tmp_path / 'w.keras')
        model.save(tmp_path / 'w.h5')
        model.save_weights(tmp_path / 'w.weights.h5')
        expected = {f'{layer.name}/{weight.name}': weight.numpy()
                    for layer in model.layers for weight in layer.weights}
    assert 'conv_1/kernel' in expected and 'separable/pointwise_kernel' in expected
    for name in ('w.keras', 'w.h5', 'w.weights.h5'):
        arrays = read_all(tmp_path / name)
        assert arrays.keys() == expected.keys()
        for weight, array in arrays.items():
            np.testing.assert_array_equal(array, expected[weight])


def test_npz_files_of_keras_2_names(tmp_path):
    np.savez(tmp_path / 'w.npz', **{
        'conv1/conv1/kernel:0': np.ones(1), 'conv1/conv1/bias': np.ones(1),
        'conv2/kernel:0': np.ones(1), 'MobilenetV1/Conv2d_0/weights': np.ones(1)})
    assert set(read_all(tmp_path / 'w.npz')) == {
        'conv1/kernel', 'conv1/bias', 'conv2/kernel', 'MobilenetV1/Conv2d_0/weights'}


def test_names_that_would_become_equal_stay():
    assert keras_names.canonical_names({'a/a/k': 1, 'a/k:0': 2, 'b/b/k': 3}) == {
        'a/a/k': 1, 'a/k:0': 2, 'b/k': 3}


def test_links_are_not_followed(tmp_path):
    write_datasets(tmp_path / 'other.h5', {'secret': np.ones(2)})
    with h5py.File(tmp_path / 'w.h5', 'w') as file:
        file['conv/kernel'] = np.ones(3)
        file['conv/external'] = h5py.ExternalLink('other.h5', '/secret')
        file['soft'] = h5py.SoftLink('/conv')
        file['conv/cycle'] = file['conv']   # a hard link
    assert list(read_all(tmp_path / 'w.h5')) == ['conv/kernel']


def test_values_in_other_files_are_rejected(tmp_path):
    (tmp_path / 'raw').write_bytes(bytes(8))
    write_datasets(tmp_path / 'other.h5', {'secret': np.ones(2)})
    layout = h5py.VirtualLayout((2,), 'f8')
    layout[:] = h5py.VirtualSource('other.h5', 'secret', (2,))
    with h5py.File(tmp_path / 'external.h5', 'w') as file:
        file.create_dataset('a', (2,), 'f4', external=[(str(tmp_path / 'raw'), 0, 8)])
    with h5py.File(tmp_path / 'virtual.h5', 'w') as file:
        file.create_virtual_dataset('a', layout)
    for name in ('external.h5', 'virtual.h5'):
        with pytest.raises(UserError, match='holds compressed values, or values of other files'):
            sources.open_source(str(tmp_path / name))


@pytest.mark.parametrize('options', [{'compression': 'gzip'}, {'shuffle': True},
                                     {'compression': 'lzf'}, {'fletcher32': True}])
def test_values_with_a_filter_are_rejected(tmp_path, options):
    """HDF5 decompresses a chunk whatever its size becomes."""
    with h5py.File(tmp_path / 'w.h5', 'w') as file:
        file.create_dataset('a', data=np.arange(6.), **options)
    with pytest.raises(UserError, match='w.h5 holds compressed values, or values of other files'):
        sources.open_source(str(tmp_path / 'w.h5'))


@pytest.mark.parametrize('options, num_bytes', [
    ({'shape': (1 << 20, 1 << 10)}, '4,294,967,296'),   # no value is stored
    ({'shape': (1,), 'maxshape': (None,), 'chunks': (1 << 28,)}, '1,073,741,828')])
def test_declared_sizes_are_checked(tmp_path, options, num_bytes):
    with h5py.File(tmp_path / 'w.h5', 'w') as file:
        file.create_dataset('a', dtype='f4', **options)
    with pytest.raises(UserError, match=f'w.h5 declares {num_bytes} bytes of weights'):
        sources.open_source(str(tmp_path / 'w.h5'))


def test_archives_that_expand_are_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr(stored_arrays, '_MIN_MEMORY_LIMIT', 0)
    with zipfile.ZipFile(tmp_path / 'w.keras', 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('model.weights.h5', bytes(100_000))
    with pytest.raises(UserError, match='w.keras declares 100,000 bytes of weights'):
        sources.open_source(str(tmp_path / 'w.keras'))


@pytest.mark.parametrize('name, content, message', [
    ('w.h5', b'', 'is empty'),
    ('w.h5', b'\x89HDF\r\n\x1a\n' + bytes(100), 'is not a complete Keras file'),
    ('w.keras', b'text', 'is not a complete Keras file'),
    ('w.keras', b'PK\x03\x04', 'is not a complete Keras file')])
def test_damaged_files_are_rejected(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        sources.open_source(str(tmp_path / name))


def test_other_hdf5_files_and_archives_are_rejected(tmp_path):
    with h5py.File(tmp_path / 'w.h5', 'w') as file:
        file['names'] = np.array([b'a', b'b'])
    with pytest.raises(UserError, match='w.h5 is a Keras file without weights'):
        sources.open_source(str(tmp_path / 'w.h5'))
    with zipfile.ZipFile(tmp_path / 'w.keras', 'w') as archive:
        archive.writestr('other', 'text')
    with pytest.raises(UserError, match="There is no item named 'model.weights.h5'"):
        sources.open_source(str(tmp_path / 'w.keras'))


def test_truncated_files_are_rejected(tmp_path):
    write_numbered(tmp_path / 'w.h5')
    for size in range(1, os.path.getsize(tmp_path / 'w.h5'), 997):
        content = (tmp_path / 'w.h5').read_bytes()[:size]
        (tmp_path / 'cut.h5').write_bytes(content)
        with pytest.raises(UserError, match='is not a complete Keras file'):
            read_all(tmp_path / 'cut.h5')

import json
import os

import numpy as np
import pytest

from checkpoints import sources
from common.errors import UserError


def write(folder, manifest, **files):
    """Write files named <name>.bin and a model.json with a manifest; return its path."""
    for name, content in files.items():
        (folder / f'{name}.bin').write_bytes(content)
    (folder / 'model.json').write_text(json.dumps(
        {'modelTopology': {}, 'weightsManifest': manifest}))
    return str(folder / 'model.json')


def weight(name, shape, dtype='float32', **quantization):
    return {'name': name, 'shape': shape, 'dtype': dtype,
            **({'quantization': quantization} if quantization else {})}



def quantized(name, shape, dtype, **values):
    return {'name': name, 'shape': shape, 'dtype': 'float32',
            'quantization': {'dtype': dtype, **values}}


def test_values_may_go_on_in_the_next_file(tmp_path):
    """4 bytes of w, 4 of an integer, and 8 of a kernel, of which b.bin has the last 6."""
    group = {'paths': ['a.bin', 'b.bin'], 'weights': [
        quantized('w', [2, 2], 'uint8', scale=.5, min=-1.), weight('axis', [], 'int32'),
        weight('conv1/conv1/kernel', [2])]}
    content = bytes([0, 1, 2, 255]) + bytes(4) + np.float32([3, 4]).tobytes()
    source = sources.open_source(
        write(tmp_path, [group], a=content[:10], b=content[10:]))
    assert source.shapes == {'w': [2, 2], 'conv1/kernel': [2]}
    assert source.read('w').tolist() == [[-1, -.5], [0, 126.5]]
    assert source.read('conv1/kernel').tolist() == [3, 4]
    assert source.read('w').dtype == np.float32


def test_quantization_to_16_bits(tmp_path):
    group = {'paths': ['a.bin'], 'weights': [
        quantized('u', [2], 'uint16', scale=.001, min=-2), quantized('f', [2], 'float16')]}
    content = np.array([0, 65535], '<u2').tobytes() + np.array([1.5, -2], '<f2').tobytes()
    source = sources.open_source(write(tmp_path, [group], a=content))
    np.testing.assert_allclose(source.read('u'), [-2, 63.535], rtol=1e-6)
    assert source.read('f').tolist() == [1.5, -2]


def test_a_manifest_alone_and_a_folder(tmp_path):
    (tmp_path / 'net-weights_manifest.json').write_text(json.dumps(
        [{'paths': ['a.bin'], 'weights': [weight('a', [1])]},
         {'paths': ['b.bin'], 'weights': [weight('b', [1])]}]))
    (tmp_path / 'a.bin').write_bytes(np.float32(3).tobytes())
    (tmp_path / 'b.bin').write_bytes(np.float32(4).tobytes())
    for path in (tmp_path, tmp_path / 'net-weights_manifest.json'):
        source = sources.open_source(str(path))
        assert [source.read(name).tolist() for name in ('a', 'b')] == [[3], [4]]


@pytest.mark.parametrize('name', [
    '../w.bin', '/etc/passwd', 'sub/w.bin', '..', '.', '', 'a\\b', 'a\0b', 3, None, ['w.bin']])
def test_only_files_beside_the_manifest_are_read(tmp_path, name):
    (tmp_path / 'w.bin').write_bytes(bytes(4))
    (tmp_path / 'net').mkdir()
    path = write(tmp_path / 'net', [{'paths': [name], 'weights': [weight('a', [1])]}])
    with pytest.raises(UserError, match='model.json names .*, which is not a file in its folder'):
        sources.open_source(path)


@pytest.mark.parametrize('kind', ['missing', 'folder', 'pipe', 'device'])
def test_missing_files_and_pipes(tmp_path, kind):
    path = write(tmp_path, [{'paths': ['w.bin'], 'weights': [weight('a', [1])]}])
    {'missing': lambda _: None, 'folder': os.mkdir, 'pipe': os.mkfifo,
     'device': lambda path: os.symlink('/dev/zero', path)}[kind](tmp_path / 'w.bin')
    with pytest.raises(UserError, match='model.json needs the file w.bin beside it, which is'):
        sources.open_source(path)


@pytest.mark.parametrize('entry, message', [
    (weight('a', [2]), r'declares 8 bytes of weights; its files have 4'),
    (weight('a', []) | {'dtype': 'string'}, 'string'),
    (weight('a', [-1]), 'an array has an invalid shape'),
    (weight('a', [1 << 40, 1 << 40]), 'declares 4,835,703,278,458,516,698,824,704 bytes'),
    (quantized('a', [4], 'uint8'), 'quantized values have no scale or min'),
    (quantized('a', [4], 'uint8', scale='x', min=0), 'quantized values have no scale or min'),
    (quantized('a', [4], 'uint8', scale=1, min=[0]), 'quantized values have no scale or min'),
    ({'shape': [1], 'dtype': 'float32'}, 'name'),
    ({}, 'shape')])
def test_damaged_manifests_are_rejected(tmp_path, entry, message):
    path = write(tmp_path, [{'paths': ['w.bin'], 'weights': [entry]}], w=bytes(4))
    with pytest.raises(UserError, match=f'not a complete TensorFlow.js model .*{message}'):
        sources.open_source(path)


@pytest.mark.parametrize('text, message', [
    ('', 'is empty'), (' ', 'Expecting value'), ('{}', 'weightsManifest'), ('[3]', 'subscriptable'),
    ('[' * 100_000, 'recursion|nested'), ('[]', 'without weights')])
def test_other_json_is_rejected(tmp_path, text, message):
    (tmp_path / 'model.json').write_text(text)
    with pytest.raises(UserError, match=message):
        sources.open_source(str(tmp_path / 'model.json'))

import json
import pathlib

import numpy as np
import pytest

from checkpoints import sources
from common.errors import UserError

FILES = pathlib.Path(__file__).parent / 'weight_files'   # see make_weight_files.py


def write(path, header, content, header_size=None):
    """Write a file; the header may be bytes."""
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    size = len(header) if header_size is None else header_size
    path.write_bytes(size.to_bytes(8, 'little') + header + content)
    return str(path)


def entry(dtype, shape, begin, end):
    return {'dtype': dtype, 'shape': shape, 'data_offsets': [begin, end]}


def test_a_file_that_safetensors_wrote():
    source = sources.open_source(str(FILES / 'dtypes.safetensors'))
    arrays = {name: source.read(name) for name in source.shapes}
    floats = dict.fromkeys(('float32', 'float64', 'float16', 'bfloat16'), np.float32)
    integers = {dtype: dtype for dtype in ('int64', 'int32', 'int16', 'int8')}
    assert {name: array.dtype for name, array in arrays.items()} == {**floats, **integers}
    for array in arrays.values():
        assert array.tolist() == [-2, -1, 0, 1, 2]


def test_names_shapes_and_values(tmp_path):
    path = write(tmp_path / 'w.safetensors', {
        '__metadata__': {'format': 'pt'}, 'module.b.bias': entry('F32', [], 4, 8),
        'module.a.weight': entry('F16', [2, 1], 0, 4),
        'module.empty': entry('F32', [0, 3], 8, 8)}, np.float16([1.5, -2]).tobytes()
        + np.float32(3).tobytes())
    source = sources.open_source(path)
    assert source.shapes == {'b.bias': [], 'a.weight': [2, 1], 'empty': [0, 3]}
    assert source.read('a.weight').tolist() == [[1.5], [-2]] and source.read('b.bias') == 3


@pytest.mark.parametrize('header, content, message', [
    (b'', b'', 'Expecting value'),
    (b'[]', b'', 'its header is no JSON object'),
    (b'{"a": 1}', b'', 'not subscriptable'),
    (b'[' * 100_000, b'', 'recursion|nested'),
    ({'a': entry('F32', [2], 0, 8)}, bytes(7), 'the file is truncated'),
    ({'a': entry('F32', [3], 0, 8)}, bytes(8), r'an array of shape \(3,\) has 8 bytes'),
    ({'a': entry('F32', [-2], 0, 8)}, bytes(8), 'an array has an invalid shape'),
    ({'a': entry('F32', [2.0], 0, 8)}, bytes(8), 'an array has an invalid shape'),
    ({'a': entry('F32', [1 << 32, 1 << 32], 0, 0)}, b'', 'an array of shape .* has 0 bytes'),
    ({'a': entry('F32', [2], -8, 0)}, bytes(8), 'its tensors overlap'),
    ({'a': entry('F32', [2], 8, 0)}, bytes(8), 'its tensors overlap'),
    ({'a': entry('F32', [2], 0, 8), 'b': entry('F32', [2], 4, 12)}, bytes(12),
     'its tensors overlap'),
    ({'a': {'dtype': 'F32', 'shape': [2]}}, bytes(8), 'data_offsets')])
def test_damaged_files_are_rejected(tmp_path, header, content, message):
    path = write(tmp_path / 'w.safetensors', header, content)
    with pytest.raises(UserError, match=f'is not a complete safetensors file .*({message})'):
        sources.open_source(path)


def test_the_size_of_the_header_is_bounded(tmp_path):
    path = write(tmp_path / 'w.safetensors', b'{}', b'', header_size=1 << 62)
    with pytest.raises(UserError, match='its header has 4,611,686,018,427,387,904 bytes'):
        sources.open_source(path)


def test_a_file_without_known_dtypes_is_rejected(tmp_path):
    path = write(tmp_path / 'w.safetensors', {'a': entry('F8_E4M3', [2], 0, 2)}, bytes(2))
    with pytest.raises(UserError, match='is a safetensors file without weights'):
        sources.open_source(path)

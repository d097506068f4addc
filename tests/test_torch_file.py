import itertools
import os
import pathlib
import struct
import tarfile
import zipfile

import numpy as np
import pytest
from torch_writer import call, items, mapping, name, number, tensor, text, write_legacy, write_zip

from checkpoints import sources
from checkpoints.readers import stored_arrays, torch_file, torch_pickle
from common.errors import UserError

FILES = pathlib.Path(__file__).parent / 'weight_files'   # see make_weight_files.py
BASE = np.arange(24.).reshape(4, 6)
VALUES = struct.pack('<6f', 0, 1, 2, 3, 4, 5)
TENSOR = tensor([6], [1])


def read_all(path):
    source = sources.open_source(str(path))
    arrays = {variable: source.read(variable) for variable in source.shapes}
    assert {variable: list(array.shape) for variable, array in arrays.items()} == source.shapes
    return arrays


@pytest.mark.parametrize('kind', ['zip', 'legacy'])
def test_tensors_that_share_a_storage(kind):
    arrays = read_all(FILES / f'views_{kind}.pth')
    expected = {'transposed': BASE.T, 'window': BASE[1:3, 2:5], 'every_second': BASE[::2, ::3],
                'repeated': np.full((3, 2), 7.), 'scalar': np.array(5.), 'empty': np.zeros((0, 3))}
    assert arrays.keys() == expected.keys()
    for variable, array in expected.items():
        np.testing.assert_array_equal(arrays[variable], array)


@pytest.mark.parametrize('kind', ['zip', 'legacy'])
def test_floats_become_float32_and_integers_keep_their_size(kind):
    arrays = read_all(FILES / f'dtypes_{kind}.pth')
    floats = dict.fromkeys(('float32', 'float64', 'float16', 'bfloat16'), np.float32)
    integers = {dtype: dtype for dtype in ('int64', 'int32', 'int16', 'int8')}
    assert {variable: array.dtype for variable, array in arrays.items()} == {**floats, **integers}
    for array in arrays.values():
        assert array.tolist() == [-2, -1, 0, 1, 2]


@pytest.mark.parametrize(
    'file_name', ['checkpoint_zip.pth.tar', 'checkpoint_legacy.pth.tar', 'module_zip.pth'])
def test_weights_in_a_checkpoint_of_a_training_or_a_whole_module(file_name):
    """The checkpoint also holds an argparse Namespace, a path and the state of an optimizer."""
    arrays = read_all(FILES / file_name)
    assert {variable: array.reshape(-1).tolist() for variable, array in arrays.items()} == {
        'anchors': [0, 1, 2], 'features.0.weight': [3, 4], 'features.0.bias': [5, 6]}


def test_a_whole_module_of_the_old_format_holds_the_source_of_its_class(tmp_path):
    net_class = items(text('module'), name('net', 'Net'), text('net.py'), text('import os')) + b'Q'
    module = net_class + b')\x81' + mapping({
        'training': b'\x88', '_parameters': mapping({'a': TENSOR, 'b': b'N'})}) + b'b'
    assert list(read_all(write_legacy(tmp_path / 'w.pth', module, {'0': VALUES}))) == ['a']


WEIGHTS = mapping({'module.a.b': TENSOR, 'module.c.d': TENSOR})


@pytest.mark.parametrize('value', [
    WEIGHTS,
    mapping({'state_dict': WEIGHTS, 'epoch': number(3)}),
    mapping({'model_state_dict': WEIGHTS, 'best': TENSOR}),
    mapping({'net': WEIGHTS, 'acc': number(1), 'optimizer': mapping({})}),
    mapping({'model': b'N', 'ema': mapping({'module': WEIGHTS, 'updates': number(2)})}),
    mapping({'model': name('a', 'Net') + b')\x81}b', 'ema': WEIGHTS}),   # a module without weights
    mapping({'model': WEIGHTS, 'ema': mapping({'z': TENSOR})}),
    mapping({'model': mapping({'state_dict': WEIGHTS})}),
    b'}(' + text('a') + WEIGHTS + b'q\x00' + text('b') + b'h\x00u',   # one dict, two keys
    mapping({'detector': WEIGHTS, 'meta': mapping({'note': text('x')})}),
    mapping({'state_dict': mapping({'model.module.a.b': TENSOR, 'model.module.c.d': TENSOR})}),
    # Written by Python 2: the dict is made of a list of pairs.
    call(name('collections', 'OrderedDict'), b'](' + b''.join(
        b'](' + text(key) + TENSOR + b'e' for key in ('net.a.b', 'net.c.d')) + b'e'),
    # A name without a dot belongs to the wrapper.
    mapping({'model_ema': mapping({'n_averaged': number(3), 'module.a.b': TENSOR,
                                   'module.c.d': TENSOR})})], ids=map(str, itertools.count()))
@pytest.mark.parametrize('write', [write_zip, write_legacy])
def test_wrappers_and_prefixes(tmp_path, write, value):
    arrays = read_all(write(tmp_path / 'w.pth', value, {'0': VALUES}))
    assert list(arrays) == ['a.b', 'c.d'] and arrays['a.b'].tolist() == [0, 1, 2, 3, 4, 5]


def test_a_prefix_of_some_names_stays(tmp_path):
    value = mapping({'model.a': TENSOR, 'criterion.b': TENSOR})
    path = write_zip(tmp_path / 'w.pth', value, {'0': VALUES})
    assert list(read_all(path)) == ['model.a', 'criterion.b']


@pytest.mark.parametrize('write', [write_zip, write_legacy])
@pytest.mark.parametrize('file_name', ['last.ckpt', 'pytorch_model.bin', 'weights'])
def test_files_with_other_extensions_are_known_by_their_first_bytes(tmp_path, write, file_name):
    """Lightning calls them .ckpt, like the TensorFlow checkpoints before 2016."""
    value = mapping({'state_dict': mapping({'model.a.b': TENSOR}), 'epoch': number(1)})
    assert list(read_all(write(tmp_path / file_name, value, {'0': VALUES}))) == ['a.b']


def test_big_endian_files(tmp_path):
    path = tmp_path / 'w.pth'
    write_zip(path, mapping({'a': TENSOR}), {'0': struct.pack('>6f', *range(6))})
    with zipfile.ZipFile(path, 'a') as archive:
        archive.writestr('archive/byteorder', 'big')
    assert read_all(path)['a'].tolist() == [0, 1, 2, 3, 4, 5]


MAKE_FOLDER = text('made by the file')


@pytest.mark.parametrize('attack', [
    call(name('os', 'mkdir'), MAKE_FOLDER),                       # REDUCE
    name('os', 'mkdir') + items(MAKE_FOLDER) + b'\x81',           # NEWOBJ
    name('os', 'mkdir') + items(MAKE_FOLDER) + b'}\x92',          # NEWOBJ_EX
    b'(' + name('os', 'mkdir') + MAKE_FOLDER + b'o',              # OBJ
    b'(' + MAKE_FOLDER + b'ios\nmkdir\n',                         # INST
    text('os') + text('mkdir') + b'\x93' + items(MAKE_FOLDER) + b'R',   # STACK_GLOBAL
    call(name('builtins', 'eval'), text("__import__('os').mkdir('made by the file')")),
    call(name('torch._tensor', '_rebuild_from_type_v2'), name('os', 'mkdir'), b'N',
         items(MAKE_FOLDER), b'N'),
    # Replaces a function by BUILD.
    name('torch._utils', '_rebuild_tensor_v2') + mapping({'__call__': name('os', 'mkdir')}) + b'b'
    + items(MAKE_FOLDER) + b'R',
    call(name('collections', 'OrderedDict')) + mapping({'items': name('os', 'mkdir')}) + b'b'],
    ids=map(str, itertools.count()))
@pytest.mark.parametrize('write', [write_zip, write_legacy])
def test_no_code_of_a_file_is_run(tmp_path, monkeypatch, write, attack):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / 'w.pth', mapping({'attack': attack, 'a': TENSOR}), {'0': VALUES})
    try:
        assert list(read_all(path)) == ['a']
    except UserError as error:
        assert 'is not a complete PyTorch file' in str(error)
    assert os.listdir(tmp_path) == ['w.pth']


@pytest.mark.parametrize('value', [
    TENSOR[:-40],
    b'\x85' * 3,                            # a tuple of nothing
    b'R', b'u', b'\x93', b'b', b'h\x05',    # operations on an empty stack or memo
    b'N' * 3 + b'Q',                        # a storage without a name
    text('a') + text('b') + b'Q',
    items(text('module')) + b'Q',
    items(text('storage'), TENSOR, text('0'), text('cpu'), number(6)) + b'Q',
    items(text('storage'), name('torch', 'FloatStorage'), text('0'), text('cpu'), b'N') + b'Q',
    text('storage') * 5 + b'Q',
    b'(' + b']' * 3 + b't' + name('a', 'b') + b'\x93',   # a class whose name is no text
    call(name('torch._utils', '_rebuild_tensor_v2')),
    b'(' * 20_000 + b't' * 20_000 + text('x') + b'\x93',   # its hash would overflow the C stack
    call(name('torch._tensor', '_rebuild_from_type_v2'), b'N'),
    b'P0\n', b'\x97', b'\xff'], ids=map(str, itertools.count()))
@pytest.mark.parametrize('write', [write_zip, write_legacy])
def test_invalid_pickles_are_rejected(tmp_path, write, value):
    path = write(tmp_path / 'w.pth', mapping({'x': value, 'a': TENSOR}), {'0': VALUES})
    with pytest.raises(UserError, match=r'is not a complete PyTorch file \(.*\). Download'):
        read_all(path)


@pytest.mark.parametrize('value', [
    TENSOR, number(3), b'N', b']', mapping({}), mapping({'a': number(3)}),
    mapping({'a': mapping({'x': TENSOR}), 'b': mapping({'x': TENSOR})}),   # which one?
    mapping({'a': tensor([1], [1], kind='QInt8Storage')}),
    b'}q\x00' + text('model') + b'h\x00s'],             # a dict that holds itself
    ids=map(str, itertools.count()))
def test_a_file_without_weights_is_rejected(tmp_path, value):
    with pytest.raises(UserError, match='w.pth is a PyTorch file without weights. Pass a file of'):
        read_all(write_zip(tmp_path / 'w.pth', value, {'0': VALUES}))


def test_modules_in_a_cycle_or_nested_without_end(tmp_path):
    """A module that is its own child, and 1,000 nested ones: 64 levels are read."""
    module = name('a', 'Net') + b')\x81'
    cycle = module + b'q\x00' + mapping({'_modules': mapping({'x': b'h\x00'}),
                                         '_parameters': mapping({'a': TENSOR})}) + b'b'
    assert list(read_all(write_zip(tmp_path / 'w.pth', cycle, {'0': VALUES}))) == ['a']
    nested = module
    for _ in range(1000):
        nested = module + b'}(' + text('m') + nested + text('a') + TENSOR + b'ub'
    names = list(read_all(write_zip(tmp_path / 'w.pth', nested, {'0': VALUES})))
    assert len(names) == 65 and max(map(len, names)) == 64 * 2 + 1


def test_the_search_of_a_file_is_bounded(tmp_path):
    """1,000 modules share a state of 1,000 values; a long name is joined with short ones."""
    state = mapping({f'n{n}': b'N' for n in range(1000)} | {'a': TENSOR}) + b'q\x000'
    shared = state + mapping({f'm{n}': name('a', 'Net') + b')\x81h\x00b' for n in range(1000)})
    path = write_zip(tmp_path / 'w.pth', shared, {'0': VALUES})
    assert list(read_all(path)) == ['a']
    module = name('a', 'Net') + b')\x81'
    path = write_zip(tmp_path / 'w.pth', module + mapping(
        {'x' * 600: module + mapping({'y' * 600: TENSOR}) + b'b'}) + b'b', {'0': VALUES})
    with pytest.raises(UserError, match='a name has 1,201 characters'):
        read_all(path)


@pytest.mark.parametrize('value', [
    b'N0' * 600,                                                     # operations
    # 20 dicts from one list of 100 pairs: few operations, many items
    b'](' + b'](NNe' * 100 + b'eq\x00' + b'0'
    + (name('collections', 'OrderedDict') + b'h\x00\x85R0') * 20], ids=map(str, itertools.count()))
def test_the_work_of_a_pickle_is_bounded(tmp_path, monkeypatch, value):
    monkeypatch.setattr(torch_pickle, '_MAX_OPERATIONS', 1000)
    path = write_zip(tmp_path / 'w.pth', b'}' + value, {'0': VALUES})
    message = 'more than 1,000 operations|its objects are too large'
    with pytest.raises(UserError, match=message):
        read_all(path)


@pytest.mark.parametrize('shape, strides, offset, message', [
    ([7], [1], 0, 'a tensor ends behind its storage'),
    ([6], [1], 1, 'a tensor ends behind its storage'),
    ([2, 3], [4, 1], 0, 'a tensor ends behind its storage'),
    ([6], [1], -1, 'an array has an invalid shape'),
    ([6], [-1], 5, 'an array has an invalid shape'),
    ([-6], [1], 0, 'an array has an invalid shape'),
    ([6], [1, 1], 0, 'another number of strides than of dimensions'),
    ([1] * 33, [1] * 33, 0, 'an array has an invalid shape'),
    ([6], [1 << 62], 0, 'an array has an invalid shape')])
@pytest.mark.parametrize('write', [write_zip, write_legacy])
def test_tensors_lie_in_their_storage(tmp_path, write, shape, strides, offset, message):
    value = mapping({'a': tensor(shape, strides, offset)})
    with pytest.raises(UserError, match=message):
        read_all(write(tmp_path / 'w.pth', value, {'0': VALUES}))


def test_a_tensor_that_repeats_values_without_storing_them_is_rejected(tmp_path):
    value = mapping({'a': tensor([1 << 20, 1 << 10], [0, 0])})
    path = write_zip(tmp_path / 'w.pth', value, {'0': VALUES})
    message = 'w.pth declares 4,294,967,296 bytes of weights, but has only'
    with pytest.raises(UserError, match=message):
        read_all(path)


def test_storages_that_are_missing_or_shorter_than_declared(tmp_path):
    for storages in ({}, {'1': VALUES}, {'0': VALUES[:-4]}):
        for write in (write_zip, write_legacy):
            with pytest.raises(UserError, match='is not a complete PyTorch file'):
                read_all(write(tmp_path / 'w.pth', mapping({'a': TENSOR}), storages))


def test_a_checksum_finds_damaged_values(tmp_path):
    path = tmp_path / 'w.pth'
    content = pathlib.Path(write_zip(path, mapping({'a': TENSOR}), {'0': VALUES})).read_bytes()
    path.write_bytes(content.replace(VALUES, VALUES[:-1] + b'\x41'))
    with pytest.raises(UserError, match='a checksum does not match'):
        read_all(path)


def test_compressed_archives_are_rejected(tmp_path, monkeypatch):
    path = write_zip(tmp_path / 'w.pth', mapping({'a': TENSOR}), {'0': VALUES},
                     compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(UserError, match='w.pth is a compressed archive. Save its state_dict'):
        read_all(path)
    monkeypatch.setattr(stored_arrays, '_MIN_MEMORY_LIMIT', 0)
    write_zip(path, mapping({'a': TENSOR}), {'0': bytes(1 << 16)},
              compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(UserError, match='declares .* bytes of weights, but has only'):
        read_all(path)


def test_another_archive_is_rejected(tmp_path):
    np.savez(tmp_path / 'w.npz', a=np.ones(2))
    (tmp_path / 'w.npz').rename(tmp_path / 'w.pth')
    with pytest.raises(UserError, match=r'not a complete PyTorch file \(the archive has no'):
        read_all(tmp_path / 'w.pth')


def test_the_tar_format_of_the_first_versions_is_rejected(tmp_path):
    tarfile.open(tmp_path / 'w.pth', 'w').close()
    with pytest.raises(UserError, match='has the tar format of the first versions of PyTorch'):
        read_all(tmp_path / 'w.pth')


def test_truncated_files_are_rejected(tmp_path):
    for kind in ('zip', 'legacy'):
        content = (FILES / f'views_{kind}.pth').read_bytes()
        for size in range(1, len(content), 61):
            (tmp_path / 'w.pth').write_bytes(content[:size])
            with pytest.raises(UserError, match='is not a complete PyTorch file'):
                read_all(tmp_path / 'w.pth')


def test_values_are_read_when_they_are_needed(tmp_path):
    """The file may be changed in between."""
    path = write_zip(tmp_path / 'w.pth', mapping({'a': TENSOR}), {'0': VALUES})
    array = torch_file.read_arrays(path)['a']
    os.truncate(path, 10)
    with pytest.raises(ValueError, match='the file is truncated'):
        array.read()

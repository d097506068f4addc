"""Assemble PyTorch files from operations of pickle's stack machine, also ones no program writes."""
import struct
import zipfile

LEGACY_MAGIC = b'\x8a\x0a' + (0x1950a86a20f9469cfc6c).to_bytes(10, 'little')


def text(value):
    return b'X' + struct.pack('<I', len(value)) + value.encode()


def number(value):
    return b'J' + struct.pack('<i', value) if value < 1 << 31 else (
        b'\x8a\x08' + struct.pack('<q', value))


def items(*operations):
    """Return the operations that push a tuple."""
    return b'(' + b''.join(operations) + b't'


def name(module, attribute):
    """Return the operation that pushes a class or function."""
    return f'c{module}\n{attribute}\n'.encode()


def call(function, *arguments):
    return function + items(*arguments) + b'R'


def mapping(entries):
    """Return the operations that push a dict: str -> operations of the value."""
    return b'}(' + b''.join(text(key) + value for key, value in entries.items()) + b'u'


def tensor(shape, strides, offset=0, key='0', size=6, kind='FloatStorage'):
    """Return the operations that push a tensor: a view of the storage `key` of `size` elements."""
    storage = items(text('storage'), name('torch', kind), text(key), text('cpu'),
                    number(size)) + b'Q'
    return call(name('torch._utils', '_rebuild_tensor_v2'), storage, number(offset),
                items(*map(number, shape)), items(*map(number, strides)), b'\x89',
                call(name('collections', 'OrderedDict')))


def write_zip(path, value, storages, **options):
    """Write a file of the current format.

    Args:
        path: the file.
        value: operations that push the value.
        storages: key -> bytes.
        **options: of `zipfile.ZipFile`.
    """
    with zipfile.ZipFile(path, 'w', **options) as archive:
        archive.writestr('archive/data.pkl', b'\x80\x02' + value + b'.')
        for key, content in storages.items():
            archive.writestr(f'archive/data/{key}', content)
    return str(path)


def write_legacy(path, value, storages):
    """Write a file of the format before PyTorch 1.6, with storages of float32; see `write_zip`."""
    keys = b'](' + b''.join(map(text, storages)) + b'e'
    pickles = (LEGACY_MAGIC, number(1001), mapping({'little_endian': b'\x88'}), value, keys)
    path.write_bytes(
        b''.join(b'\x80\x02' + operations + b'.' for operations in pickles)
        + b''.join(struct.pack('<q', len(content) // 4) + content for content in storages.values()))
    return str(path)

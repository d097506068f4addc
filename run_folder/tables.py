"""Tables of LevelDB without compression, the container of TensorFlow's checkpoints.

The format is that of doc/table_format.md in LevelDB: blocks of sorted pairs of a key and a value, a
block with the positions of these blocks, and a footer. Checksums are not verified here: anybody can
compute them, and TensorFlow does.
"""
import os
import struct

_MAGIC = struct.pack('<Q', 0xdb4775248b80fb57)
_FOOTER_BYTES, _TRAILER_BYTES = 48, 5
_MAX_BLOCK_BYTES, _MAX_KEY_BYTES = 1 << 26, 1 << 28   # far above those of real checkpoints
_DAMAGED = 'its index is damaged'


def check_table(path):
    """Check that all blocks of a table lie within its file.

    Raises:
        ValueError: If they do not, or the file is not a table.
    """
    with open(path, 'rb') as file:
        for _ in _block_handles(file):
            pass


def read_table(path):
    """Return all entries of a table as a dict: key -> value, both bytes, in the order of the keys.

    Raises:
        ValueError: If the table is damaged, not sorted, or has keys of more than `_MAX_KEY_BYTES`
            in sum.
    """
    entries, num_key_bytes, last_key = {}, 0, None
    with open(path, 'rb') as file:
        for offset, size in _block_handles(file):
            for key, value in _block_entries(_read_block(file, offset, size)):
                num_key_bytes += len(key)
                if num_key_bytes > _MAX_KEY_BYTES or last_key is not None and key <= last_key:
                    raise ValueError(_DAMAGED)
                entries[key], last_key = value, key
    return entries


def _block_handles(file):
    """Yield (offset, size) of each block of a table, which lies within the file."""
    num_bytes = os.fstat(file.fileno()).st_size
    file.seek(max(num_bytes - _FOOTER_BYTES, 0))
    footer = file.read(_FOOTER_BYTES)
    if not footer.endswith(_MAGIC) or len(footer) < _FOOTER_BYTES:
        raise ValueError('its index is truncated or of another format')
    end = num_bytes - _FOOTER_BYTES
    _, _, position = _read_handle(footer, 0, end)   # of a block that TensorFlow does not use
    offset, size, _ = _read_handle(footer, position, end)
    for _, value in _block_entries(_read_block(file, offset, size)):
        offset, size, _ = _read_handle(value, 0, end)
        yield offset, size


def _read_handle(data, position, end):
    """Return the offset and the size of a block that ends before `end`, and the next position."""
    offset, position = _read_varint(data, position)
    size, position = _read_varint(data, position)
    if offset + size + _TRAILER_BYTES > end:
        raise ValueError('its index names bytes after the end of the file')
    return offset, size, position


def _read_block(file, offset, size):
    """Return the content of a block."""
    if size > _MAX_BLOCK_BYTES:
        raise ValueError(f'its index has a block of {size} bytes')
    file.seek(offset)
    content = file.read(size + 1)
    if content[-1] != 0:
        raise ValueError('its index is compressed, which TensorFlow does not write')
    return content[:-1]


def _block_entries(block):
    """Yield (key, value) of each entry of a block.

    A block consists of entries, the positions of those that have whole keys, and their number. An
    entry begins with the number of bytes that its key shares with the previous one, the number of
    its other bytes, and the size of its value.
    """
    if len(block) < 4:
        raise ValueError(_DAMAGED)
    num_restarts, = struct.unpack('<I', block[-4:])
    end = len(block) - 4 * (num_restarts + 1)
    if end < 0 or not num_restarts:
        raise ValueError(_DAMAGED)
    position, key, restarts = 0, b'', {0}
    while position < end:
        start = position
        num_shared, position = _read_varint(block, position)
        num_other, position = _read_varint(block, position)
        num_value_bytes, position = _read_varint(block, position)
        value_position = position + num_other
        if num_shared > len(key) or value_position + num_value_bytes > end:
            raise ValueError(_DAMAGED)
        if not num_shared:
            restarts.add(start)
        key = key[:num_shared] + block[position:value_position]
        position = value_position + num_value_bytes
        yield key, block[value_position:position]
    if not restarts.issuperset(struct.unpack(f'<{num_restarts}I', block[end:-4])):
        raise ValueError(_DAMAGED)


def _read_varint(data, position):
    """Return a base-128 number of at most 10 bytes, and the position after it."""
    number = 0
    for shift, byte in zip(range(0, 70, 7), data[position:position + 10], strict=False):
        number |= (byte & 0x7f) << shift
        if byte < 0x80:
            return number, position + shift // 7 + 1
    raise ValueError(_DAMAGED)

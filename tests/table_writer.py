"""Write tables of LevelDB, see run_folder/tables.py, with any content."""
import struct

MAGIC = struct.pack('<Q', 0xdb4775248b80fb57)


def varint(number):
    """Encode a number in groups of 7 bits, the lowest first."""
    groups = [number >> shift & 0x7f for shift in range(0, max(number.bit_length(), 1), 7)]
    return bytes([group | 0x80 for group in groups[:-1]] + groups[-1:])


def entry(key, value, num_shared=0):
    """Encode an entry of a block, whose key shares its first bytes with the previous one."""
    key = key[num_shared:]
    return varint(num_shared) + varint(len(key)) + varint(len(value)) + key + value


def block(*entries, restarts=(0,)):
    """Encode a block: entries, and the positions of those with whole keys."""
    return b''.join(entries) + struct.pack(f'<{len(restarts) + 1}I', *restarts, len(restarts))


def table(content, handle=None, compression=b'\0'):
    """Encode a table of one block.

    Args:
        content: the block.
        handle: (offset, size) of the block in its index. Default: the actual ones.
        compression: the byte after each block.
    """
    trailer = compression + bytes(4)   # without a checksum
    offset, size = handle or (0, len(content))
    index = block(entry(b'', varint(offset) + varint(size)))
    index_offset = len(content + trailer)
    handles = varint(0) + varint(0) + varint(index_offset) + varint(len(index))
    return content + trailer + index + trailer + handles.ljust(40, b'\0') + MAGIC


def table_of(entries):
    """Encode a table of one block with these entries, a dict: key -> value."""
    contents = [entry(key, value) for key, value in entries.items()]
    return table(block(*contents))

"""Read .safetensors files: the size of a JSON header, the header, the values."""
import os

from checkpoints.readers import json_text, state_dicts, stored_arrays
from checkpoints.readers.stored_arrays import BFLOAT16, Region

# Other types, such as float8, are left out.
_DTYPES = {'F64': '<f8', 'F32': '<f4', 'F16': '<f2', 'BF16': BFLOAT16, 'I64': '<i8', 'I32': '<i4',
           'I16': '<i2', 'I8': 'i1', 'U8': 'u1', 'U16': '<u2', 'U32': '<u4', 'U64': '<u8'}


def read_arrays(path):
    """Read the tensors of a .safetensors file.

    Returns:
        A dict: name -> `StoredArray`, floats as float32. Prefixes that all names have, such as
        'module.', are removed.

    Raises:
        Exception: Of any type, if the file is damaged, or tensors overlap.
    """
    with open(path, 'rb') as file:
        header_size = int.from_bytes(file.read(8), 'little')
        if header_size > json_text.MAX_BYTES:
            raise ValueError(f'its header has {header_size:,} bytes')
        header = json_text.parse(file.read(header_size))
    if not isinstance(header, dict):
        raise ValueError('its header is no JSON object')
    header.pop('__metadata__', None)
    start, file_size, end = 8 + header_size, os.path.getsize(path), 0
    for begin, next_begin in sorted(entry['data_offsets'] for entry in header.values()):
        if not end <= begin <= next_begin:
            raise ValueError('its tensors overlap')
        end = next_begin
    if start + end > file_size:
        raise ValueError('the file is truncated')
    arrays = {}
    for name, entry in header.items():
        if entry['dtype'] in _DTYPES:
            begin, end = entry['data_offsets']
            region = Region(path, start + begin, end - begin)
            arrays[name] = stored_arrays.from_region(
                region, _DTYPES[entry['dtype']], entry['shape'])
    return state_dicts.strip_prefixes(arrays)

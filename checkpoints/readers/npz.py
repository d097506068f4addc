"""Read .npz files of arrays."""
import math

import numpy as np

from checkpoints.readers import keras_names, stored_arrays


def read_arrays(path):
    """Read the numeric arrays of an .npz file.

    Returns:
        A dict: name -> `StoredArray`. The names of Keras 2 become those of Keras 3, see
        `keras_names.canonical_names`.

    Raises:
        UserError: If the arrays need too much memory.
        Exception: Of any type, if the file is damaged.
    """
    stored_arrays.check_zip(path)
    with np.load(path, allow_pickle=False) as file:
        for member in file.zip.namelist():
            with file.zip.open(member) as stream:
                _check_array_header(stream, file.zip.getinfo(member).file_size)
        arrays = {name: file[name] for name in file.files}
    return keras_names.canonical_names({
        name: stored_arrays.in_memory(array) for name, array in arrays.items()
        if array.dtype.kind in 'fiu'})


def _check_array_header(stream, num_bytes):
    """Check that an array of an .npz file has the size that its header declares.

    Args:
        stream: the array's file in the archive.
        num_bytes: its size.

    Raises:
        ValueError: If the sizes differ.
    """
    version = np.lib.format.read_magic(stream)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0,
                   (2, 0): np.lib.format.read_array_header_2_0}[version]
    shape, _, dtype = read_header(stream)
    if not dtype.hasobject and math.prod(shape) * dtype.itemsize != num_bytes - stream.tell():
        raise ValueError(f'an array of shape {shape} has {num_bytes} bytes')

"""Read weights from files of different formats through one interface: names, shapes, arrays."""
import functools
import math
import os
import tarfile
import zipfile
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from checkpoints import caffe
from common.errors import UserError
from run_folder import saved_checkpoints

# A file may declare at most _MAX_EXPANSION times its size as its weights, or _MIN_MEMORY_LIMIT
# bytes. Trained weights hardly compress; deflate reaches a factor of 1,000 for zeros.
_MAX_EXPANSION, _MIN_MEMORY_LIMIT = 16, 1 << 28
_FLOAT_BYTES = 4


class WeightSource(NamedTuple):
    """The weights in one file, or in one TensorFlow checkpoint."""
    path: str           # of a TensorFlow checkpoint: its prefix
    shapes: dict        # variable name -> list of int
    read: Callable      # variable name -> array


def with_moving_averages(source):
    """Return a `WeightSource` that reads the moving average of each variable that has one.

    Raises:
        UserError: If the source holds no moving averages.
    """
    suffix = saved_checkpoints.MOVING_AVERAGE_SUFFIX
    if not any(name.endswith(suffix) for name in source.shapes):
        raise UserError(f'{source.path} holds no moving averages. Leave out '
                        f'--checkpoint_moving_averages (in training) or --use_moving_averages '
                        f'(of import_weights.py)')

    def read(name):
        return source.read(name + suffix if name + suffix in source.shapes else name)
    return source._replace(read=read)


def open_source(path):
    """Open the weights at a path.

    Args:
        path: a TensorFlow checkpoint (a prefix, one of its files, or a folder: its latest
            checkpoint), or a file with an extension of `_READERS`.

    Returns:
        A `WeightSource`.

    Raises:
        UserError: If the path does not exist, is not a regular file, or cannot be read.
    """
    if path.lower().endswith(_ARCHIVE_EXTENSIONS) and os.path.isfile(path):
        raise UserError(f'{path} is an archive. Unpack it, and pass the checkpoint in it')
    read_arrays = _READERS.get(os.path.splitext(path)[1].lower())
    if read_arrays and not os.path.isdir(path):
        if not os.path.exists(path):
            raise UserError(f'there is no checkpoint {path}. Correct the path')
        if not os.path.isfile(path):   # a pipe or device may never end
            raise UserError(f'{path} is not a regular file. Copy its content to a file')
        try:
            arrays = read_arrays(path)
        except UserError:
            raise
        except Exception as error:   # parsers raise anything for damaged files
            first_line = str(error).partition('\n')[0] or type(error).__name__
            raise UserError(f'{path} is not a complete {_TITLES[read_arrays]} ({first_line}). '
                            f'Download or export it again') from error
        shapes = {name: list(array.shape) for name, array in arrays.items()}
        return WeightSource(path, shapes, arrays.__getitem__)
    try:
        prefix = saved_checkpoints.find_checkpoint(path)
        return WeightSource(prefix, saved_checkpoints.read_shapes(prefix),
                            functools.partial(saved_checkpoints.read_variable, prefix))
    except UserError as error:
        is_checkpoint_file = path.endswith(('.index', '.meta')) or '.data-' in path
        if os.path.isfile(path) and not is_checkpoint_file:
            raise UserError(f'{path} is not a TensorFlow checkpoint; files of other formats must '
                            f'have the extension {", ".join(_READERS)}') from error
        raise


def _check_memory(path, num_bytes):
    """Check the size that a file declares for its weights, before memory is taken for it.

    Raises:
        UserError: If the file declares a much larger size than its own, as no real weights do.
    """
    if num_bytes > max(_MAX_EXPANSION * os.path.getsize(path), _MIN_MEMORY_LIMIT):
        raise UserError(f'{path} declares {num_bytes:,} bytes of weights, but has only '
                        f'{os.path.getsize(path):,} bytes itself. Download or export it again')


def _read_npz(path):
    """Read the numeric arrays of an .npz file; a name 'conv/kernel:0' becomes 'conv/kernel'."""
    _check_zip(path)
    with np.load(path, allow_pickle=False) as file:
        for member in file.zip.namelist():
            with file.zip.open(member) as stream:
                _check_array_header(stream, file.zip.getinfo(member).file_size)
        arrays = {name.removesuffix(':0'): file[name] for name in file.files}
    return {name: array for name, array in arrays.items() if array.dtype.kind in 'fiu'}


def _check_zip(path):
    """Check the declared sizes of the files in a zip archive.

    Raises:
        UserError: If they need too much memory, or a compression that np.savez does not use: its
            decompressor may take memory of a size that the file chooses.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    _check_memory(path, sum(member.file_size for member in members))
    if any(member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
           for member in members):
        raise UserError(f'{path} is compressed with an unsupported method. Export it again')


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


def _read_torch(path):
    """Read the tensors of a PyTorch file: a state dict, or a dict that holds one."""
    try:
        import torch
    except ImportError as error:
        raise UserError(f'{path} needs PyTorch to be read. Run pip install torch, or save the '
                        f'weights as .npz on a machine with PyTorch') from error
    if zipfile.is_zipfile(path):
        _check_zip(path)
    elif _is_tar(path):   # PyTorch before 2.6 runs code from such files (CVE-2025-32434)
        raise UserError(f'{path} has the tar format of the first versions of PyTorch. Save its '
                        f'state_dict with a newer one')
    try:
        content = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:   # unpickling may raise anything
        first_line = str(error).partition('\n')[0]
        raise UserError(f'{path} holds no plain weights that PyTorch can read ({first_line}). Save '
                        f'its state_dict') from error
    for key in ('state_dict', 'model'):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    items = content.items() if isinstance(content, dict) else ()
    tensors = {name.removeprefix('module.'): tensor for name, tensor in items
               if isinstance(name, str) and isinstance(tensor, torch.Tensor)}
    # A tensor with stride 0 repeats values without storing them.
    _check_memory(path, sum(tensor.numel() for tensor in tensors.values()) * _FLOAT_BYTES)
    return {name: tensor.detach().float().numpy() for name, tensor in tensors.items()}


def _is_tar(path):
    try:
        tarfile.open(path, 'r:').close()   # without decompression
    except tarfile.TarError:
        return False
    return True


# Extension -> function (path) that returns a dict: variable name -> array.
_READERS = {'.npz': _read_npz, '.pth': _read_torch, '.pt': _read_torch,
            '.caffemodel': caffe.read_weights}
_TITLES = {_read_npz: '.npz file of arrays', _read_torch: 'PyTorch file',
           caffe.read_weights: 'Caffe model'}
_ARCHIVE_EXTENSIONS = ('.tgz', '.tar.gz', '.tar', '.zip', '.gz')

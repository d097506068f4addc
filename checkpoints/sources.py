"""Read weights from files of different formats through one interface: names, shapes, arrays."""
import functools
import os
import zipfile
import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from checkpoints import caffe
from common.errors import UserError
from run_folder import saved_checkpoints


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
        UserError: If the path does not exist or cannot be read.
    """
    if path.lower().endswith(_ARCHIVE_EXTENSIONS) and os.path.isfile(path):
        raise UserError(f'{path} is an archive. Unpack it, and pass the checkpoint in it')
    read_arrays = _READERS.get(os.path.splitext(path)[1].lower())
    if read_arrays and not os.path.isdir(path):
        if not os.path.exists(path):
            raise UserError(f'there is no checkpoint {path}. Correct the path')
        arrays = read_arrays(path)
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


def _read_npz(path):
    """Read the numeric arrays of an .npz file; a name 'conv/kernel:0' becomes 'conv/kernel'."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name.removesuffix(':0'): file[name] for name in file.files}
    # RuntimeError: encrypted, or compressed with an unsupported method.
    except (OSError, ValueError, EOFError, AttributeError, TypeError, RuntimeError,
            zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f'{path} is not a complete .npz file of arrays ({error}). Download or '
                        f'export it again') from error
    return {name: array for name, array in arrays.items() if array.dtype.kind in 'fiu'}


def _read_torch(path):
    """Read the tensors of a PyTorch file: a state dict, or a dict that holds one."""
    try:
        import torch
    except ImportError as error:
        raise UserError(f'{path} needs PyTorch to be read. Run pip install torch, or save the '
                        f'weights as .npz on a machine with PyTorch') from error
    try:
        content = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:   # unpickling may raise anything
        first_line = str(error).partition('\n')[0]
        raise UserError(f'{path} holds no plain weights that PyTorch can read ({first_line}). Save '
                        f'its state_dict') from error
    for key in ('state_dict', 'model'):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    tensors = content.items() if isinstance(content, dict) else ()
    return {name.removeprefix('module.'): tensor.detach().float().numpy()
            for name, tensor in tensors if isinstance(tensor, torch.Tensor)}


# Extension -> function (path) that returns a dict: variable name -> array.
_READERS = {'.npz': _read_npz, '.pth': _read_torch, '.pt': _read_torch,
            '.caffemodel': caffe.read_weights}
_ARCHIVE_EXTENSIONS = ('.tgz', '.tar.gz', '.tar', '.zip', '.gz')

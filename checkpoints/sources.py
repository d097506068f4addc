"""Files of weights, whatever their format, behind one face: names, shapes, and arrays by name."""
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
    """The weights of one file (of a prefix, for TensorFlow)."""
    path: str
    shapes: dict        # name -> list of int
    read: Callable      # name -> array


def with_moving_averages(source):
    """The `Source` with the moving averages of weights in their place; UserError where there are none."""
    if not any(name.endswith(saved_checkpoints.MOVING_AVERAGE_SUFFIX) for name in source.shapes):
        raise UserError(f'{source.path} holds no moving averages; leave out the flag that asks for them')

    def read(name):
        average = name + saved_checkpoints.MOVING_AVERAGE_SUFFIX
        return source.read(average if average in source.shapes else name)
    return WeightSource(source.path, source.shapes, read)


def open_source(path):
    """The `Source` at a path; UserError where there is none or it cannot be read.

    path: a TensorFlow checkpoint (prefix, any of its files, a folder: its latest), or a file with one of the endings of
    `_READERS`.
    """
    if path.lower().endswith(_ARCHIVES) and os.path.isfile(path):
        raise UserError(f'{path} is an archive: unpack it, and name the checkpoint in it')
    if os.path.splitext(path)[1].lower() in _READERS and not os.path.isdir(path):
        if not os.path.exists(path):
            raise UserError(f'there is no checkpoint {path}')
        arrays = _READERS[os.path.splitext(path)[1].lower()](path)
        return WeightSource(path, {name: list(array.shape) for name, array in arrays.items()}, arrays.__getitem__)
    try:
        prefix = saved_checkpoints.find_checkpoint(path)
        return WeightSource(prefix, saved_checkpoints.read_shapes(prefix), functools.partial(saved_checkpoints.read_variable, prefix))
    except UserError as error:
        if os.path.isfile(path) and not path.endswith(('.index', '.meta')) and '.data-' not in path:
            raise UserError(f'{path} is no checkpoint of TensorFlow; other files are read by their endings '
                            f'{", ".join(_READERS)}') from error
        raise


def _npz(path):
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name.removesuffix(':0'): file[name] for name in file.files}
    except (OSError, ValueError, EOFError, AttributeError, TypeError, RuntimeError, zipfile.BadZipFile,
            zlib.error) as error:   # RuntimeError: encrypted, or compressed in a way that Python does not know
        raise UserError(f'{path} is no whole .npz of arrays ({error}); get it anew') from error
    return {name: array for name, array in arrays.items() if array.dtype.kind in 'fiu'}   # others are no weights


def _torch(path):
    try:
        import torch
    except ImportError as error:
        raise UserError(f'{path} needs PyTorch to be read: pip install torch, or save it as .npz where PyTorch is '
                        f'installed') from error
    try:
        content = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:   # whatever unpickling may raise
        raise UserError(f'{path} holds no plain weights that PyTorch can read '
                        f'({str(error).partition(chr(10))[0]})') from error
    for wrapper in ('state_dict', 'model'):
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    tensors = content.items() if isinstance(content, dict) else ()
    return {name.removeprefix('module.'): tensor.detach().float().numpy() for name, tensor in tensors
            if isinstance(tensor, torch.Tensor)}


_READERS = {'.npz': _npz, '.pth': _torch, '.pt': _torch, '.caffemodel': caffe.read_weights}
_ARCHIVES = ('.tgz', '.tar.gz', '.tar', '.zip', '.gz')

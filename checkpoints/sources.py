"""Read weights from files of different formats through one interface: names, shapes, arrays."""
import contextlib
import os
from collections.abc import Callable
from typing import NamedTuple

from checkpoints.readers import (
    caffe,
    graph_file,
    keras_file,
    npz,
    safetensors,
    tfjs,
    torch_file,
)
from common.errors import UserError
from run_folder import checkpoint_files, saved_checkpoints


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


class Reader(NamedTuple):
    """One container of weights."""
    title: str
    extensions: tuple      # lower case
    read_arrays: Callable  # path -> {variable name: `StoredArray`}
    starts: tuple = ()     # first bytes of such files; for files with other extensions


READERS = (
    Reader('.npz file of arrays', ('.npz',), npz.read_arrays),
    Reader('PyTorch file', ('.pth', '.pt', '.pth.tar', '.pt.tar'), torch_file.read_arrays,
           (torch_file.ZIP_START, torch_file.LEGACY_START)),
    Reader('safetensors file', ('.safetensors',), safetensors.read_arrays),
    Reader('Keras file', ('.h5', '.hdf5', '.keras'), keras_file.read_arrays, (keras_file.START,)),
    Reader('frozen graph', ('.pb',), graph_file.read_arrays),
    Reader('TensorFlow.js model', ('model.json', 'weights_manifest.json'), tfjs.read_arrays),
    Reader('Caffe model', ('.caffemodel',), caffe.read_arrays))
_ARCHIVE_EXTENSIONS = ('.tgz', '.tar.gz', '.tar', '.zip', '.gz')
_EXTENSIONS = [extension for reader in READERS for extension in reader.extensions]


def open_source(path):
    """Open the weights at a path.

    Args:
        path: a TensorFlow checkpoint (a prefix, one of its files, or a folder: its latest
            checkpoint), a file of one of `READERS`, or a folder with one such file.

    Returns:
        A `WeightSource`.

    Raises:
        UserError: If the path does not exist, is not a regular file, or cannot be read.
    """
    if os.path.exists(path) and not os.path.isdir(path):
        _check_is_content(path)
    reader = _reader_of(path)
    if reader:
        return _open_file(reader, path)
    if path.lower().endswith(_ARCHIVE_EXTENSIONS) and os.path.isfile(path):
        raise UserError(f'{path} is an archive. Unpack it, and pass the checkpoint in it')
    try:
        return _open_checkpoint(saved_checkpoints.find_checkpoint(path))
    except UserError as error:
        if os.path.isdir(path):
            return _open_folder(path, error)
        is_checkpoint_file = path.endswith(('.index', '.meta')) or '.data-' in path
        if os.path.isfile(path) and not is_checkpoint_file:
            raise UserError(f'{path} is not a TensorFlow checkpoint; files of other formats must '
                            f'have the extension {", ".join(_EXTENSIONS)}'
                            f'{_manifest_hint(path)}') from error
        raise


# First bytes, in lower case, of files that stand for another one.
_PLACEHOLDERS = (
    (b'version https://git-lfs', 'is a pointer of Git LFS to a file. Run git lfs pull to get it'),
    (b'<!doctype', 'is a web page. Download the file that the page links to'),
    (b'<html', 'is a web page. Download the file that the page links to'))


def _check_is_content(path):
    """Check that a path that is no folder is a regular file with content of its own.

    Raises:
        UserError: If it is a pipe or device, which may never end, empty, or a placeholder.
    """
    if not os.path.isfile(path):
        raise UserError(f'{path} is not a regular file. Copy its content to a file')
    try:
        with open(path, 'rb') as file:
            start = file.read(32).lstrip().lower()
    except OSError:
        return   # its reader reports it
    if not os.path.getsize(path):
        raise UserError(f'{path} is empty. Download or export it again')
    for placeholder, message in _PLACEHOLDERS:
        if start.startswith(placeholder):
            raise UserError(f'{path} {message}')


def _manifest_hint(path):
    """Return a hint at the TensorFlow.js model whose binary file the path may be, or ''."""
    folder = os.path.dirname(path) or '.'
    extensions = next(reader.extensions for reader in READERS if reader.read_arrays is
                      tfjs.read_arrays)
    names = sorted(name for name in os.listdir(folder) if name.lower().endswith(extensions))
    return f'. Pass {names[0]}, which lists the binary files of its model' if names else ''


def _reader_of(path):
    """Return the `Reader` for a path, by its extension or else its first bytes; None if unknown.

    Folders have none, and no file is opened that is not a regular one.
    """
    name = os.path.basename(path).lower()
    if os.path.isdir(path):
        return None
    by_extension = next((reader for reader in READERS if name.endswith(reader.extensions)), None)
    if by_extension or not os.path.isfile(path) or name.endswith(_ARCHIVE_EXTENSIONS):
        return by_extension
    try:
        with open(path, 'rb') as file:
            start = file.read(16)
    except OSError:
        return None   # the caller reports it
    return next((reader for reader in READERS if reader.starts and start.startswith(reader.starts)),
                None)


def _open_checkpoint(prefix):
    return WeightSource(prefix, *saved_checkpoints.open_variables(prefix))


def _open_folder(folder, error):
    """Open the variables of a SavedModel, or the only file of weights in a folder.

    Args:
        folder: a folder without TensorFlow checkpoints.
        error: the `UserError` that says so.

    Raises:
        UserError: If there is no such file, or several.
    """
    names = sorted(name for name in os.listdir(folder)
                   if name.lower().endswith(tuple(_EXTENSIONS))
                   and os.path.isfile(os.path.join(folder, name)))
    variables = os.path.join(folder, 'variables')
    if checkpoint_files.list_any_checkpoints(variables):
        return _open_checkpoint(saved_checkpoints.find_checkpoint(variables))
    if len(names) > 1:
        raise UserError(f'the folder {folder} holds several files of weights. Pass one of '
                        f'{", ".join(names)}') from error
    if not names:
        raise error
    return open_source(os.path.join(folder, names[0]))


def _open_file(reader, path):
    """Open a file with its `Reader`."""
    if not os.path.exists(path):
        raise UserError(f'there is no checkpoint {path}. Correct the path')
    with _convert_errors(reader, path):
        arrays = reader.read_arrays(path)
    if not arrays:
        raise UserError(f'{path} is a {reader.title} without weights. Pass a file of a trained net')

    def read(name):
        with _convert_errors(reader, path):
            return arrays[name].read()
    return WeightSource(path, {name: list(array.shape) for name, array in arrays.items()}, read)


@contextlib.contextmanager
def _convert_errors(reader, path):
    """Raise UserError for all errors of a parser, which may raise anything for damaged files."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(f'{path} is not a complete {reader.title} ({_describe(error)}). '
                        f'Download or export it again') from error


def _describe(error):
    """Return what a parser says, on one line; the text of a KeyError is the key alone."""
    text = str(error).partition('\n')[0]
    if isinstance(error, KeyError):
        key = error.args[0] if error.args else None
        text = '' if not isinstance(key, str) else key if ' ' in key else f"no '{key}'"
    return text or 'unexpected content'

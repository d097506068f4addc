"""Read weights that Keras wrote: .h5 of Keras 1 to 3, .weights.h5 and .keras of Keras 3."""
import collections
import functools
import io
import math
import re
import zipfile

import numpy as np

from checkpoints.readers import json_text, keras_names, stored_arrays
from checkpoints.readers.stored_arrays import StoredArray
from common.errors import UserError

_MAX_DEPTH = 64   # of groups in groups
_ZIP_WEIGHTS, _ZIP_CONFIG = 'model.weights.h5', 'config.json'
START = b'\x89HDF\r\n\x1a\n'   # of an HDF5 file

# Keras 3 numbers the variables of a layer: name of the class in the file -> their names.
_KERNEL_BIAS = ('kernel', 'bias')
_MOMENTS = ('gamma', 'beta', 'moving_mean', 'moving_variance')
_VARIABLES = {
    **dict.fromkeys(('conv1d', 'conv2d', 'conv3d', 'conv2d_transpose', 'depthwise_conv2d', 'dense'),
                    _KERNEL_BIAS),
    'separable_conv2d': ('depthwise_kernel', 'pointwise_kernel', 'bias'),
    'batch_normalization': _MOMENTS, 'layer_normalization': _MOMENTS[:2],
    'group_normalization': _MOMENTS[:2], 'p_re_lu': ('alpha',)}


def read_arrays(path):
    """Read the weights of a Keras file.

    Returns:
        A dict: '<layer>/<weight>', such as 'conv1/kernel' -> `StoredArray`, floats as float32. Two
        layers of the same name have the names of the models around them, too.

    Raises:
        UserError: If the arrays need too much memory, are compressed or in other files.
        Exception: Of any type, if the file is damaged.
    """
    config = {}
    if zipfile.is_zipfile(path):
        stored_arrays.check_zip(path)
        with zipfile.ZipFile(path) as archive:
            content = archive.read(_ZIP_WEIGHTS)
            config = json_text.parse(archive.read(_ZIP_CONFIG))
        open_content = functools.partial(io.BytesIO, content)
    else:
        def open_content():
            return path
    with _open(open_content()) as file:
        datasets = {key: dataset for key, dataset in _datasets(file)
                    if 'optimizer' not in key.split('/')[0]}
        for dataset in datasets.values():
            _check_dataset(dataset, path)
        stored_arrays.check_memory(path, sum(map(_num_bytes, datasets.values())))
        names = _weight_names(file, datasets, _layer_configs(config))
        shapes = {key: dataset.shape for key, dataset in datasets.items()}
    arrays = {names[key]: StoredArray(shape, functools.partial(_read, open_content, key))
              for key, shape in shapes.items()}
    return keras_names.rename(arrays, keras_names.layer_and_weight)


def _open(content):
    """Open an HDF5 file: a path, or a file object."""
    import h5py
    return h5py.File(content, 'r', locking=False)


def _read(open_content, key):
    """Read a dataset; floats become float32."""
    with _open(open_content()) as file:
        array = file[key][()]
    return array.astype(np.float32) if array.dtype.kind == 'f' else array


def _datasets(file):
    """Yield (path in the file, dataset) of all numeric datasets in an HDF5 file.

    Soft and external links are not followed: they may lead to other files.

    Raises:
        ValueError: If groups are nested too deeply.
    """
    import h5py
    pending, visited = [('', file, 0)], set()
    while pending:
        prefix, group, depth = pending.pop()
        address = h5py.h5o.get_info(group.id).addr
        if address in visited:   # a cycle would not end
            continue
        if depth > _MAX_DEPTH:
            raise ValueError('its groups are nested too deeply')
        visited.add(address)
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                continue
            item = group[name]
            if isinstance(item, h5py.Group):
                path = stored_arrays.check_name(f'{prefix}{name}/')
                pending.append((path, item, depth + 1))
            elif isinstance(item, h5py.Dataset) and item.dtype.kind in 'fiu':
                yield prefix + name, item


def _check_dataset(dataset, path):
    """Check that the values of a dataset are in the file as they are.

    Raises:
        UserError: If they are in other files, or have a filter, which Keras does not use: HDF5
            takes memory of a size that compressed data choose, and loads plug-ins for filters.
    """
    if (dataset.external or dataset.is_virtual
            or dataset.id.get_create_plist().get_nfilters()):
        raise UserError(f'{path} holds compressed values, or values of other files. Save it again '
                        f'with Keras')


def _num_bytes(dataset):
    """Return the memory for reading a dataset: its values, and a chunk of the file."""
    chunk_size = math.prod(dataset.chunks) if dataset.chunks else 0
    return (math.prod(dataset.shape) + chunk_size) * dataset.dtype.itemsize


def _weight_names(file, keys, layer_configs):
    """Return {path of a dataset: '…/<layer>/<weight>'}.

    Keras 1 and 2 write '<layer>/<name of the variable>:0', which again starts with the layer; in
    files of whole models behind 'model_weights/'. Keras 3 writes '<class>_<n>/vars/<number>', and
    since version 3.4 the name of the layer as an attribute of 'vars'.

    Args:
        file: the HDF5 file.
        keys: paths of the datasets.
        layer_configs: {path of a layer of Keras 3: configuration}.
    """
    names = {}
    for key in keys:
        *path, group, number = ['', '', *key.split('/')]
        if group == 'vars':
            owner = key.rpartition('/vars/')[0]
            config, variables = layer_configs.get(owner, {}), file[f'{owner}/vars']
            layer = variables.attrs.get('name', config.get('name', path[-1]))
            variable = _variable(path[-1], number, config, variables)
            names[key] = stored_arrays.check_name(f'{owner}/{layer}/{variable}')
        else:
            names[key] = key.removeprefix('model_weights/').removesuffix(':0')
    return names


def _variable(class_name, number, config, variables):
    """Return the name of a variable of Keras 3; its number if the name is unknown.

    Args:
        class_name: name of the class in the file, such as 'conv2d_1'.
        number: the number in the file, a str.
        config: configuration of the layer; {} if unknown.
        variables: the group of the variables.
    """
    names = _VARIABLES.get(re.sub(r'_\d+$', '', class_name), ())
    unused = {name for name, option in (('gamma', 'scale'), ('beta', 'center'))
              if config.get(option) is False}
    if names == _MOMENTS and not config:   # gamma or beta may be missing
        unused = {4: (), 2: ('gamma', 'beta')}.get(len(variables), names)
    names = dict(enumerate(name for name in names if name not in unused))
    return names.get(int(number) if number.isdecimal() else None, number)


def _layer_configs(config):
    """Return {path of a layer in a file of Keras 3: its configuration} from a config.json."""
    configs, pending = {}, [('', config)]
    while pending:
        prefix, model = pending.pop()
        layers = (model.get('config') or {}).get('layers')
        counts = collections.Counter()
        for layer in layers if isinstance(layers, list) else ():
            name = _snake_case(layer['class_name'])
            suffix = f'_{counts[name]}' if counts[name] else ''
            counts[name] += 1
            for container in ('layers', '_layer_checkpoint_dependencies'):
                path = f'{prefix}{container}/{name}{suffix}'
                configs[path] = layer['config']
                pending.append((f'{path}/', layer))
    return configs


def _snake_case(class_name):
    """Convert 'Conv2D' to 'conv2d' and 'BatchNormalization' to 'batch_normalization', as Keras."""
    name = re.sub(r'\W+', '', class_name)
    name = re.sub('(.)([A-Z][a-z]+)', r'\1_\2', name)
    return re.sub('([a-z])([A-Z])', r'\1_\2', name).lower()

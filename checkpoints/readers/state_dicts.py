"""Find the weights among the other contents of a PyTorch file, and their names in the net."""
from checkpoints.readers.stored_arrays import check_name
from checkpoints.readers.torch_pickle import Instance, Tensor

# Keys of a training's weights; the moving averages come last, as others may be beside them.
_WRAPPERS = ('state_dict', 'model_state_dict', 'model', 'net', 'module', 'network', 'weights',
             'params', 'model_ema', 'ema_state_dict', 'ema')
_PREFIXES = ('module.', 'model.', 'net.', '_orig_mod.')
_MAX_DEPTH = 64   # of modules in modules
_MODULE_PARTS = ('_parameters', '_buffers', '_modules')   # attributes of torch.nn.Module


def find_tensors(content):
    """Find the tensors of a state dict in the value of a PyTorch file.

    Args:
        content: a state dict, a dict that holds one under a usual key, or a whole module; nested.

    Returns:
        A dict: name -> `Tensor`; {} if there is none, or several dicts under unusual keys.
    """
    return _find_tensors(content, set(), 0)


def _find_tensors(content, visited, depth):
    """See `find_tensors`.

    Args:
        content: as there.
        visited: ids of the dicts that were searched. Their number bounds the work, also in a cycle.
        depth: number of dicts around the content.
    """
    if not isinstance(content, dict) or id(content) in visited or depth > _MAX_DEPTH:
        return {}
    visited.add(id(content))
    for key in _WRAPPERS:
        if tensors := _find_tensors(content.get(key), visited, depth + 1):
            return tensors
    if tensors := _direct_tensors(content, visited):
        return tensors
    values = {id(value): value for value in content.values() if isinstance(value, dict)}
    candidates = [tensors for value in values.values()
                  if (tensors := _direct_tensors(value, visited))]
    return candidates[0] if len(candidates) == 1 else {}


def _direct_tensors(content, visited):
    """Return the tensors in a dict, or the parameters and buffers of a module."""
    tensors = {name: item for name, item in content.items() if isinstance(item, Tensor)}
    pending = [('', content.state, 0)] if isinstance(content, Instance) else []
    while pending:
        prefix, attributes, depth = pending.pop()
        if not isinstance(attributes, dict) or id(attributes) in visited or depth > _MAX_DEPTH:
            continue
        visited.add(id(attributes))
        for name, item in attributes.items():
            if isinstance(item, Tensor):
                tensors[check_name(prefix + name)] = item
            elif name in _MODULE_PARTS:
                pending.append((prefix, item, depth))
            elif isinstance(item, Instance):
                pending.append((check_name(f'{prefix}{name}.'), item.state, depth + 1))
    return tensors


def strip_prefixes(arrays):
    """Remove the prefixes that wrappers of nets, such as DataParallel, give to all names.

    Names without a dot, such as 'n_averaged', belong to the wrapper and keep theirs.
    """
    while True:
        names = [name for name in arrays if '.' in name]
        prefix = next((prefix for prefix in _PREFIXES
                       if names and all(name.startswith(prefix) for name in names)), None)
        if prefix is None:
            return arrays
        arrays = {name.removeprefix(prefix): array for name, array in arrays.items()}

"""Find the weights among the other contents of a PyTorch file, and their names in the net."""
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
        A dict: name -> `Tensor`; {} if there is none.
    """
    for _ in range(_MAX_DEPTH):
        if not isinstance(content, dict):
            return {}
        wrapped = [content[key] for key in _WRAPPERS if isinstance(content.get(key), dict)]
        wrapped = [value for value in wrapped if value or _state(value)]
        if not wrapped:
            break
        content = wrapped[0]
    tensors = _module_tensors(content)
    if not tensors:   # under an unusual key, if no other value holds tensors
        others = [other for other in map(_module_tensors, content.values()) if other]
        tensors = others[0] if len(others) == 1 else {}
    return tensors


def _state(value):
    """Return the attributes of an object; {} without."""
    state = getattr(value, 'state', None)
    return state if isinstance(state, dict) else {}


def _module_tensors(content):
    """Return the tensors in a state dict, or the parameters and buffers of a module."""
    tensors, seen = {}, set()
    pending = [('', content, 0)]
    while pending:
        prefix, value, depth = pending.pop()
        if not isinstance(value, dict) or id(value) in seen or depth > _MAX_DEPTH:
            continue
        seen.add(id(value))   # a cycle would not end
        if depth == 0:
            tensors.update((name, item) for name, item in value.items()
                           if isinstance(item, Tensor))
        state = _state(value)
        attributes = dict(state)
        for part in _MODULE_PARTS:
            if isinstance(state.get(part), dict):
                attributes |= state[part]
        for name, item in attributes.items():
            if isinstance(item, Tensor):
                tensors[prefix + name] = item
            elif isinstance(item, Instance) and name not in _MODULE_PARTS:
                pending.append((f'{prefix}{name}.', item, depth + 1))
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

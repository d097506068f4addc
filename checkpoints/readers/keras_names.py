"""Names of Keras weights: 'layer/kernel', whichever version of Keras wrote the file."""
import collections
import re


def canonical_names(arrays):
    """Rename the weights of Keras 2 as Keras 3 does: 'conv1/conv1/kernel:0' to 'conv1/kernel'.

    Args:
        arrays: a dict with names as keys. Names of other origin stay as they are.

    Returns:
        The dict with new names. Weights that would get the same name keep their own.
    """
    return rename(arrays, _without_repetition)


def _without_repetition(name):
    parts = name.removesuffix(':0').split('/')
    if len(parts) > 2 and parts[-3] == parts[-2]:
        del parts[-2]
    return '/'.join(parts)


def layer_and_weight(name):
    """Return '<layer>/<weight>' of the path of a weight in a file of a Keras model.

    'conv1_3/kernel' of the layer conv1 is from its third copy in one program: 'conv1/kernel'.
    """
    *parts, weight = name.split('/')
    if not parts:
        return weight
    is_copy = parts[0] != parts[-1] and re.fullmatch(rf'{re.escape(parts[0])}_\d+', parts[-1])
    return f'{parts[0] if is_copy else parts[-1]}/{weight}'


def rename(arrays, new_name):
    """Rename the entries of a dict, except those that would get the same name.

    Args:
        arrays: a dict with names as keys.
        new_name: function name -> new name.
    """
    counts = collections.Counter(map(new_name, arrays))
    return {new_name(name) if counts[new_name(name)] == 1 else name: array
            for name, array in arrays.items()}

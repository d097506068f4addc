"""Explain why a weight file is of no known kind."""
from checkpoints import kind, kinds

_MAX_NAMES = 3


def explain(source):
    """Return how a file differs from the nearest kind, and the known kinds, for an error.

    Args:
        source: a `WeightSource` that `kinds.identify` does not know.
    """
    titles = ', '.join(dict.fromkeys(row.title for row in kinds.KINDS))
    names = set(source.shapes)
    row, expected = max(((row, kind.expected_names(row)) for row in kinds.KINDS),
                        key=lambda pair: len(pair[1] & names) / len(pair[1]))
    held = expected & names
    if not held:
        return (f'its names, such as {_first(source.shapes) or "none"}, are of no known kind of '
                f'weights. Known are checkpoints of this project, and {titles}')
    missing, other = sorted(expected - held), sorted(names - expected)
    differences = [text for text in (
        missing and f'it lacks {_first(missing)}', other and f'it has {_first(other)}') if text]
    return (f'it is of no known kind of weights. The nearest is {row.title}, of which it holds '
            f'{len(held)} of {len(expected)} names: {" and ".join(differences)}. Known are '
            f'checkpoints of this project, and {titles}')


def _first(names):
    names = list(names)
    others = len(names) - _MAX_NAMES
    return ', '.join(names[:_MAX_NAMES]) + (f' and {others} more' if others > 0 else '')

"""Explain why weights are of no known kind, or do not tell their net."""
from checkpoints import kind, kinds
from checkpoints.scopes import is_under
from nets import nets_factory
from nets.backbones import BACKBONES
from nets.net_table import NETS

_MAX_NAMES = 3


def nets_in(source):
    """Return the names of our nets under whose scopes a source has variables."""
    return [net for net in NETS if any(is_under(name, net) for name in source.shapes)]


def backbone_in(source):
    """Return the backbone of whose kind a source is, or whose absolute scopes it has; or None."""
    row = kinds.identify(source)
    return row.backbone if row else next(
        (name for name, backbone in BACKBONES.items() if backbone.has_own_scope and any(
            is_under(name, scope) for scope in backbone.scopes for name in source.shapes)), None)


def explain_unknown_net(source):
    """Return why the net of weights without a configuration is unknown, and the remedy.

    Args:
        source: a `WeightSource`.
    """
    row, backbone = kinds.identify(source), backbone_in(source)
    nets = nets_in(source) or nets_factory.names_with_backbone(backbone)
    if not nets:
        return f'{source.path} cannot be used: {explain(source)}'
    holds = f'holds {row.title}, but not a complete detector' if row else (
        'does not tell which net it is of')
    return (f'{source.path} {holds}. Pass '
            f'{"--model_name=" if len(nets) == 1 else "as --model_name one of "}{", ".join(nets)}')


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
    remaining = len(names) - _MAX_NAMES
    return ', '.join(names[:_MAX_NAMES]) + (f' and {remaining} more' if remaining > 0 else '')

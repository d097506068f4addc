"""The fields in which a net differs from its entry in the table, as values of JSON.

They are kept with a checkpoint, so that a net that another program has trained is rebuilt as it
was: {'image_size': 512, 'extra_activation': 'relu6'}.
"""
from common.errors import UserError
from nets.backbones import BACKBONES
from nets.ssd_params import ExtraBlock, feature_sizes

_MAX_CHANNELS = 1 << 16
_MAX_PIXELS = 4096   # of an input's side: beyond it, values are mistakes


def _whole(low, high):
    """Return a check for a whole number in [low, high]."""
    return lambda value: type(value) is int and low <= value <= high


def _real(low, high):
    """Return a check for a number in [low, high]."""
    return lambda value: type(value) in (int, float) and low <= value <= high


def _one_of(*choices):
    """Return a check for one of these values. 1 is not True."""
    return lambda value: any(type(value) is type(choice) and value == choice for choice in choices)


def _either(*checks):
    return lambda value: any(check(value) for check in checks)


def _list_of(*checks):
    """Return a check for a list with an item for each check."""
    return lambda value: (isinstance(value, list) and len(value) == len(checks)
                          and all(check(item) for check, item in zip(checks, value, strict=True)))


def _all_in_list(check):
    """Return a check for a list of any length."""
    return lambda value: isinstance(value, list) and all(map(check, value))


def _is_name(value):
    return isinstance(value, str) and value.replace('_', '').isalnum() and value.isascii()


_ACTIVATIONS = ('relu', 'relu6', 'hard_swish')
_BLOCK = _list_of(   # the fields of `ExtraBlock`
    _is_name, _whole(1, _MAX_CHANNELS), _whole(1, _MAX_CHANNELS), _whole(1, 16), _whole(1, 16),
    _either(_one_of('SAME'), _whole(0, 16)))
_CHECKS = {   # field of `SSDParams` -> check of its value
    'image_size': _whole(1, _MAX_PIXELS),
    'depth_multiplier': _real(1 / 64, 64),
    'extra_blocks': _all_in_list(_BLOCK),
    'feat_layers': _all_in_list(_is_name),
    'normalizations': _all_in_list(_either(_one_of(None, 'batch_norm'),
                                           _real(1e-6, 1e6))),
    'variances': _list_of(*[_real(1e-6, 1e6)] * 4),
    'mean': _list_of(*[_real(-1e6, 1e6)] * 3),
    'scale': _real(1e-6, 1e6),
    'heads': _all_in_list(_one_of('conv3x3', 'conv1x1', 'separable')),
    'padding': _one_of('SAME', 'symmetric'),
    'activation': _one_of('', *_ACTIVATIONS),
    'extra_activation': _one_of(*_ACTIVATIONS),
    'separable_extra': _one_of(False, True),
    'linear_extra': _one_of(False, True),
    'stride_unit': _one_of('last', 'first'),
    'reduced_tail': _one_of(False, True),
    'scores': _one_of('softmax', 'sigmoid')}


def to_json(params, entry):
    """Return the fields of a net that differ from its entry in the table; anchors excluded."""
    return {field: _lists(getattr(params, field)) for field in _CHECKS
            if getattr(params, field) != getattr(entry, field)}


def of_backbone(fields):
    """Return those of the fields on which the weights of a backbone depend, as values of JSON.

    Args:
        fields: dict of fields of `SSDParams`.
    """
    return {field: _lists(value) for field, value in fields.items()
            if field in ('activation', 'padding', 'stride_unit', 'mean', 'scale')}


def from_json(entry, differences):
    """Return the `SSDParams` of an entry in the table with other values in some fields.

    Args:
        entry: `SSDParams` of the table.
        differences: a dict, see `to_json`.

    Raises:
        UserError: If a field is unknown, its value is invalid, or the layers do not fit together.
    """
    for field, value in differences.items():
        if field not in _CHECKS or not _CHECKS[field](value):
            raise UserError(f'{field}={value!r} is not a property of a net. Restore the '
                            f'config.json of the checkpoint')
    values = {field: _tuples(value) for field, value in differences.items()}
    if 'extra_blocks' in values:
        values['extra_blocks'] = tuple(ExtraBlock(*row) for row in values['extra_blocks'])
    params = entry._replace(**values)
    problem = _problem_of_layers(params)
    if problem:
        raise UserError(f'{problem}. Restore the config.json of the checkpoint')
    return params


def _problem_of_layers(params):
    """Return why the layers of a net do not fit together, or ''."""
    names = [block.name for block in params.extra_blocks]
    known = [*BACKBONES[params.backbone].halvings, *names]
    unknown = [layer for layer in params.feat_layers if layer not in known]
    if unknown or len(set(known)) < len(known) or len(set(params.feat_layers)) < len(
            params.feat_layers):
        return (f'feat_layers={list(params.feat_layers)} has to name each layer once, of '
                f'{", ".join(known)}')
    for field in ('anchor_ratios', 'normalizations', 'heads'):
        count = len(getattr(params, field))
        if count != len(params.feat_layers) and (count or field != 'heads'):
            return (f'{params.name} has {count} {field} and {len(params.feat_layers)} feature '
                    f'layers')
    if min(feature_sizes(params)) < 1:
        return f'image_size={params.image_size} leaves nothing for the last layers'
    return ''


def _lists(value):
    return [_lists(item) for item in value] if isinstance(value, tuple) else value


def _tuples(value):
    return tuple(map(_tuples, value)) if isinstance(value, list) else value

"""Look up nets by name."""
import difflib
import re

from common.errors import UserError
from nets import anchor_presets
from nets.net_table import NETS
from nets.ssd_params import ExtraBlock

# Fields that another program's net of the same backbone may have otherwise than ours.
_VARIABLE_FIELDS = (
    'image_size', 'depth_multiplier', 'extra_blocks', 'feat_layers', 'normalizations', 'variances',
    'mean', 'scale', 'heads', 'padding', 'activation', 'extra_activation', 'separable_extra',
    'linear_extra', 'stride_unit', 'reduced_tail', 'scores')

_ACTIVATIONS = ('relu', 'relu6', 'hard_swish')
_CHOICES = {'heads': ('conv3x3', 'conv1x1', 'separable'), 'padding': ('SAME', 'symmetric'),
            'activation': ('', *_ACTIVATIONS), 'extra_activation': _ACTIVATIONS,
            'scores': ('softmax', 'sigmoid'), 'stride_unit': ('last', 'first')}
_MAX_IMAGE_SIZE = 4096


def names():
    """Return the names of all nets, sorted."""
    return sorted(NETS)


def get_params(name, anchor_preset='voc', differences=None):
    """Return the `SSDParams` of a net with the anchors of a preset.

    Args:
        name: one of `names()`.
        anchor_preset: a preset, sizes or a file: see `anchor_presets.canonical_text`.
        differences: fields in which the net differs from the table, see `differences_from_table`.

    Raises:
        UserError: If the name, the preset or a field is invalid.
    """
    if name not in NETS:
        matches = _similar_names(name)
        hint = f' Did you mean {matches[0]}?' if matches else ''
        raise UserError(f"unknown net '{name}'.{hint} Choose one of {', '.join(names())}")
    params = NETS[name]._replace(**_from_json(name, differences or {}))
    return anchor_presets.with_preset(params, anchor_preset)


def _similar_names(name):
    """Return the names that a user may mean, the most similar first.

    The order of the words does not matter: ssd_vgg_300 means ssd_300_vgg.
    """
    by_words = {' '.join(_words(known)): known for known in reversed(names())}
    matches = difflib.get_close_matches(' '.join(_words(name)), by_words, n=3, cutoff=.4)
    return [by_words[match] for match in matches]


def _words(name):
    """Return the sorted words and numbers of a name: ['300', 'ssd', 'vgg'] of 'SSD300-VGG16'."""
    width = re.sub(r'0\.(\d+)', lambda match: f'0{match[1]:0<2}', name.lower())   # 0.5 -> 050
    return sorted(re.findall(r'v\d+|[a-z]+?(?=v\d|[^a-z]|$)|\d+', width))


def differences_from_table(params):
    """Return the fields in which a net differs from the table, as values of JSON; anchors excluded.

    They are kept with a checkpoint, so that a net that another program has trained is rebuilt as it
    was: {'image_size': 512, 'extra_activation': 'relu6'}.
    """
    return {field: _to_json(getattr(params, field)) for field in _VARIABLE_FIELDS
            if getattr(params, field) != getattr(NETS[params.name], field)}


def _to_json(value):
    return [_to_json(item) for item in value] if isinstance(value, tuple) else value


def _from_json(name, differences):
    """Return fields of `SSDParams` from the values of `differences_from_table`."""
    values = {}
    for field, value in differences.items():
        ours = getattr(NETS[name], field) if field in _VARIABLE_FIELDS else None
        if field == 'extra_blocks':
            value = [ExtraBlock(*row) if _has_length(row, len(ExtraBlock._fields)) else None
                     for row in (value if isinstance(value, list) else [None])]
            value = None if None in value else value
        value = tuple(value) if isinstance(value, list) else value
        if ours is None or not _is_like(value, ours) or not _is_choice(field, value):
            raise UserError(f'{field}={differences[field]!r} is not a property of a net. Restore '
                            f'the config.json of the checkpoint')
        values[field] = value
    return values


def _has_length(row, length):
    return isinstance(row, list) and len(row) == length


def _is_choice(field, value):
    """Return whether a value is one that the builder knows."""
    if field == 'image_size':
        return 0 < value <= _MAX_IMAGE_SIZE
    values = value if isinstance(value, tuple) else (value,)
    return field not in _CHOICES or all(value in _CHOICES[field] for value in values)


def _is_like(value, ours):
    """Return whether a value has the type of ours; whole numbers may stand for others."""
    if isinstance(ours, bool) or isinstance(value, bool):
        return type(value) is type(ours)
    if isinstance(ours, float):
        return isinstance(value, int | float)
    return isinstance(value, type(ours))

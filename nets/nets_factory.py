"""Look up nets by name."""
import difflib
import re

from common.errors import UserError
from nets import anchor_presets, net_fields
from nets.net_table import NETS


def names():
    """Return the names of all nets, sorted."""
    return sorted(NETS)


def names_with_backbone(backbone):
    """Return the names of the nets with a backbone, a key of `BACKBONES`."""
    return [name for name, params in NETS.items() if params.backbone == backbone]


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
    params = net_fields.from_json(NETS[name], differences or {})
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


def inherited_differences(name, known):
    """Return the differences from the table that a net takes over with pretrained weights.

    Weights mean what they meant only in the net that learned them. The same net takes over all
    differences, another net with the same backbone those of the backbone.

    Args:
        name: name of the net.
        known: dict of what is known of the net of the weights: 'model_name', or 'backbone' of a
            backbone alone, and 'net', see `differences_from_table`.
    """
    differences, known_name = known.get('net', {}), known.get('model_name')
    if known_name == name:
        return differences
    backbone = NETS[known_name].backbone if known_name in NETS else known.get('backbone')
    is_same_backbone = name in NETS and NETS[name].backbone == backbone
    return net_fields.of_backbone(differences) if is_same_backbone else {}


def differences_from_table(params):
    """Return the fields in which a net differs from the table, see `net_fields.to_json`."""
    return net_fields.to_json(params, NETS[params.name])

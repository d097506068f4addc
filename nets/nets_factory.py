"""Look up nets by name."""
import difflib

from common.errors import UserError
from nets import anchor_presets, ssd_params


def names():
    """Return the names of all nets, sorted."""
    return sorted(ssd_params.NETS)


def get_params(name, anchor_preset='voc'):
    """Return the `SSDParams` of a net with the anchors of a preset.

    Args:
        name: one of `names()`.
        anchor_preset: a preset, sizes or a file: see `anchor_presets.canonical_text`.

    Raises:
        UserError: If the name or the preset is invalid.
    """
    if name not in ssd_params.NETS:
        matches = difflib.get_close_matches(name, names(), n=1)
        hint = f' Did you mean {matches[0]}?' if matches else ''
        raise UserError(f"unknown net '{name}'.{hint} Choose one of {', '.join(names())}")
    return anchor_presets.with_preset(ssd_params.NETS[name], anchor_preset)

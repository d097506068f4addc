"""Nets by name."""
import difflib

from common.errors import UserError
from nets import anchor_presets, ssd_params


def names():
    """Names of all nets, sorted."""
    return sorted(ssd_params.NETS)


def get_params(name, anchor_preset='voc'):
    """The `SSDParams` of a net with the anchors of a preset, as `anchor_presets.canonical_text` takes it; UserError if none."""
    if name not in ssd_params.NETS:
        near = difflib.get_close_matches(name, names(), n=1)
        hint = f' Did you mean {near[0]}?' if near else ''
        raise UserError(f"no net is called '{name}'; there are {', '.join(names())}.{hint}")
    return anchor_presets.with_preset(ssd_params.NETS[name], anchor_preset)

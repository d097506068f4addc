"""Nets by name."""
import difflib

from deployment.errors import UserError
from nets import ssd_params


def names():
    """Names of all nets, sorted."""
    return sorted(ssd_params.NETS)


def get_params(name, anchor_preset='voc'):
    """The `SSDParams` of a net with the anchor sizes of a preset; UserError for an unknown name."""
    if name not in ssd_params.NETS:
        near = difflib.get_close_matches(name, names(), n=1)
        hint = f' Did you mean {near[0]}?' if near else ''
        raise UserError(f"no net is called '{name}'; there are {', '.join(names())}.{hint}")
    if anchor_preset not in ssd_params.PRESETS:
        raise UserError(f"no anchor preset is called '{anchor_preset}'; "
                        f"there are {', '.join(ssd_params.PRESETS)}")
    return ssd_params.with_preset(ssd_params.NETS[name], anchor_preset)

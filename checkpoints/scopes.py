"""Scopes as flags name them: 'ssd_300_vgg/conv6,ssd_300_vgg/conv7' means all variables below either."""
import difflib

from common.errors import UserError


def is_under(name, scope):
    """Whether a variable's name lies under a scope; 'net/conv10/weights' does not lie under 'net/conv1'."""
    return name == scope or name.startswith(scope + '/')


def variables_under(flag, text, variables):
    """Those variables that lie under one of the scopes (commas), in the order of the scopes, each once.

    flag: name of the flag, for the UserError where a scope holds none.
    """
    chosen = []
    scopes = [scope for scope in (part.strip().rstrip('/') for part in (text or '').split(',')) if scope]
    if text and not scopes:
        raise UserError(f"--{flag}='{text}' names no scope")
    for scope in scopes:
        under = [v for v in variables if is_under(v.op.name, scope)]
        if not under:
            prefixes = {'/'.join(v.op.name.split('/')[:depth]) for v in variables for depth in (1, 2, 3)}
            near = difflib.get_close_matches(scope, sorted(prefixes), 3, 0)
            raise UserError(f"--{flag}: no variable lies under '{scope}'; like it are {', '.join(near)}")
        chosen += [v for v in under if v not in chosen]
    return chosen

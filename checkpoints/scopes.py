"""Variable scopes in flags: 'ssd_300_vgg/conv6,ssd_300_vgg/conv7'."""
import difflib

from common.errors import UserError


def is_under(name, scope):
    """Return whether a variable name is under a scope: 'net/conv10/b' is not under 'net/conv1'."""
    return name == scope or name.startswith(scope + '/')


def variables_under(flag_name, flag_value, variables):
    """Select the variables under the scopes of a flag.

    Args:
        flag_name: name of the flag, for errors.
        flag_value: scopes separated by commas, or None.
        variables: list of variables.

    Returns:
        A list of the variables under any of the scopes, in the order of the scopes, without
        duplicates. Empty without a flag value.

    Raises:
        UserError: If the flag value holds no scope, or a scope holds no variable. The message lists
            similar scopes.
    """
    scopes = [scope.strip().rstrip('/') for scope in (flag_value or '').split(',')]
    scopes = [scope for scope in scopes if scope]
    if flag_value and not scopes:
        raise UserError(f"--{flag_name}='{flag_value}' names no scope. Pass scopes separated by "
                        f"commas, or leave out the flag")
    selected = []
    for scope in scopes:
        under = [v for v in variables if is_under(v.op.name, scope)]
        if not under:
            prefixes = {'/'.join(v.op.name.split('/')[:depth])
                        for v in variables for depth in (1, 2, 3)}
            similar = difflib.get_close_matches(scope, sorted(prefixes), 3, 0)
            raise UserError(f"--{flag_name}: no variable lies under '{scope}'; similar scopes "
                            f"are {', '.join(similar)}")
        selected += [v for v in under if v not in selected]
    return selected

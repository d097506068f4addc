import types

import pytest

from checkpoints import scopes
from common.errors import UserError

VARIABLES = [types.SimpleNamespace(op=types.SimpleNamespace(name=name))
             for name in ('net/conv1/weights', 'net/conv10/weights', 'net/head/weights')]
CONV1, CONV10, HEAD = VARIABLES


@pytest.mark.parametrize('text, expected', [
    (None, []), ('', []),
    ('net/head/,net/conv1, net/head', [HEAD, CONV1]),
    ('net/conv1', [CONV1]),                    # conv10 does not lie under conv1
    ('net', VARIABLES),
    ('net/conv10/weights', [CONV10])])
def test_variables_under_scopes(text, expected):
    assert scopes.variables_under('a_flag', text, VARIABLES) == expected


def test_a_flag_that_names_no_scope():
    with pytest.raises(UserError, match="--a_flag=' , ' names no scope"):
        scopes.variables_under('a_flag', ' , ', VARIABLES)


def test_a_scope_without_variables_names_what_is_near():
    with pytest.raises(UserError, match="--a_flag: no variable lies under 'net/conv2'; like it are .*net/conv1"):
        scopes.variables_under('a_flag', 'net/head,net/conv2', VARIABLES)

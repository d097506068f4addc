import types

import pytest

from checkpoints import scopes
from common.errors import UserError

VARIABLES = [types.SimpleNamespace(op=types.SimpleNamespace(name=name))
             for name in ('net/conv1/weights', 'net/conv10/weights', 'net/head/weights')]
CONV1, CONV10, HEAD = VARIABLES


@pytest.mark.parametrize('flag_value, expected', [
    (None, []), ('', []),
    ('net/head/,net/conv1, net/head', [HEAD, CONV1]),
    ('net/conv1', [CONV1]),   # conv10 is not under conv1
    ('net', VARIABLES),
    ('net/conv10/weights', [CONV10])])
def test_variables_under_scopes(flag_value, expected):
    assert scopes.variables_under('a_flag', flag_value, VARIABLES) == expected


def test_a_flag_value_without_a_scope_is_rejected():
    with pytest.raises(UserError, match="--a_flag=' , ' names no scope"):
        scopes.variables_under('a_flag', ' , ', VARIABLES)


def test_the_error_for_an_empty_scope_names_similar_scopes():
    message = "--a_flag: no variable lies under 'net/conv2'; similar scopes are .*net/conv1"
    with pytest.raises(UserError, match=message):
        scopes.variables_under('a_flag', 'net/head,net/conv2', VARIABLES)

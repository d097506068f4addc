import sys

import pytest

from common.errors import UserError
from visualization import plotting


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, 'matplotlib', None)
    with pytest.raises(UserError, match='--plot needs matplotlib, which is missing: pip install'):
        plotting.pyplot('--plot')


def test_no_window_is_wanted():
    assert plotting.pyplot('--plot').get_backend().lower() == 'agg'

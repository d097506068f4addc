import sys

import pytest

from common.errors import UserError
from visualization import plotting


def test_missing_matplotlib_raises_user_error(monkeypatch):
    monkeypatch.setitem(sys.modules, 'matplotlib', None)
    with pytest.raises(UserError, match='--plot needs matplotlib, which is not installed. Run pip'):
        plotting.import_pyplot('--plot')


def test_backend_opens_no_window():
    assert plotting.import_pyplot('--plot').get_backend().lower() == 'agg'

import contextlib

import pytest
import tensorflow.compat.v1 as tf

from common.errors import UserError
from training.file_limit import report_large_files


@contextlib.contextmanager
def supervisor_that_takes_the_error_for_the_end_of_the_data():
    with contextlib.suppress(tf.errors.OutOfRangeError):
        raise tf.errors.OutOfRangeError(None, None, 'graph.pbtxt; File too large')
        yield


def test_large_files_are_reported():
    message = 'a file in runs/a would exceed the largest size. Raise the limit .ulimit -f.'
    with pytest.raises(UserError, match=message), report_large_files('runs/a'), \
         supervisor_that_takes_the_error_for_the_end_of_the_data():
        pass
    with pytest.raises(UserError, match=message), report_large_files('runs/a'):
        raise tf.errors.OutOfRangeError(None, None, 'events; File too large')


@pytest.mark.parametrize('error', [RuntimeError('other'), ValueError('other')])
def test_other_errors_pass_through(error):
    with pytest.raises(type(error), match='other'), report_large_files('runs/a'):
        raise error

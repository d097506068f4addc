"""Files of a training that are too large, for example because of `ulimit -f`."""
import contextlib

import tensorflow.compat.v1 as tf

from common.errors import UserError


@contextlib.contextmanager
def report_large_files(folder):
    """Return a context that raises UserError if a file in a folder would be too large.

    TensorFlow reports this as OutOfRangeError, which tf-slim and the supervisor take for the end of
    the data: the run would end without an error, or with a misleading one.
    """
    try:
        yield
    except (tf.errors.OutOfRangeError, RuntimeError) as error:
        # The second is what remains of such an error if the supervisor cannot write the graph.
        if isinstance(error, RuntimeError) and str(error) != "generator didn't yield":
            raise
        raise UserError(f'a file in {folder} would exceed the largest size. Raise the limit '
                        f'(ulimit -f), or write to another file system') from error

"""Shared by all tests: graph mode, a fresh graph for each test, the real data where it exists."""
import logging
import os
import pathlib
import sys

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '1')   # as in `cli.app`
# The tests mean the CPU: bits that repeat, logical devices, and no process that takes a GPU from another.
os.environ['CUDA_VISIBLE_DEVICES'] = ''
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import pytest  # noqa: E402
import tensorflow.compat.v1 as tf  # noqa: E402

tf.disable_eager_execution()
tf.logging.set_verbosity(tf.logging.ERROR)


@pytest.fixture(autouse=True)
def fresh_graph():
    """A default graph of its own for every test, seeded."""
    with tf.Graph().as_default():
        tf.set_random_seed(0)
        yield


@pytest.fixture
def evaluate():
    """A function that runs fetches in a new session on the test's graph, all variables initialised."""
    def run(fetches, feed_dict=None):
        with tf.Session() as session:
            session.run([tf.global_variables_initializer(), tf.local_variables_initializer(),
                         tf.tables_initializer()])
            return session.run(fetches, feed_dict)
    return run


@pytest.fixture
def loggers_as_before():
    """Gives the loggers of `cli.console` back as they were."""
    loggers = [logging.getLogger(name) for name in ('ssd', 'ssd.file')]
    before = [(logger, logger.handlers[:], logger.propagate, logger.level) for logger in loggers]
    yield
    for logger, handlers, propagate, level in before:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


@pytest.fixture
def shared():
    """The folder of real data and known answers that may lie beside the checkout; skips where it does not."""
    folder = ROOT.parent / 'shared'
    if not folder.is_dir():
        pytest.skip(f'no real data at {folder}')
    return folder


@pytest.fixture(scope='session')
def exportable(tmp_path_factory):
    """A folder with a checkpoint of a small net that finds dozens of things in any picture."""
    import exported_net
    folder = tmp_path_factory.mktemp('exportable')
    exported_net.write_checkpoint(folder)
    return folder


@pytest.fixture
def cells(shared):
    """Three real pictures, encoded: blood cells, 640x480."""
    return [path.read_bytes() for path in sorted((shared / 'data/BCCD/JPEGImages').glob('*.jpg'))[:3]]


@pytest.fixture
def decoded(cells):
    """Their pixels, [3, 480, 640, 3] uint8, by the decoder that prediction uses: others differ by a level or two."""
    with tf.Graph().as_default(), tf.Session() as session:
        return session.run(tf.stack([tf.io.decode_jpeg(cell) for cell in cells]))

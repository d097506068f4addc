"""Shared by all tests: graph mode, a new graph for each test, fixtures with real data."""
import io
import logging
import os
import pathlib
import sys

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '1')   # as in `cli.app`
# Tests run on the CPU: reproducible bits, logical devices, no processes that compete for a GPU.
os.environ['CUDA_VISIBLE_DEVICES'] = ''
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import tensorflow.compat.v1 as tf  # noqa: E402
from PIL import Image  # noqa: E402

tf.disable_eager_execution()
tf.logging.set_verbosity(tf.logging.ERROR)


@pytest.fixture(autouse=True)
def fresh_graph():
    """Give every test a new default graph with a fixed seed."""
    with tf.Graph().as_default():
        tf.set_random_seed(0)
        yield


@pytest.fixture
def evaluate():
    """Function (fetches) that runs them in a new session after initializing all variables."""
    def run(fetches, feed_dict=None):
        with tf.Session() as session:
            session.run([tf.global_variables_initializer(), tf.local_variables_initializer(),
                         tf.tables_initializer()])
            return session.run(fetches, feed_dict)
    return run


@pytest.fixture
def loggers_as_before():
    """Restores the loggers of `cli.console` after the test."""
    loggers = [logging.getLogger(name) for name in ('ssd', 'ssd.file')]
    before = [(logger, logger.handlers[:], logger.propagate, logger.level) for logger in loggers]
    yield
    for logger, handlers, propagate, level in before:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


@pytest.fixture
def shared():
    """The folder of real data next to the checkout; skips the test if it does not exist."""
    folder = ROOT.parent / 'shared'
    if not folder.is_dir():
        pytest.skip(f'no real data at {folder}')
    return folder


@pytest.fixture(scope='session')
def exportable(tmp_path_factory):
    """A folder with a checkpoint of a small net that has dozens of detections in any image."""
    import exported_net
    folder = tmp_path_factory.mktemp('exportable')
    exported_net.write_checkpoint(folder)
    return folder


@pytest.fixture
def cells(shared):
    """Three encoded images of blood cells, 640x480."""
    paths = sorted((shared / 'data/BCCD/JPEGImages').glob('*.jpg'))
    return [path.read_bytes() for path in paths[:3]]


@pytest.fixture
def decoded(cells):
    """The pixels of `cells`, [3, 480, 640, 3] uint8, as prediction decodes them."""
    return np.stack([Image.open(io.BytesIO(cell)) for cell in cells])

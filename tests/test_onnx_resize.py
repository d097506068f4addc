import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from exporting import onnx, onnx_resize
from preprocessing import ssd_preprocessing

onnxruntime = pytest.importorskip('onnxruntime')
pytest.importorskip('tf2onnx')


@pytest.mark.parametrize('shape, rounding', [
    ((480, 640), 0), ((100, 90), 0), ((300, 300), 0), ((1, 7), 0), ((750, 1000), 1)])   # the last by areas
def test_onnxruntime_resizes_as_tensorflow(shape, rounding):
    images = tf.placeholder(tf.uint8, [None, None, None, 3], 'images')
    resized = tf.identity(ssd_preprocessing.resize_pixels_for_eval(images, 300, **onnx_resize.KERNELS), 'resized')
    pictures = np.random.default_rng(0).integers(0, 256, [2, *shape, 3], np.uint8)
    with tf.Session() as session:
        expected = session.run(ssd_preprocessing.resize_pixels_for_eval(images, 300), {images: pictures})
        model = onnx.to_onnx(session.graph.as_graph_def(), 'resize', [resized.op.name])
    found, = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {'images': pictures})
    difference = np.abs(found.astype(int) - expected)
    assert difference.max() <= rounding and difference.mean() < .02   # a mean on a half may round either way


def test_between_two_pixels(evaluate):
    # Two pixels onto four, whose centres lie at -0.25, 0.25, 0.75 and 1.25.
    first, second, far = evaluate(onnx_resize._between(tf.constant(2), tf.constant(4)))
    assert first[1:].tolist() == [0, 0, 1] and second[1:].tolist() == [1, 1, 1]
    assert first[0] == second[0] == 0
    np.testing.assert_allclose(far[1:3], [.25, .75])


def test_shares_of_an_area(evaluate):
    # Three pixels onto two: each takes one and a half.
    np.testing.assert_allclose(evaluate(onnx_resize._shares(tf.constant(3), tf.constant(2))),
                               [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]], atol=1e-6)

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from exporting import onnx, onnx_resize
from preprocessing import ssd_preprocessing

onnxruntime = pytest.importorskip('onnxruntime')
pytest.importorskip('tf2onnx')


@pytest.mark.parametrize('shape, max_difference', [
    ((480, 640), 0), ((100, 90), 0), ((300, 300), 0), ((1, 7), 0),
    ((750, 1000), 1)])   # an area resize, where sums that end in .5 may be rounded either way
def test_onnxruntime_resizes_like_tensorflow(shape, max_difference):
    images = tf.placeholder(tf.uint8, [None, None, None, 3], 'images')
    resized = tf.identity(
        ssd_preprocessing.resize_pixels_for_eval(images, 300, **onnx_resize.KERNELS), 'resized')
    pixels = np.random.default_rng(0).integers(0, 256, [2, *shape, 3], np.uint8)
    with tf.Session() as session:
        expected = session.run(ssd_preprocessing.resize_pixels_for_eval(images, 300),
                               {images: pixels})
        model = onnx.convert(session.graph.as_graph_def(), 'resize', [resized.op.name])
    actual, = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {'images': pixels})
    difference = np.abs(actual.astype(int) - expected)
    assert difference.max() <= max_difference and difference.mean() < .02


def test_interpolation_of_two_pixels_to_four(evaluate):
    # The centers of the four pixels are at -0.25, 0.25, 0.75 and 1.25.
    first, second, weights = evaluate(
        onnx_resize._interpolation(tf.constant(2), tf.constant(4)))
    assert first[1:].tolist() == [0, 0, 1] and second[1:].tolist() == [1, 1, 1]
    assert first[0] == second[0] == 0
    np.testing.assert_allclose(weights[1:3], [.25, .75])


def test_area_weights_of_three_pixels_to_two(evaluate):
    weights = evaluate(onnx_resize._area_weights(tf.constant(3), tf.constant(2)))
    np.testing.assert_allclose(weights, [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]], atol=1e-6)

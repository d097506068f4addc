import numpy as np
import pytest
import tensorflow as tf2

from nets import boxes

A = [[0, 0, 2, 2], [0, 0, 1, 1], [3, 3, 3, 3]]
B = [[1, 1, 3, 3], [0, 0, 2, 2], [3, 3, 3, 3]]


@pytest.mark.parametrize('xp', [np, tf2], ids=['numpy', 'tensorflow'])
class TestNumpyAndTensorflow:
    def to_array(self, xp, values):
        return np.float32(values) if xp is np else tf2.constant(values, tf2.float32)

    def value(self, evaluate, xp, result):
        return result if xp is np else evaluate(result)

    def test_iou_of_shifted_equal_disjoint_and_empty_boxes(self, xp, evaluate):
        iou = boxes.iou(self.to_array(xp, A), self.to_array(xp, B), xp)
        np.testing.assert_allclose(self.value(evaluate, xp, iou),
                                   [[1 / 7, 1, 0], [0, 1 / 4, 0], [0, 0, 0]], rtol=1e-6)

    def test_intersection(self, xp, evaluate):
        shared = boxes.intersection(self.to_array(xp, A), self.to_array(xp, B), xp)
        np.testing.assert_array_equal(self.value(evaluate, xp, shared),
                                      [[1, 4, 0], [0, 1, 0], [0, 0, 0]])

    def test_iou_without_boxes(self, xp, evaluate):
        no_boxes = np.zeros([0, 4], np.float32) if xp is np else tf2.zeros([0, 4])
        iou = self.value(evaluate, xp, boxes.iou(no_boxes, self.to_array(xp, B), xp))
        assert iou.shape == (0, 3)

    def test_clip(self, xp, evaluate):
        window = self.to_array(xp, [0., 0., 1., 1.])
        clipped = boxes.clip(self.to_array(xp, [[-1., .5, .5, 2.], [2., 2., 3., 3.]]), window, xp)
        np.testing.assert_array_equal(self.value(evaluate, xp, clipped),
                                      [[0, .5, .5, 1], [1, 1, 1, 1]])

    def test_to_corners_inverts_to_center(self, xp, evaluate):
        centered = boxes.to_center(self.to_array(xp, [[.1, .2, .5, .4]]), xp)
        np.testing.assert_allclose(self.value(evaluate, xp, centered), [[.3, .3, .4, .2]],
                                   rtol=1e-6)
        np.testing.assert_allclose(
            self.value(evaluate, xp, boxes.to_corners(centered, xp)), [[.1, .2, .5, .4]], rtol=1e-6)


def test_area():
    np.testing.assert_array_equal(boxes.area(np.array(A)), [4, 1, 0])

import numpy as np
import pytest
import tensorflow as tf2

from nets import boxes

A = [[0, 0, 2, 2], [0, 0, 1, 1], [3, 3, 3, 3]]
B = [[1, 1, 3, 3], [0, 0, 2, 2], [3, 3, 3, 3]]


@pytest.mark.parametrize('xp', [np, tf2], ids=['numpy', 'tensorflow'])
class TestBothModules:
    def make(self, xp, values):
        return np.float32(values) if xp is np else tf2.constant(values, tf2.float32)

    def value(self, evaluate, xp, result):
        return result if xp is np else evaluate(result)

    def test_iou_of_shifted_equal_disjoint_and_empty_boxes(self, xp, evaluate):
        found = self.value(evaluate, xp, boxes.iou(self.make(xp, A), self.make(xp, B), xp))
        np.testing.assert_allclose(found, [[1 / 7, 1, 0], [0, 1 / 4, 0], [0, 0, 0]], rtol=1e-6)

    def test_intersection(self, xp, evaluate):
        found = self.value(evaluate, xp, boxes.intersection(self.make(xp, A), self.make(xp, B), xp))
        np.testing.assert_array_equal(found, [[1, 4, 0], [0, 1, 0], [0, 0, 0]])

    def test_no_boxes_at_all(self, xp, evaluate):
        none = np.zeros([0, 4], np.float32) if xp is np else tf2.zeros([0, 4])
        assert self.value(evaluate, xp, boxes.iou(none, self.make(xp, B), xp)).shape == (0, 3)

    def test_clip(self, xp, evaluate):
        window = self.make(xp, [0., 0., 1., 1.])
        found = self.value(evaluate, xp, boxes.clip(
            self.make(xp, [[-1., .5, .5, 2.], [2., 2., 3., 3.]]), window, xp))
        np.testing.assert_array_equal(found, [[0, .5, .5, 1], [1, 1, 1, 1]])

    def test_centre_and_back(self, xp, evaluate):
        given = self.make(xp, [[.1, .2, .5, .4]])
        centred = boxes.to_center(given, xp)
        np.testing.assert_allclose(self.value(evaluate, xp, centred), [[.3, .3, .4, .2]], rtol=1e-6)
        np.testing.assert_allclose(self.value(evaluate, xp, boxes.to_corners(centred, xp)),
                                   [[.1, .2, .5, .4]], rtol=1e-6)


def test_area():
    np.testing.assert_array_equal(boxes.area(np.array(A)), [4, 1, 0])

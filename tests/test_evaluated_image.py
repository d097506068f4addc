import types

import numpy as np
from evaluated import APART, SQUARE, picture

from metrics import picture as picture_lib


def test_pixels_are_those_of_the_picture():
    one = picture(size=(200, 400))
    np.testing.assert_allclose(one.corner_and_sides([[.1, .2, .4, .3]]), [[80, 20, 40, 60]])
    assert one.corner_and_sides(np.zeros([0, 4])).shape == (0, 4)


def test_the_best_first_and_equals_as_they_were():
    one = picture(detected=[SQUARE, APART, SQUARE], detected_labels=[1, 2, 3], scores=[.2, .5, .5])
    assert one.best_first().detected_labels.tolist() == [2, 3, 1]
    assert one.best_first(.5).detected_labels.tolist() == [2, 3] and one.best_first(.5).detected.shape == (2, 4)


def test_a_batch_without_its_padding():
    truths = {'boxes': np.array([[SQUARE, APART], [SQUARE, [0, 0, 0, 0]]]), 'labels': np.array([[1, 2], [2, 0]]),
              'difficult': np.array([[True, False], [False, False]]), 'iscrowd': np.zeros([2, 2], bool),
              'area': np.array([[5., 6.], [7., 0.]]), 'height': np.array([10, 20]), 'width': np.array([30, 40]),
              'filename': np.array([b'a.jpg', b'b.jpg']), 'source_id': np.array([b'', b'17'])}
    found = types.SimpleNamespace(boxes=np.zeros([2, 3, 4]), labels=np.array([[2, 0, 0], [1, 1, 0]]),
                                  scores=np.array([[.9, 0, 0], [.8, .7, 0]]), count=np.array([1, 2]))
    first, second = picture_lib.of_batch(truths, found)
    assert (first.labels.tolist(), first.difficult.tolist(), first.scores.tolist()) == ([1, 2], [True, False], [.9])
    assert (second.boxes.tolist(), second.area.tolist(), second.scores.tolist()) == ([SQUARE], [7], [.8, .7])
    assert (second.height, second.width, second.filename, second.source_id) == (20, 40, 'b.jpg', '17')
    assert first.ignored.tolist() == [True, False]

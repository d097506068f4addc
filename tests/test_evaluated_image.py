import types

import numpy as np
from evaluated_images import FAR_SQUARE, SQUARE, make_image

from metrics import evaluated_image


def test_coco_boxes_are_in_pixels_of_the_image():
    image = make_image(size=(200, 400))
    np.testing.assert_allclose(image.to_coco_boxes([[.1, .2, .4, .3]]), [[80, 20, 40, 60]])
    assert image.to_coco_boxes(np.zeros([0, 4])).shape == (0, 4)


def test_detections_are_sorted_by_score_and_ties_keep_their_order():
    image = make_image(detections=[(SQUARE, 1, .2), (FAR_SQUARE, 2, .5), (SQUARE, 3, .5)])
    assert image.sort_by_score().detected_labels.tolist() == [2, 3, 1]
    above = image.sort_by_score(.5)
    assert above.detected_labels.tolist() == [2, 3] and above.detected_boxes.shape == (2, 4)


def test_a_batch_is_split_without_its_padding():
    ground_truth = {
        'boxes': np.array([[SQUARE, FAR_SQUARE], [SQUARE, [0, 0, 0, 0]]]),
        'labels': np.array([[1, 2], [2, 0]]),
        'difficult': np.array([[True, False], [False, False]]),
        'iscrowd': np.zeros([2, 2], bool), 'area': np.array([[5., 6.], [7., 0.]]),
        'height': np.array([10, 20]), 'width': np.array([30, 40]),
        'filename': np.array([b'a.jpg', b'b.jpg']), 'source_id': np.array([b'', b'17'])}
    detections = types.SimpleNamespace(
        boxes=np.zeros([2, 3, 4]), labels=np.array([[2, 0, 0], [1, 1, 0]]),
        scores=np.array([[.9, 0, 0], [.8, .7, 0]]), count=np.array([1, 2]))
    first, second = evaluated_image.split_batch(ground_truth, detections)
    assert first.labels.tolist() == [1, 2] and first.difficult.tolist() == [True, False]
    assert first.scores.tolist() == [.9] and first.ignored.tolist() == [True, False]
    assert second.boxes.tolist() == [SQUARE] and second.area.tolist() == [7]
    assert second.scores.tolist() == [.8, .7]
    assert (second.height, second.width) == (20, 40)
    assert (second.filename, second.source_id) == ('b.jpg', '17')

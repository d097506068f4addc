import numpy as np
import pytest

from common.errors import UserError
from datasets.dataset_factory import Dataset
from metrics import common_classes
from metrics.evaluated_image import EvaluatedImage


def test_labels_of_both_sides_become_those_of_the_common_classes():
    common = common_classes.find(['person', 'airplane', 'dog'], ['aeroplane', 'cat', 'dog'])
    assert common.names == ['aeroplane', 'dog']
    assert common.truth_labels.tolist() == [0, 1, 0, 2]
    assert common.detected_labels.tolist() == [0, 0, 1, 2]


def test_other_classes_are_left_out_of_an_image():
    boxes = np.arange(12.).reshape(3, 4)
    image = EvaluatedImage(
        boxes, np.array([3, 2, 1]), *np.array([[0, 1, 0], [0, 0, 1]], bool), np.array([5., 6., 7.]),
        boxes, np.array([2, 1, 3]), np.array([.9, .8, .7]), 10, 20, 'name', 'id')
    selected = common_classes.find(['person', 'airplane', 'dog'],
                                   ['aeroplane', 'cat', 'dog']).select(image)
    assert selected.labels.tolist() == [2, 1] and selected.detected_labels.tolist() == [1, 2]
    assert selected.boxes.tolist() == selected.detected_boxes.tolist() == boxes[[0, 2]].tolist()
    assert selected.difficult.tolist() == [False, False] and selected.area.tolist() == [5, 7]
    assert selected.iscrowd.tolist() == [False, True] and selected.scores.tolist() == [.9, .7]
    assert selected.height == 10 and selected.source_id == 'id'


def test_dataset_with_only_the_common_classes():
    dataset = Dataset('voc', 'val', ['file'], [np.arange(2)], ['aeroplane', 'cat', 'dog'], 'hash',
                      [5, 17, 18])
    restricted, common = common_classes.restrict(dataset, ['dog', 'airplane'])
    assert restricted.class_names == common.names == ['aeroplane', 'dog']
    assert restricted.source_ids == [5, 18] and restricted.num_examples == 2
    restricted, _ = common_classes.restrict(dataset._replace(source_ids=None), ['dog'])
    assert restricted.source_ids is None


def test_no_common_class_is_refused():
    with pytest.raises(UserError, match='no class of the dataset. It has face, and the dataset '
                                        'cat, dog, cow, …'):
        common_classes.find(['face'], ['cat', 'dog', 'cow', 'horse'])

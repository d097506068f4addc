import numpy as np
import pytest
from evaluated_images import FAR_SQUARE, SQUARE, add_all, make_image

from metrics import error_types

SHIFTED = [0, .2, .4, .6]   # IoU with SQUARE 1/3
CORNER = [.6, 0, 1, .4]


def classify(*arguments, **fields):
    types, target, missed = error_types.classify(
        make_image(*arguments, **fields).sort_by_score(), min_iou=.5)
    names = [error_types.TYPES[index] if index >= 0 else '' for index in types]
    return names, target.tolist(), missed.tolist()


def lost_ap(*images):
    return add_all(error_types.ErrorTypes(num_classes=3), *images).lost_ap()


def test_every_type_of_error():
    names, target, missed = classify(
        [SQUARE, FAR_SQUARE, CORNER], [1, 1, 2],
        [(SQUARE, 1, .9), (SQUARE, 1, .8), (SHIFTED, 2, .7), (CORNER, 1, .6),
         ([.6, .8, 1, 1.2], 1, .5), ([.45, .45, .55, .55], 2, .4)])
    assert names == ['', 'duplicate', 'both', 'classification', 'localization', 'background']
    assert target == [-1, -1, -1, 2, 1, -1]
    assert missed == [False, False, False]


def test_an_object_without_a_detection_is_missed():
    assert classify([SQUARE, FAR_SQUARE], [1, 1], [(SQUARE, 1, .9)]) == ([''], [-1], [False, True])
    assert classify([SQUARE], [1], []) == ([], [], [True])
    assert classify([], [], [(SQUARE, 1, .9)]) == (['background'], [-1], [])


def test_only_the_first_detection_of_an_object_has_it_as_target():
    assert classify([SQUARE], [1], [(SHIFTED, 1, .5), (SHIFTED, 1, .9), (SQUARE, 2, .7)]) == (
        ['localization', 'classification', 'localization'], [0, -1, -1], [False])


def test_an_object_with_a_true_positive_is_no_target():
    assert classify([SQUARE], [1], [(SQUARE, 1, .9), (SQUARE, 2, .7), (SHIFTED, 1, .6)]) == (
        ['', 'classification', 'localization'], [-1, -1, -1], [False])


def test_limits_belong_to_the_better_type():
    half = [0, 0, .4, .2]   # IoU with SQUARE .5
    assert classify([SQUARE], [1], [(half, 1, .9)])[0] == ['']
    assert classify([SQUARE], [1], [(half, 2, .9)])[0] == ['classification']
    assert classify([SQUARE], [1], [([0, 0, .4, .041], 1, .9)])[0] == ['localization']
    assert classify([SQUARE], [1], [([0, 0, .4, .039], 1, .9)])[0] == ['background']


def test_difficult_objects_and_crowds_are_no_targets_and_not_missed():
    for field in ('difficult', 'iscrowd'):
        names, target, missed = classify([SQUARE], [1], [(SHIFTED, 2, .9)], **{field: [True]})
        assert (names, target, missed) == (['background'], [-1], [False])


def test_average_precision_that_each_type_costs():
    """Two objects of class 1: one found, one missed, and a false positive with a high score."""
    lost = lost_ap(make_image([SQUARE, FAR_SQUARE], [1, 1],
                              [(CORNER, 1, .9), (SQUARE, 1, .8)]))
    # AP: precision 1/2 at recall 1/2 = 1/4. Without the background detection 1/2; with one object
    # only 1/2.
    assert lost == {'classification': 0, 'localization': 0, 'both': 0, 'duplicate': 0,
                    'background': pytest.approx(.25), 'missed': pytest.approx(.25)}


def test_a_wrong_class_costs_in_both_classes():
    """Class 1 is found as 2 and a true detection of class 2 ranks below it."""
    lost = lost_ap(make_image([SQUARE, FAR_SQUARE], [1, 2],
                              [(SQUARE, 2, .9), (FAR_SQUARE, 2, .8)]))
    assert lost['classification'] == pytest.approx(.75)   # mean of 0 and 1/2 -> mean of 1 and 1
    assert lost['missed'] == 0


def test_correcting_a_box_raises_the_precision_of_those_below():
    lost = lost_ap(make_image([SQUARE, FAR_SQUARE], [1, 1],
                              [(SHIFTED, 1, .9), (FAR_SQUARE, 1, .8)]))
    assert lost['localization'] == pytest.approx(.75)   # 1/4 -> 1
    assert lost['missed'] == 0


def test_duplicates_are_removed():
    lost = lost_ap(make_image([SQUARE, FAR_SQUARE], [1, 1], [
        (SQUARE, 1, .9), (SQUARE, 1, .8), (FAR_SQUARE, 1, .7)]))
    assert lost['duplicate'] == pytest.approx(1 / 6)   # (1 + 2/3) / 2 -> 1


def test_a_class_whose_objects_are_all_missed():
    lost = lost_ap(make_image([SQUARE, FAR_SQUARE], [1, 2], [(SQUARE, 1, .9)]))
    assert lost['missed'] == pytest.approx(.5)   # mean of 1 and 0 -> mean of 1 and 1


def test_results_of_the_reference_implementation():
    """40 images with random boxes: what tidecv 1.0.1 counts for the same input."""
    random = np.random.default_rng(0)
    counts = np.zeros(len(error_types.TYPES) + 1, int)   # true positives last: their type is -1
    for _ in range(40):
        count = random.integers(1, 4)
        centers = random.uniform(.2, .8, [count, 2])
        boxes = np.concatenate([centers - .1, centers + .1], 1)
        labels = random.integers(1, 3, count)
        shifts = np.tile(random.normal(0, .05, [count, 2]), 2)
        detected = [*zip(boxes + shifts, random.integers(1, 3, count), random.random(count),
                         strict=True),
                    *zip(boxes, labels, random.random(count), strict=True)]
        types, _, missed = error_types.classify(
            make_image(boxes, labels, detected[:count + 1]).sort_by_score(), .5)
        np.add.at(counts, types, 1)
        counts[error_types.TYPES.index('missed')] += missed.sum()
    assert counts[:-1].tolist() == [13, 29, 13, 11, 1, 9]


def test_without_ground_truth_there_is_no_number():
    assert lost_ap() == lost_ap(make_image([], [], [(SQUARE, 1, .9)])) == {}

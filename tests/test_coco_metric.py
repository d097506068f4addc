import json

import numpy as np
import pytest
from evaluated import APART, SQUARE, gathered, picture

from metrics import coco

KNOWN = {'AP': .503647, 'AP50': .696973, 'AP75': .571667, 'APs': .593252, 'APm': .557991, 'APl': .489363,
         'AR1': .386813, 'AR10': .593680, 'AR100': .595353}


def metric_of(*pictures, num_classes=2):
    return gathered(coco.CocoMetric(num_classes), *pictures)


def relative(rows, image):
    """COCO's x, y, width, height as float32 boxes, as records hold them."""
    x, y, width, height = np.transpose(np.reshape([row['bbox'] for row in rows], (-1, 4)))
    return np.float32(np.stack([y / image['height'], x / image['width'], (y + height) / image['height'],
                                (x + width) / image['width']], -1))


def test_known_answers(shared):
    truths, found = (json.loads((shared / f'fixtures/map_coco/{name}.json').read_text())
                     for name in ('ground_truth', 'detections'))
    labels = {category['id']: label for label, category in enumerate(truths['categories'], 1)}
    metric = coco.CocoMetric(len(labels) + 1)
    for image in sorted(truths['images'], key=lambda image: image['id']):
        mine, theirs = ([row for row in content['annotations'] if row['image_id'] == image['id']]
                        for content in (truths, found))
        metric.add(picture(relative(mine, image), [labels[row['category_id']] for row in mine], (),
                           relative(theirs, image), [labels[row['category_id']] for row in theirs],
                           [row['score'] for row in theirs], [row['iscrowd'] for row in mine],
                           np.float32([row['area'] for row in mine]), (image['height'], image['width'])))
    assert {name: round(metric.number(*coco.NUMBERS[name]), 6) for name in KNOWN} == KNOWN
    assert round(metric.mean_average_precision(), 6) == KNOWN['AP']


def test_all_right():
    metric = metric_of(picture([SQUARE], [1], (), [SQUARE], [1], [.9]))
    assert metric.mean_average_precision() == metric.number(*coco.NUMBERS['AR1']) == 1


def test_an_overlap_counts_from_threshold_to_threshold():
    # 0.8 of the truth: right for .50, .55, ..., .80, seven of ten.
    metric = metric_of(picture([SQUARE], [1], (), [[0, 0, .4, .32]], [1], [.9]))
    assert metric.mean_average_precision() == pytest.approx(.7)
    assert [metric.number('precision', overlap) for overlap in (.5, .8, .85)] == [1, 1, 0]


def test_nothing_found_and_nothing_there():
    assert metric_of(picture([SQUARE], [1])).mean_average_precision() == 0
    assert np.isnan(metric_of(picture((), (), (), [SQUARE], [1], [.9])).mean_average_precision())
    assert np.isnan(metric_of(picture()).mean_average_precision()) and np.isnan(metric_of().mean_average_precision())


def test_a_class_without_truths_does_not_count():
    metric = metric_of(picture([SQUARE], [1], (), [SQUARE, APART], [1, 2], [.9, .8]), num_classes=3)
    np.testing.assert_array_equal(metric.average_precisions(), [np.nan, 1, np.nan])
    assert metric.mean_average_precision() == 1


def test_detections_are_ranked_over_all_pictures():
    # False at .95 in one picture, true at .9 in the other: precision 1/2 at every recall.
    metric = metric_of(picture([SQUARE], [1], (), [SQUARE], [1], [.9]), picture((), (), (), [SQUARE], [1], [.95]))
    assert metric.mean_average_precision() == .5


def test_sizes_are_those_of_boxes_where_no_area_is_known():
    # 40x40 pixels of 100x100, 20x20 of 50x50; then one whose source says that its object covers 100 pixels.
    found = ([SQUARE], [1], (), [SQUARE], [1], [.9])
    metric = metric_of(picture(*found), picture(*found, size=(50, 50)), picture(*found, area=[100]))
    assert [metric.num_truths(area) for area in coco.AREAS] == [3, 2, 1, 0]
    assert metric.number(*coco.NUMBERS['APs']) == metric.number(*coco.NUMBERS['APm']) == 1
    assert np.isnan(metric.number(*coco.NUMBERS['APl']))


def test_what_lies_in_a_crowd_is_neither_right_nor_false():
    within = [0, 0, .2, .2]
    metric = metric_of(picture([SQUARE, APART], [1, 1], (), [within, within, APART], [1] * 3, [.9, .8, .7],
                               [True, False]))
    assert metric.mean_average_precision() == 1 and metric.num_truths('all') == 1


def test_difficult_truths_are_neither_found_nor_missed():
    truths = ([SQUARE, APART], [1, 1], [True, False])
    assert metric_of(picture(*truths, [SQUARE, APART], [1, 1], [.9, .8])).mean_average_precision() == 1
    assert metric_of(picture(*truths, [APART], [1], [.8])).mean_average_precision() == 1
    # But what only lies within one, as in a crowd, is false.
    assert metric_of(picture(*truths, [[0, 0, .2, .2], APART], [1, 1], [.9, .8])).mean_average_precision() == .5


def test_numbers_follow_what_is_added():
    metric = metric_of(picture([SQUARE], [1], (), [SQUARE], [1], [.9]))
    assert metric.mean_average_precision() == 1
    metric.add(picture([SQUARE], [1]))
    assert metric.mean_average_precision() == pytest.approx(51 / 101)     # recall 0, .01, ..., .50 of 101 levels

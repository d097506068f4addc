import json

import numpy as np
import pytest
from evaluated_images import FAR_SQUARE, SQUARE, add_all, make_image

from metrics import coco

KNOWN = {'AP': .503647, 'AP50': .696973, 'AP75': .571667, 'APs': .593252, 'APm': .557991,
         'APl': .489363, 'AR1': .386813, 'AR10': .593680, 'AR100': .595353}


def evaluate(*images, num_classes=2):
    return add_all(coco.CocoMetric(num_classes), *images)


def mean_ap(*images, **options):
    return evaluate(*images, **options).mean_average_precisions()['COCO']


def relative_boxes(annotations, image):
    """Convert COCO's x, y, width, height to relative float32 boxes, as records store them."""
    bboxes = np.reshape([annotation['bbox'] for annotation in annotations], (-1, 4))
    x, y, width, height = np.transpose(bboxes)
    return np.float32(np.stack([y / image['height'], x / image['width'],
                                (y + height) / image['height'], (x + width) / image['width']], -1))


def test_known_values(shared):
    ground_truth, detections = (json.loads((shared / f'fixtures/map_coco/{name}.json').read_text())
                                for name in ('ground_truth', 'detections'))
    labels = {category['id']: label
              for label, category in enumerate(ground_truth['categories'], 1)}
    metric = coco.CocoMetric(len(labels) + 1)
    for image in sorted(ground_truth['images'], key=lambda image: image['id']):
        objects, detected = (
            [row for row in content['annotations'] if row['image_id'] == image['id']]
            for content in (ground_truth, detections))
        metric.add(make_image(
            relative_boxes(objects, image), [labels[row['category_id']] for row in objects],
            [(box, labels[row['category_id']], row['score'])
             for box, row in zip(relative_boxes(detected, image), detected, strict=True)],
            iscrowd=[row['iscrowd'] for row in objects],
            area=np.float32([row['area'] for row in objects]),
            size=(image['height'], image['width'])))
    assert {name: round(metric.value(coco.SUMMARY_METRICS[name]), 6) for name in KNOWN} == KNOWN
    assert round(metric.mean_average_precisions()['COCO'], 6) == KNOWN['AP']


def test_perfect_detections_have_ap_1():
    metric = evaluate(make_image([SQUARE], [1], [(SQUARE, 1, .9)]))
    assert metric.mean_average_precisions() == {'COCO': 1}
    assert metric.value(coco.SUMMARY_METRICS['AR1']) == 1


def test_a_detection_counts_at_every_threshold_up_to_its_iou():
    # IoU 0.8: correct at .50, .55, ..., .80, seven of ten thresholds.
    metric = evaluate(make_image([SQUARE], [1], [([0, 0, .4, .32], 1, .9)]))
    assert metric.mean_average_precisions()['COCO'] == pytest.approx(.7)
    assert [metric.value(coco.Metric('precision', iou)) for iou in (.5, .8, .85)] == [1, 1, 0]


def test_without_detections_ap_is_0_and_without_ground_truth_nan():
    assert mean_ap(make_image([SQUARE], [1])) == 0
    assert np.isnan(mean_ap(make_image(detections=[(SQUARE, 1, .9)])))
    assert np.isnan(mean_ap(make_image())) and np.isnan(mean_ap())


def test_classes_without_ground_truth_do_not_count():
    metric = evaluate(make_image([SQUARE], [1], [(SQUARE, 1, .9), (FAR_SQUARE, 2, .8)]),
                      num_classes=3)
    np.testing.assert_array_equal(metric.average_precisions()['COCO'], [np.nan, 1, np.nan])
    assert metric.mean_average_precisions()['COCO'] == 1


def test_detections_are_ranked_over_all_images():
    # False at .95 in one image, true at .9 in the other: precision 1/2 at every recall.
    assert mean_ap(make_image([SQUARE], [1], [(SQUARE, 1, .9)]),
                   make_image(detections=[(SQUARE, 1, .95)])) == .5


def test_the_box_decides_the_size_if_the_area_is_unknown():
    # 40x40 pixels of 100x100, 20x20 of 50x50, and an object with a mask of 100 pixels.
    image = make_image([SQUARE], [1], [(SQUARE, 1, .9)])
    metric = evaluate(image, image._replace(height=50, width=50),
                      image._replace(area=np.array([100.])))
    assert [metric.num_objects(area) for area in coco.AREA_RANGES] == [3, 2, 1, 0]
    values = [metric.value(coco.SUMMARY_METRICS[name]) for name in ('APs', 'APm', 'APl')]
    np.testing.assert_array_equal(values, [1, 1, np.nan])


def test_detections_inside_a_crowd_are_ignored():
    inside = [0, 0, .2, .2]
    metric = evaluate(make_image(
        [SQUARE, FAR_SQUARE], [1, 1], [(inside, 1, .9), (inside, 1, .8), (FAR_SQUARE, 1, .7)],
        iscrowd=[True, False]))
    assert metric.mean_average_precisions()['COCO'] == 1 and metric.num_objects('all') == 1


def test_difficult_objects_count_neither_as_detected_nor_as_missed():
    def image(*detections):
        return make_image([SQUARE, FAR_SQUARE], [1, 1], detections, difficult=[True, False])
    assert mean_ap(image((SQUARE, 1, .9), (FAR_SQUARE, 1, .8))) == 1
    assert mean_ap(image((FAR_SQUARE, 1, .8))) == 1
    # Unlike with a crowd, a detection that only lies inside a difficult object is false.
    assert mean_ap(image(([0, 0, .2, .2], 1, .9), (FAR_SQUARE, 1, .8))) == .5


def test_values_are_updated_after_add():
    metric = evaluate(make_image([SQUARE], [1], [(SQUARE, 1, .9)]))
    assert metric.mean_average_precisions()['COCO'] == 1
    metric.add(make_image([SQUARE], [1]))
    # Recall 0, .01, ..., .50 of 101 levels.
    assert metric.mean_average_precisions()['COCO'] == pytest.approx(51 / 101)

import numpy as np
import pytest
from evaluated_images import FAR_SQUARE, SQUARE, add_all, make_image

from metrics import voc


def evaluate(*images, num_classes=2, **options):
    return add_all(voc.VocMetric(num_classes, **options), *images)


def mean_ap(name, *images, **options):
    return evaluate(*images, **options).mean_average_precisions()[name]


def test_perfect_detections_have_ap_1():
    metric = evaluate(make_image([SQUARE], [1], [(SQUARE, 1, .9)]))
    assert metric.mean_average_precisions() == {'VOC07': 1, 'VOC12': 1}


def test_no_detections_have_ap_0():
    assert mean_ap('VOC07', make_image([SQUARE], [1])) == 0


def test_without_ground_truth_the_map_is_nan():
    assert np.isnan(mean_ap('VOC12', make_image(detections=[(SQUARE, 1, .9)])))


def test_classes_without_ground_truth_do_not_count():
    metric = evaluate(make_image([SQUARE], [1], [(SQUARE, 1, .9)]), num_classes=3)
    np.testing.assert_array_equal(metric.average_precisions()['VOC12'], [np.nan, 1, np.nan])
    assert metric.mean_average_precisions()['VOC12'] == 1


def test_a_second_detection_of_an_object_is_a_false_positive():
    # By score: true, false, true. Precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1.
    metric = evaluate(make_image(
        [SQUARE, FAR_SQUARE], [1, 1], [(SQUARE, 1, .9), (SQUARE, 1, .8), (FAR_SQUARE, 1, .7)]))
    assert metric.mean_average_precisions() == {
        'VOC07': pytest.approx((6 + 5 * 2 / 3) / 11), 'VOC12': pytest.approx(.5 + .5 * 2 / 3)}


def test_difficult_objects_count_neither_as_detected_nor_as_missed():
    boxes, labels, difficult = [SQUARE, FAR_SQUARE], [1, 1], [False, True]
    metric = evaluate(make_image(
        boxes, labels, [(FAR_SQUARE, 1, .9), (FAR_SQUARE, 1, .8), (SQUARE, 1, .7)],
        difficult=difficult))
    assert metric.mean_average_precisions()['VOC07'] == 1 and metric.num_objects(1) == 1
    assert mean_ap('VOC12', make_image(boxes, labels, [(SQUARE, 1, .9)], difficult=difficult)) == 1


def test_detections_inside_a_crowd_are_ignored():
    crowd, inside = [0, 0, .4, .8], [0, 0, .2, .2]
    half_inside, less_than_half_inside = [.2, 0, .6, .2], [.21, 0, .61, .2]

    def image(crowd_label, *detections):
        return make_image([crowd, FAR_SQUARE], [crowd_label, 1],
                          [*detections, (FAR_SQUARE, 1, .7)], iscrowd=[True, False])
    metric = evaluate(image(1, (inside, 1, .9), (half_inside, 1, .8)))
    assert metric.mean_average_precisions()['VOC12'] == 1 and metric.num_objects(1) == 1
    assert mean_ap('VOC12', image(1, (less_than_half_inside, 1, .8))) == .5
    metric = evaluate(image(2, (inside, 1, .9)), num_classes=3)   # a crowd of another class
    assert metric.average_precisions()['VOC12'][1] == .5


def test_an_object_with_two_labels_counts_as_two_objects():
    metric = evaluate(make_image(
        [SQUARE, SQUARE], [1, 2], [(SQUARE, 2, .9), (SQUARE, 1, .8), (SQUARE, 2, .7)]),
        num_classes=3)
    np.testing.assert_array_equal(metric.average_precisions()['VOC07'], [np.nan, 1, 1])


def test_a_curve_has_recall_precision_and_scores():
    metric = evaluate(make_image([SQUARE], [1], [(FAR_SQUARE, 1, .1), (SQUARE, 1, .9)]))
    for values, expected in zip(metric.precision_recall_curve(1), ([1, 1], [1, .5], [.9, .1]),
                                strict=True):
        np.testing.assert_array_equal(values, expected)
    assert [len(values) for values in evaluate(make_image()).precision_recall_curve(1)] == [0, 0, 0]


def test_an_iou_equal_to_the_threshold_is_a_match():
    image = make_image([SQUARE], [1], [([0, 0, .4, .2], 1, .9)])   # IoU 0.5
    assert mean_ap('VOC07', image) == 1
    assert mean_ap('VOC07', image, min_iou=.51) == 0


def test_detections_are_ranked_over_all_images():
    # False at .95 in one image, true at .9 in the other: precision 1/2 at recall 1.
    assert mean_ap('VOC12', make_image([SQUARE], [1], [(SQUARE, 1, .9)]),
                   make_image(detections=[(SQUARE, 1, .95)])) == .5


def test_the_order_of_detections_in_an_image_does_not_matter():
    assert mean_ap('VOC12', make_image(
        [SQUARE], [1], [(FAR_SQUARE, 1, .1), (SQUARE, 1, .9)])) == 1


def read_fixture(path):
    """Return the numbers of the lines `object [score] x y w h` of a text file as lists."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [[float(value) for value in line.split()[1:]] for line in lines if line.strip()]


def to_edges(rows):
    """Convert x, y, w, h, both end pixels included as in VOC's kit, to ymin, xmin, ymax, xmax."""
    return [[y, x, y + h + 1, x + w + 1] for x, y, w, h in rows]


@pytest.mark.parametrize('min_iou, voc07, voc12', [
    (.1, .333333, .337198), (.3, .268398, .245687), (.5, .030303, .022222), (.75, 0, 0)])
def test_known_values(shared, min_iou, voc07, voc12):
    folder, metric = shared / 'fixtures/map_voc', voc.VocMetric(2, min_iou)
    for path in sorted((folder / 'gts').glob('*.txt')):
        ground_truths, detections = read_fixture(path), read_fixture(folder / 'dets' / path.name)
        detected_boxes = to_edges([row[1:] for row in detections])
        metric.add(make_image(
            to_edges(ground_truths), [1] * len(ground_truths),
            [(box, 1, row[0]) for box, row in zip(detected_boxes, detections, strict=True)]))
    assert metric.mean_average_precisions() == {'VOC07': pytest.approx(voc07, abs=1e-6),
                                                'VOC12': pytest.approx(voc12, abs=1e-6)}

import numpy as np
import pytest
from evaluated import APART, SQUARE, gathered, picture

from metrics import voc


def metric_of(*pictures, num_classes=2, **options):
    return gathered(voc.VocMetric(num_classes, **options), *pictures)


def test_all_right():
    metric = metric_of(picture([SQUARE], [1], [False], [SQUARE], [1], [.9]))
    assert metric.mean_average_precision('VOC07') == metric.mean_average_precision('VOC12') == 1


def test_nothing_found():
    assert metric_of(picture([SQUARE], [1], [False])).mean_average_precision('VOC07') == 0


def test_no_truths_at_all_is_not_a_number_rather_than_zero():
    assert np.isnan(metric_of(picture(detected=[SQUARE], detected_labels=[1], scores=[.9]))
                    .mean_average_precision('VOC12'))


def test_a_class_without_truths_does_not_count():
    metric = metric_of(picture([SQUARE], [1], [False], [SQUARE], [1], [.9]), num_classes=3)
    np.testing.assert_array_equal(metric.average_precisions('VOC12'), [np.nan, 1, np.nan])
    assert metric.mean_average_precision('VOC12') == 1


def test_a_second_detection_of_the_same_truth_is_false():
    # In score order: true, false, true. Precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1.
    metric = metric_of(picture([SQUARE, APART], [1, 1], [False] * 2, [SQUARE, SQUARE, APART], [1] * 3, [.9, .8, .7]))
    assert metric.mean_average_precision('VOC12') == pytest.approx(.5 + .5 * 2 / 3)
    assert metric.mean_average_precision('VOC07') == pytest.approx((6 + 5 * 2 / 3) / 11)


def test_difficult_truths_are_neither_found_nor_missed():
    metric = metric_of(picture([SQUARE, APART], [1, 1], [False, True], [APART, APART, SQUARE], [1] * 3, [.9, .8, .7]))
    assert metric.mean_average_precision('VOC07') == 1 and metric.num_truths(1) == 1
    assert metric_of(picture([SQUARE, APART], [1, 1], [False, True], [SQUARE], [1], [.9])
                     ).mean_average_precision('VOC12') == 1


def test_what_lies_in_a_crowd_is_neither_right_nor_false():
    crowd, within, half_out = [0, 0, .4, .8], [0, 0, .2, .2], [.2, 0, .6, .2]   # the latter just half within
    metric = metric_of(picture([crowd, APART], [1, 1], (), [within, half_out, APART], [1] * 3, [.9, .8, .7],
                               iscrowd=[True, False]))
    assert metric.mean_average_precision('VOC12') == 1 and metric.num_truths(1) == 1
    more_out = [.21, 0, .61, .2]
    metric = metric_of(picture([crowd, APART], [1, 1], (), [more_out, APART], [1, 1], [.8, .7], iscrowd=[True, False]))
    assert metric.mean_average_precision('VOC12') == .5
    metric = metric_of(picture([crowd, APART], [2, 1], (), [within, APART], [1, 1], [.9, .7], iscrowd=[True, False]),
                       num_classes=3)
    assert metric.average_precisions('VOC12')[1] == .5


def test_one_object_in_two_classes_is_two():
    metric = metric_of(picture([SQUARE, SQUARE], [1, 2], (), [SQUARE] * 3, [2, 1, 2], [.9, .8, .7]), num_classes=3)
    np.testing.assert_array_equal(metric.average_precisions('VOC07'), [np.nan, 1, 1])


def test_a_curve_comes_with_its_scores():
    metric = metric_of(picture([SQUARE], [1], (), [APART, SQUARE], [1, 1], [.1, .9]))
    for found, expected in zip(metric.curve(1), ([1, 1], [1, .5], [.9, .1]), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert [len(part) for part in metric_of(picture()).curve(1)] == [0, 0, 0]


def test_the_overlap_itself_is_enough():
    half = [0, 0, .4, .2]
    assert metric_of(picture([SQUARE], [1], [False], [half], [1], [.9])).mean_average_precision('VOC07') == 1
    assert metric_of(picture([SQUARE], [1], [False], [half], [1], [.9]), min_overlap=.51
                     ).mean_average_precision('VOC07') == 0


def test_detections_are_ranked_over_all_pictures():
    # False at .95 in one picture, true at .9 in the other: precision 1/2 at recall 1.
    metric = metric_of(picture([SQUARE], [1], [False], [SQUARE], [1], [.9]),
                       picture(detected=[SQUARE], detected_labels=[1], scores=[.95]))
    assert metric.mean_average_precision('VOC12') == .5


def test_within_a_picture_the_order_given_does_not_matter():
    metric = metric_of(picture([SQUARE], [1], [False], [APART, SQUARE], [1, 1], [.1, .9]))
    assert metric.mean_average_precision('VOC12') == 1


def read_fixture(path):
    """Lines `object [score] x y w h` of a text file as an array of numbers [n, 4 or 5]."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [[float(value) for value in line.split()[1:]] for line in lines if line.strip()]


def edges(rows):
    """x y w h with the far pixel included (the +1 of VOC's kit) -> [ymin, xmin, ymax, xmax] edges."""
    return [[y, x, y + h + 1, x + w + 1] for x, y, w, h in rows]


@pytest.mark.parametrize('min_overlap, voc07, voc12', [
    (.1, .333333, .337198), (.3, .268398, .245687), (.5, .030303, .022222), (.75, 0, 0)])
def test_known_answers(shared, min_overlap, voc07, voc12):
    folder, metric = shared / 'fixtures/map_voc', voc.VocMetric(2, min_overlap)
    for path in sorted((folder / 'gts').glob('*.txt')):
        truths, found = read_fixture(path), read_fixture(folder / 'dets' / path.name)
        metric.add(picture(edges(truths), [1] * len(truths), [False] * len(truths),
                           edges([row[1:] for row in found]), [1] * len(found), [row[0] for row in found]))
    assert metric.mean_average_precision('VOC07') == pytest.approx(voc07, abs=1e-6)
    assert metric.mean_average_precision('VOC12') == pytest.approx(voc12, abs=1e-6)

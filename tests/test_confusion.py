import numpy as np
from evaluated_images import FAR_SQUARE, SQUARE, add_all, make_image

from metrics import confusion, voc

CORNER = [.6, 0, 1, .4]


def find_errors(*arguments, **fields):
    return confusion.find_errors(make_image(*arguments, **fields), min_score=.5, min_iou=.5)


def confusion_matrix(*errors, num_classes=3, **options):
    return add_all(confusion.ConfusionMatrix(num_classes, **options), *errors)


def test_correct_missed_confused_and_false_detections():
    errors = find_errors([SQUARE, FAR_SQUARE, CORNER], [1, 1, 2],
                         [(SQUARE, 1, .7), (CORNER, 1, .9), ([0, .6, .4, 1], 2, .8)])
    assert errors.image.scores.tolist() == [.9, .8, .7]
    assert errors.outcome.tolist() == [voc.FALSE_POSITIVE, voc.FALSE_POSITIVE, voc.TRUE_POSITIVE]
    assert errors.ground_truth_index.tolist() == [2, -1, 0]
    assert errors.confusions.tolist() == [True, False, False]
    assert errors.false_positives.tolist() == [False, True, False]
    assert errors.missed.tolist() == [False, True, False] and errors.num_errors == 3
    matrix = confusion_matrix(errors)
    assert matrix.counts.tolist() == [[0, 0, 1], [1, 1, 0], [0, 1, 0]]
    assert (matrix.num_detected(), matrix.num_missed(), matrix.num_false_positives()) == (1, 1, 1)
    assert matrix.confused_classes() == [(2, 1, 1)]
    assert (matrix.num_detected(1), matrix.num_missed(1)) == (1, 1)
    assert (matrix.num_false_positives(1), matrix.num_false_positives(2)) == (0, 1)


def test_detections_below_the_score_threshold_are_left_out():
    assert find_errors([SQUARE], [1], [(SQUARE, 1, .5), (FAR_SQUARE, 1, .49)]).num_errors == 0
    assert find_errors([SQUARE], [1], [(SQUARE, 1, .49)]).missed.tolist() == [True]


def test_an_object_is_matched_within_its_class_before_other_classes():
    """A confused detection has a higher score than the correct one."""
    errors = find_errors([SQUARE], [1], [(SQUARE, 2, .9), (SQUARE, 1, .6)])
    assert errors.ground_truth_index.tolist() == [-1, 0]
    assert errors.false_positives.tolist() == [True, False] and not errors.missed.any()


def test_an_object_is_confused_only_once():
    errors = find_errors([SQUARE], [1], [(SQUARE, 2, .9), (SQUARE, 2, .6)])
    assert errors.confusions.tolist() == [True, False]
    assert errors.false_positives.tolist() == [False, True]


def test_the_second_of_two_neighboring_objects_counts_as_detected():
    """Both detections overlap the first object most. VOC counts one false and one missed."""
    first, second = [0, 0, .4, .4], [0, .1, .4, .5]
    errors = find_errors([first, second], [1, 1], [(first, 1, .9), ([0, .04, .4, .44], 1, .8)])
    assert errors.ground_truth_index.tolist() == [0, 1] and errors.num_errors == 0
    matrix = confusion_matrix(errors)
    assert matrix.counts[1, 1] == 2 and matrix.confused_classes() == []


def test_difficult_objects_and_crowds_are_not_errors():
    errors = find_errors([SQUARE, FAR_SQUARE], [1, 1], [(SQUARE, 1, .9), (FAR_SQUARE, 1, .9)],
                         difficult=[True, False], iscrowd=[False, True])
    assert errors.num_errors == 0 and errors.outcome.tolist() == [voc.IGNORED] * 2
    assert find_errors([SQUARE], [1], difficult=[True]).num_errors == 0
    # A difficult object cannot be confused: the detection is false.
    errors = find_errors([SQUARE], [1], [(SQUARE, 2, .9)], difficult=[True])
    assert errors.false_positives.tolist() == [True]


def test_images_without_ground_truth_or_detections():
    assert find_errors().num_errors == 0
    assert find_errors(detections=[(SQUARE, 1, .9)]).num_errors == 1
    assert confusion_matrix(find_errors(), num_worst=3).worst_images() == []


def test_worst_images_are_sorted_by_errors_then_by_index():
    one_error, no_errors = find_errors([SQUARE], [1]), find_errors()
    two_errors = find_errors([SQUARE, FAR_SQUARE], [1, 1])
    worst = confusion_matrix(one_error, no_errors, two_errors, one_error, two_errors,
                             num_worst=3).worst_images()
    assert [index for index, _ in worst] == [2, 4, 0] and worst[0][1] is two_errors
    assert confusion_matrix(one_error).worst_images() == []


def test_rows_of_the_csv_file():
    matrix = confusion_matrix(find_errors([SQUARE, FAR_SQUARE], [1, 2],
                                          [(SQUARE, 2, .9), (CORNER, 2, .8)]))
    assert matrix.to_rows(['cat', 'dog']) == [
        ['ground truth \\ detected as', 'cat', 'dog', 'missed'],
        ['cat', 0, 1, 0], ['dog', 0, 0, 1], ['no object', 0, 1, '']]


def test_the_most_frequent_confusion_comes_first():
    matrix = confusion.ConfusionMatrix(4)
    matrix.counts = np.array([[0, 0, 0, 0], [0, 9, 1, 0], [0, 3, 9, 1], [0, 0, 0, 0]])
    assert matrix.confused_classes() == [(2, 1, 3), (1, 2, 1), (2, 3, 1)]

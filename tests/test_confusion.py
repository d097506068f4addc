import numpy as np
from evaluated import APART, SQUARE, picture

from metrics import confusion, voc

CORNER = [.6, 0, 1, .4]


def judge(*arguments, min_score=.5, min_overlap=.5, **options):
    return confusion.judge(picture(*arguments, **options), min_score, min_overlap)


def confusion_of(*judgements, num_classes=3, **options):
    found = confusion.Confusion(num_classes, **options)
    for judgement in judgements:
        found.add(judgement)
    return found


def test_right_false_missed_and_taken_for_another():
    found = judge([SQUARE, APART, CORNER], [1, 1, 2], (), [SQUARE, CORNER, [0, .6, .4, 1]], [1, 1, 2], [.7, .9, .8])
    assert found.picture.scores.tolist() == [.9, .8, .7]
    assert found.worth.tolist() == [voc.FALSE, voc.FALSE, voc.MATCHED] and found.truth.tolist() == [2, -1, 0]
    assert found.confused.tolist() == [True, False, False] and found.false.tolist() == [False, True, False]
    assert found.missed.tolist() == [False, True, False] and found.num_wrong == 3
    counts = confusion_of(found)
    assert counts.counts.tolist() == [[0, 0, 1], [1, 1, 0], [0, 1, 0]]
    assert (counts.found(), counts.missed(), counts.false(), counts.confused()) == (1, 1, 1, [(2, 1, 1)])
    assert (counts.found(1), counts.missed(1), counts.false(1), counts.false(2)) == (1, 1, 0, 1)


def test_scores_below_do_not_count_and_the_score_itself_does():
    assert judge([SQUARE], [1], (), [SQUARE, APART], [1, 1], [.5, .49]).num_wrong == 0
    assert judge([SQUARE], [1], (), [SQUARE], [1], [.49]).missed.tolist() == [True]


def test_a_class_finds_its_own_before_another_takes_it():
    """The best detection says class 2, a later one what it is."""
    found = judge([SQUARE], [1], (), [SQUARE, SQUARE], [2, 1], [.9, .6])
    assert found.truth.tolist() == [-1, 0] and found.false.tolist() == [True, False] and not found.missed.any()


def test_two_detections_of_another_class_take_one_object_once():
    found = judge([SQUARE], [1], (), [SQUARE, SQUARE], [2, 2], [.9, .6])
    assert found.confused.tolist() == [True, False] and found.false.tolist() == [False, True]


def test_the_second_of_two_that_lie_side_by_side_is_found():
    """Both detections overlap the first most; VOC calls the second false, and the other object missed."""
    left, right = [0, 0, .4, .4], [0, .1, .4, .5]
    found = judge([left, right], [1, 1], (), [left, [0, .04, .4, .44]], [1, 1], [.9, .8])
    assert found.truth.tolist() == [0, 1] and found.num_wrong == 0
    assert confusion_of(found).counts[1, 1] == 2 and confusion_of(found).confused() == []


def test_difficult_ones_and_crowds_are_no_mistakes():
    found = judge([SQUARE, APART], [1, 1], [True, False], [SQUARE, APART], [1, 1], [.9, .9], iscrowd=[False, True])
    assert found.num_wrong == 0 and found.worth.tolist() == [voc.IGNORED] * 2
    assert judge([SQUARE], [1], [True]).num_wrong == 0
    assert judge([SQUARE], [1], [True], [SQUARE], [2], [.9]).false.tolist() == [True]   # nothing to be taken for


def test_nothing_at_all():
    assert judge().num_wrong == 0 and judge(detected=[SQUARE], detected_labels=[1], scores=[.9]).num_wrong == 1
    assert confusion_of(judge(), num_worst=3).worst() == []


def test_the_worst_come_first_and_the_earlier_of_equals():
    one, two, none = judge([SQUARE], [1]), judge([SQUARE, APART], [1, 1]), judge()
    found = confusion_of(one, none, two, one, two, num_worst=3).worst()
    assert [index for index, _ in found] == [2, 4, 0] and found[0][1] is two
    assert confusion_of(one).worst() == []


def test_the_table_has_a_row_for_each_truth():
    found = confusion_of(judge([SQUARE, APART], [1, 2], (), [SQUARE, CORNER], [2, 2], [.9, .8]))
    assert found.table(['cat', 'dog']) == [['ground truth \\ detected as', 'cat', 'dog', 'missed'],
                                           ['cat', 0, 1, 0], ['dog', 0, 0, 1], ['no object', 0, 1, '']]


def test_the_most_frequent_confusion_comes_first():
    found = confusion.Confusion(4)
    found.counts = np.array([[0, 0, 0, 0], [0, 9, 1, 0], [0, 3, 9, 1], [0, 0, 0, 0]])
    assert found.confused() == [(2, 1, 3), (1, 2, 1), (2, 3, 1)]

import json

import pytest
from evaluated import APART, SQUARE, gathered, picture

from metrics import servers
from metrics.evaluation import Evaluation

CLASSES = ['cat', 'dog', 'cow']
PICTURES = (picture([SQUARE, APART], [1, 2], (), [SQUARE, APART], [1, 1], [.9, .6]),
            picture([SQUARE], [2], (), [SQUARE, APART], [2, 1], [.8, .7]))


def test_all_numbers():
    result = gathered(Evaluation(CLASSES), *PICTURES).result()
    # cat: true, false, false over one truth. dog: one of two found, by one detection.
    assert result['classes']['cat'] == {'truths': 1, 'VOC07': 1, 'VOC12': 1, 'COCO': 1, 'found': 1, 'missed': 0,
                                        'false': 1}
    assert result['classes']['dog']['VOC12'] == .5 and result['classes']['cow']['VOC07'] is None
    assert result['mAP'] == {'VOC07': pytest.approx((1 + 6 / 11) / 2), 'VOC12': .75,
                             'COCO': pytest.approx((1 + 51 / 101) / 2)}
    assert result['confusion'] == {'min_score': .5, 'found': 2, 'missed': 0, 'false': 1, 'confused': 1}
    assert result['truths'] == {'all': 3, 'small': 0, 'medium': 3, 'large': 0} and result['COCO']['APs'] is None
    assert result['pictures'] == 2 and 'NaN' not in json.dumps(result)


def test_what_is_printed():
    lines = gathered(Evaluation(CLASSES), *PICTURES).lines()
    assert lines[:4] == ['class  truths  AP VOC07  AP VOC12   AP COCO   found  missed   false',
                         'cat         1     1.000     1.000     1.000       1       0       1',
                         'dog         2     0.545     0.500     0.505       1       0       0',
                         'cow         0         -         -         -       0       0       0']
    assert 'truths                                  3        0        3        0' in lines
    assert lines[-1] == 'mAP over the classes that occur: VOC07 0.773, VOC12 0.750, COCO 0.752'
    assert any('2 found, 0 missed, 1 taken for another class, 1 false' in line for line in lines)
    assert 'most often taken: dog for cat (1)' in lines


def test_without_ground_truth_it_says_so():
    evaluation = gathered(Evaluation(CLASSES), picture(detected=[SQUARE], detected_labels=[1], scores=[.9]))
    assert not evaluation.has_truths() and len(evaluation.lines()) == 1
    assert 'there is no ground truth' in evaluation.lines()[0]
    assert set(evaluation.result()['mAP'].values()) == {None}


def test_pictures_that_are_kept_and_further_metrics():
    class Count:
        number = 0

        def add(self, picture):
            del picture
            self.number += 1
    count = Count()
    evaluation = gathered(Evaluation(CLASSES, num_worst=1, keep=[1], more=[count]), *PICTURES)
    assert count.number == 2 and evaluation.kept[1].picture.scores.tolist() == [.8, .7] and len(evaluation.kept) == 1
    assert [index for index, _ in evaluation.confusion.worst()] == [0]
    assert set(servers.SERVERS) == {'voc', 'coco'}


def test_another_score_and_another_overlap():
    strict = gathered(Evaluation(CLASSES, min_overlap=.9, min_score=.65), picture(
        [SQUARE], [1], (), [[0, 0, .4, .32], SQUARE], [1, 1], [.9, .6])).result()
    assert strict['confusion'] == {'min_score': .65, 'found': 0, 'missed': 1, 'false': 1, 'confused': 0}

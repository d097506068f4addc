import json

import pytest
from evaluated_images import FAR_SQUARE, SQUARE, add_all, make_image

from metrics.evaluation import Evaluation

CLASSES = ['cat', 'dog', 'cow']
IMAGES = (make_image([SQUARE, FAR_SQUARE], [1, 2], [(SQUARE, 1, .9), (FAR_SQUARE, 1, .6)]),
          make_image([SQUARE], [2], [(SQUARE, 2, .8), (FAR_SQUARE, 1, .7)]))


def test_the_result_has_all_numbers():
    result = add_all(Evaluation(CLASSES), *IMAGES).result()
    # cat: one true and two false detections of one object. dog: one detection of two objects.
    assert result['classes']['cat'] == {
        'truths': 1, 'VOC07': 1, 'VOC12': 1, 'COCO': 1, 'found': 1, 'missed': 0, 'false': 1}
    assert result['classes']['dog']['VOC12'] == .5 and result['classes']['cow']['VOC07'] is None
    assert result['mAP'] == {'VOC07': pytest.approx((1 + 6 / 11) / 2), 'VOC12': .75,
                             'COCO': pytest.approx((1 + 51 / 101) / 2)}
    assert result['confusion'] == {
        'min_score': .5, 'found': 2, 'missed': 0, 'false': 1, 'confused': 1}
    assert result['lost_ap']['classification'] == pytest.approx(.25)   # AP of dog .5 -> 1
    assert result['truths'] == {'all': 3, 'small': 0, 'medium': 3, 'large': 0}
    assert result['COCO']['APs'] is None
    assert result['pictures'] == 2 and 'NaN' not in json.dumps(result)


def test_report():
    lines = add_all(Evaluation(CLASSES), *IMAGES).report()
    assert lines[:4] == [
        'class  objects  AP VOC07  AP VOC12   AP COCO  detected  missed  false',
        'cat          1     1.000     1.000     1.000         1       0      1',
        'dog          2     0.545     0.500     0.505         1       0      0',
        'cow          0         -         -         -         0       0      0']
    assert 'objects                         3        0        3        0' in lines
    assert ('at score 0.5 and IoU 0.5: 2 objects detected, 0 missed, 1 detected as another class, '
            '1 false positives') in lines
    assert 'most frequent confusions: dog as cat (1)' in lines
    assert ('mAP (VOC12) lost by type of error: classification 0.250, localization 0.000, both '
            '0.000, duplicate 0.000, background 0.000, missed 0.000') in lines
    assert lines[-1] == 'mAP over classes with ground truth: VOC07 0.773, VOC12 0.750, COCO 0.752'


def test_report_without_ground_truth():
    evaluation = add_all(Evaluation(CLASSES), make_image(detections=[(SQUARE, 1, .9)]))
    line, = evaluation.report()
    assert not evaluation.has_ground_truth() and 'has no ground truth' in line
    assert set(evaluation.result()['mAP'].values()) == {None}


def test_kept_and_worst_images_and_extra_metrics():
    class Recorder:
        def __init__(self):
            self.images = []

        def add(self, image):
            self.images.append(image)
    recorder = Recorder()
    evaluation = add_all(
        Evaluation(CLASSES, num_worst=1, kept_indices=[1], extra_metrics=[recorder]), *IMAGES)
    assert len(recorder.images) == 2 and evaluation.kept.keys() == {1}
    assert evaluation.kept[1].image.scores.tolist() == [.8, .7]
    assert [index for index, _ in evaluation.confusion.worst_images()] == [0]


def test_thresholds_of_score_and_iou():
    image = make_image([SQUARE], [1], [([0, 0, .4, .32], 1, .9), (SQUARE, 1, .6)])
    result = add_all(Evaluation(CLASSES, min_iou=.9, min_score=.65), image).result()
    assert result['confusion'] == {
        'min_score': .65, 'found': 0, 'missed': 1, 'false': 1, 'confused': 0}

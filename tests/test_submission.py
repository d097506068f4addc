import json

import faster_coco_eval
import numpy as np
import pytest
from evaluated_images import add_all, make_image

from common.errors import UserError
from datasets.coco import CocoSource
from datasets.dataset_factory import Dataset
from metrics import coco, submission

DATASET = Dataset('pets', 'test', [], [], ['cat', 'dog'], '', [17, 18])
IMAGE = make_image(detections=[([.1, .2, .5, .4], 2, .9), ([0, 0, 1, 1], 2, .0321)],
                   size=(100, 200), filename='000004.jpg', source_id='4')


def test_voc_boxes_count_pixels_from_one_and_include_both_ends(tmp_path):
    message = add_all(submission.create('voc', DATASET, 'net'), IMAGE).write(str(tmp_path))
    # The edges 10 to 50 and 40 to 80 enclose the rows 11 to 50 and the columns 41 to 80.
    assert (tmp_path / 'comp4_det_test_dog.txt').read_text() == (
        '000004 0.900000 41.000000 11.000000 80.000000 50.000000\n'
        '000004 0.032100 1.000000 1.000000 200.000000 100.000000\n')
    assert (tmp_path / 'comp4_det_test_cat.txt').read_text() == '' and '2 files ' in message


def test_coco_detections_have_the_ids_of_the_source(tmp_path):
    coco_submission = submission.create('coco', DATASET, 'net')
    add_all(coco_submission, IMAGE, make_image(source_id='5')).write(str(tmp_path))
    assert json.loads((tmp_path / 'detections_test_net_results.json').read_text()) == [
        {'image_id': 4, 'category_id': 18, 'bbox': [40, 10, 40, 40], 'score': .9},
        {'image_id': 4, 'category_id': 18, 'bbox': [0, 0, 200, 100], 'score': .0321}]
    assert submission.FORMATS == ('voc', 'coco')


def test_slashes_in_class_names_are_replaced_in_file_names(tmp_path):
    submission.VocSubmission(DATASET._replace(class_names=['cat/dog'])).write(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ['comp4_det_test_cat_dog.txt']


def test_records_without_names_or_ids_raise_errors():
    with pytest.raises(UserError, match='coco needs COCO category ids, but pets has none'):
        submission.CocoSubmission(DATASET._replace(source_ids=None), 'net')
    with pytest.raises(UserError, match="coco needs integer image ids, but a.jpg has the id 'one'"):
        submission.CocoSubmission(DATASET, 'net').add(make_image(source_id='one'))
    with pytest.raises(UserError, match='voc needs the file names of the images'):
        submission.VocSubmission(DATASET).add(make_image(filename=''))


def make_detections(annotation, labels, rng):
    """Return two shifted copies of each ground-truth box as (box, label, score)."""
    boxes, num_detections = np.repeat(annotation.boxes, 2, 0), 2 * len(annotation.boxes)
    boxes = np.clip(boxes + rng.normal(0, .01, [num_detections, 4]), 0, 1)
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + .01)
    # Rounded to hundredths of a pixel, as in the file, so that both evaluations see the same boxes.
    pixels = np.tile((annotation.height, annotation.width), 2)
    scores = rng.permutation(num_detections) / 1000
    return list(zip((boxes * pixels).round(2) / pixels, np.repeat(labels, 2), scores, strict=True))


def test_the_file_evaluates_to_the_same_metrics_as_coco_metric(shared, tmp_path):
    """Compare `CocoMetric` with COCO's evaluation of the submission on COCO's own annotations."""
    rng, folder = np.random.RandomState(0), shared / 'data/coco_small'
    source = CocoSource(str(folder))
    class_names, ids = source.class_names(['val2017']), source.source_ids(['val2017'])
    metric = coco.CocoMetric(len(class_names) + 1)
    coco_submission = submission.CocoSubmission(
        Dataset('coco', 'val2017', [], [], class_names, '', [ids[name] for name in class_names]),
        'net')
    annotations = [read() for read in source.image_readers('val2017').values()]
    for annotation in sorted(annotations, key=lambda annotation: int(annotation.source_id)):
        labels = [class_names.index(name) + 1 for name in annotation.names]
        image = make_image(
            annotation.boxes, labels, make_detections(annotation, labels, rng),
            (annotation.height, annotation.width), iscrowd=annotation.iscrowd,
            area=annotation.area or [0] * len(labels), source_id=annotation.source_id)
        metric.add(image)
        coco_submission.add(image)
    coco_submission.write(str(tmp_path))
    ground_truth = faster_coco_eval.COCO(str(folder / 'annotations/instances_val2017.json'))
    detections = ground_truth.loadRes(str(tmp_path / 'detections_val2017_net_results.json'))
    evaluation = faster_coco_eval.COCOeval_faster(ground_truth, detections, 'bbox')
    evaluation.run()
    values = [metric.value(definition) for definition in coco.SUMMARY_METRICS.values()]
    np.testing.assert_allclose(values, evaluation.stats[:12], atol=1e-6)
    assert .2 < values[0] < .95

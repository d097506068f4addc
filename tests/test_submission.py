import json

import faster_coco_eval
import numpy as np
import pytest
from evaluated import gathered, picture

from common.errors import UserError
from datasets import coco as coco_folder
from datasets.dataset_factory import Dataset
from metrics import coco, servers

DATASET = Dataset('pets', 'test', [], [], ['cat', 'dog'], '', [17, 18])
FOUND = picture(detected=[[.1, .2, .5, .4], [0, 0, 1, 1]], detected_labels=[2, 2], scores=[.9, .0321],
                size=(100, 200), filename='000004.jpg', source_id='4')


def test_voc_counts_pixels_from_one_and_includes_both_ends(tmp_path):
    said = gathered(servers.VocFiles(DATASET, 'net'), FOUND).write(str(tmp_path))
    # Rows 10 to 50 and columns 40 to 80 of edges: the pixels 11 to 50 and 41 to 80.
    assert (tmp_path / 'comp4_det_test_dog.txt').read_text() == (
        '000004 0.900000 41.000000 11.000000 80.000000 50.000000\n'
        '000004 0.032100 1.000000 1.000000 200.000000 100.000000\n')
    assert (tmp_path / 'comp4_det_test_cat.txt').read_text() == '' and '2 files ' in said


def test_coco_has_its_own_ids(tmp_path):
    gathered(servers.CocoFile(DATASET, 'net'), FOUND, picture(source_id='5')).write(str(tmp_path))
    assert json.loads((tmp_path / 'detections_test_net_results.json').read_text()) == [
        {'image_id': 4, 'category_id': 18, 'bbox': [40, 10, 40, 40], 'score': .9},
        {'image_id': 4, 'category_id': 18, 'bbox': [0, 0, 200, 100], 'score': .0321}]


def test_a_class_whose_name_is_no_file_name(tmp_path):
    servers.VocFiles(DATASET._replace(class_names=['cat/dog']), 'net').write(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ['comp4_det_test_cat_dog.txt']


def test_what_records_do_not_say():
    with pytest.raises(UserError, match='coco wants the ids of categories, which pets does not have'):
        servers.CocoFile(DATASET._replace(source_ids=None), 'net')
    with pytest.raises(UserError, match="whole numbers as ids of pictures, but a.jpg has 'one'"):
        servers.CocoFile(DATASET, 'net').add(picture(source_id='one'))
    with pytest.raises(UserError, match='voc wants the names of the pictures'):
        servers.VocFiles(DATASET, 'net').add(picture(filename=''))


def test_the_server_counts_what_is_counted_here(shared, tmp_path):
    """Ground truths of COCO, moved a little, as detections: as a file against COCO's own, and as it is done here."""
    rng, folder = np.random.RandomState(0), shared / 'data/coco_small'
    source = coco_folder.CocoFolder(str(folder))
    classes, ids = source.class_names(['val2017']), source.source_ids(['val2017'])
    metric = coco.CocoMetric(len(classes) + 1)
    file = servers.CocoFile(Dataset('coco', 'val2017', [], [], classes, '', [ids[name] for name in classes]), 'net')
    found = sorted((read() for read in source.pictures('val2017').values()), key=lambda one: int(one.source_id))
    for one in found:
        boxes, labels = np.array(one.boxes), [classes.index(name) + 1 for name in one.names]
        moved = np.clip(np.repeat(boxes, 2, 0) + rng.normal(0, .01, (2 * len(boxes), 4)), 0, 1)
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + .01)
        # In hundredths of a pixel, as the file has them, so that both see the same.
        pixels = np.tile((one.height, one.width), 2)
        picture_of = picture(boxes, labels, (), (moved * pixels).round(2) / pixels, np.repeat(labels, 2),
                             rng.permutation(2 * len(boxes)) / 1000, one.iscrowd, one.area or [0] * len(boxes),
                             (one.height, one.width), source_id=one.source_id)
        metric.add(picture_of)
        file.add(picture_of)
    file.write(str(tmp_path))
    truths = faster_coco_eval.COCO(str(folder / 'annotations/instances_val2017.json'))
    evaluation = faster_coco_eval.COCOeval_faster(
        truths, truths.loadRes(str(tmp_path / 'detections_val2017_net_results.json')), 'bbox')
    evaluation.run()
    ours = [metric.number(*what) for what in coco.NUMBERS.values()]
    np.testing.assert_allclose(ours, evaluation.stats[:12], atol=1e-6)
    assert .2 < ours[0] < .95

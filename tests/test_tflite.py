import zipfile

import numpy as np
import pytest
import tensorflow as tf
from exported_net import assert_agree, assert_padded, make_job, predicted, resized, written

from benchmarks import runtimes
from exporting import tflite


@pytest.fixture(scope='module')
def exported(exportable, tmp_path_factory):
    """The file that was written."""
    return written(tflite, tmp_path_factory.mktemp('lite') / 'model.tflite', make_job(exportable))


@pytest.mark.parametrize('threads', [1, 2, 3])   # the operator for SSD nets loses a class in 2
def test_it_finds_what_prediction_finds(exported, exportable, cells, threads):
    job = make_job(exportable)
    found = runtimes.tflite(str(exported), threads)(resized(job, cells))
    assert_padded(found)
    assert_agree(found, predicted(job, cells))


def test_the_signature(exported):
    interpreter = tf.lite.Interpreter(str(exported))
    assert interpreter.get_signature_list() == {'serving_default': {
        'inputs': ['images'], 'outputs': ['boxes', 'classes', 'count', 'scores']}}
    details, = interpreter.get_input_details()
    assert details['shape'].tolist() == [1, 300, 300, 3] and details['dtype'] == np.uint8


def test_class_names_are_inside(exported):
    with zipfile.ZipFile(exported) as archive:
        assert archive.read('labels.txt') == b'0:background\n1:RBC\n2:WBC\n3:Platelets\n'


def test_a_picture_without_anything(exportable, tmp_path):
    job = make_job(exportable)
    job = job._replace(options=job.options._replace(min_score=1.))
    tflite.export(str(tmp_path / 'model.tflite'), job)
    found = runtimes.tflite(str(tmp_path / 'model.tflite'), 2)(np.zeros([1, 300, 300, 3], np.uint8))
    assert found['count'].tolist() == [0] and not any(found[name].any() for name in ('boxes', 'scores', 'classes'))

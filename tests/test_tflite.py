import zipfile

import numpy as np
import pytest
import tensorflow as tf
from exported_net import assert_agree, assert_valid, export_to, make_job, predict, resize

from benchmarks import runtimes
from exporting import tflite


@pytest.fixture(scope='module')
def exported(exportable, tmp_path_factory):
    """Path of the TensorFlow Lite file."""
    path = tmp_path_factory.mktemp('lite') / 'model.tflite'
    return export_to(path, tflite, make_job(exportable))


# TFLite_Detection_PostProcess, which is not used, misses a class with 2 threads.
@pytest.mark.parametrize('num_threads', [1, 2, 3])
def test_outputs_match_prediction(exported, exportable, cells, num_threads):
    job = make_job(exportable)
    outputs = runtimes.tflite(str(exported), num_threads)(resize(job, cells))
    assert_valid(outputs)
    assert_agree(outputs, predict(job, cells))


def test_signature(exported):
    interpreter = tf.lite.Interpreter(str(exported))
    assert interpreter.get_signature_list() == {'serving_default': {
        'inputs': ['images'], 'outputs': ['boxes', 'classes', 'count', 'scores']}}
    details, = interpreter.get_input_details()
    assert details['shape'].tolist() == [1, 300, 300, 3] and details['dtype'] == np.uint8


def test_labels_are_in_the_file(exported):
    with zipfile.ZipFile(exported) as archive:
        assert archive.read('labels.txt') == b'0:background\n1:RBC\n2:WBC\n3:Platelets\n'


def test_image_without_detections(exportable, tmp_path):
    job = make_job(exportable)
    job = job._replace(post_processing=job.post_processing._replace(select_threshold=1.))
    tflite.export(str(tmp_path / 'model.tflite'), job)
    detect = runtimes.tflite(str(tmp_path / 'model.tflite'), 2)
    outputs = detect(np.zeros([1, 300, 300, 3], np.uint8))
    assert outputs['count'].tolist() == [0]
    assert not any(outputs[name].any() for name in ('boxes', 'scores', 'classes'))

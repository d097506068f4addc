import json

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from exported_net import assert_agree, assert_padded, make_job, predicted, resized, written

from benchmarks import runtimes
from exporting import onnx as exporter

onnxruntime = pytest.importorskip('onnxruntime')
pytest.importorskip('tf2onnx')


@pytest.fixture(scope='module')
def exported(exportable, tmp_path_factory):
    """The file that was written."""
    return written(exporter, tmp_path_factory.mktemp('onnx') / 'model.onnx', make_job(exportable))


def test_it_finds_what_prediction_finds(exported, exportable, cells):
    job = make_job(exportable)
    found = runtimes.onnx(str(exported), 2)(resized(job, cells))
    assert_padded(found)
    assert_agree(found, predicted(job, cells))


def test_pictures_of_their_own_size(exported, exportable, cells, decoded):
    assert_agree(runtimes.onnx(str(exported), 2)(decoded), predicted(make_job(exportable), cells))


def test_inputs_outputs_and_names(exported):
    session = onnxruntime.InferenceSession(str(exported))
    assert [(given.name, given.shape, given.type) for given in session.get_inputs()] == [
        ('images', ['batch', 'height', 'width', 3], 'tensor(uint8)')]
    assert [(given.name, given.shape) for given in session.get_outputs()] == [
        ('boxes', ['batch', 200, 4]), ('scores', ['batch', 200]), ('classes', ['batch', 200]), ('count', ['batch'])]
    assert json.loads(session.get_modelmeta().custom_metadata_map['class_names']) == [
        'background', 'RBC', 'WBC', 'Platelets']


def test_the_best_of_each_class_alone_go_on(evaluate):
    scores = tf.constant([[[.1, .9], [.3, .2], [.2, .5]]])
    np.testing.assert_allclose(evaluate(exporter._best(scores, 2)), [[[0, .9], [.3, 0], [.2, .5]]])
    np.testing.assert_allclose(evaluate(exporter._best(scores, 9)), evaluate(scores))

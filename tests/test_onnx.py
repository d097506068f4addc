import json

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from exported_net import assert_agree, assert_valid, export_to, make_job, predict, resize

from benchmarks import runtimes
from exporting import onnx as onnx_exporter

onnxruntime = pytest.importorskip('onnxruntime')
pytest.importorskip('tf2onnx')


@pytest.fixture(scope='module')
def exported(exportable, tmp_path_factory):
    """Path of the ONNX file."""
    path = tmp_path_factory.mktemp('onnx') / 'model.onnx'
    return export_to(path, onnx_exporter, make_job(exportable))


def test_resized_images_match_prediction(exported, exportable, cells):
    job = make_job(exportable)
    outputs = runtimes.onnx(str(exported), 2)(resize(job, cells))
    assert_valid(outputs)
    assert_agree(outputs, predict(job, cells))


def test_images_of_another_size_match_prediction(exported, exportable, cells, decoded):
    outputs = runtimes.onnx(str(exported), 2)(decoded)
    assert_agree(outputs, predict(make_job(exportable), cells))


def test_signature_and_metadata(exported):
    session = onnxruntime.InferenceSession(str(exported))
    assert [(value.name, value.shape, value.type) for value in session.get_inputs()] == [
        ('images', ['batch', 'height', 'width', 3], 'tensor(uint8)')]
    assert [(value.name, value.shape) for value in session.get_outputs()] == [
        ('boxes', ['batch', 200, 4]), ('scores', ['batch', 200]), ('classes', ['batch', 200]),
        ('count', ['batch'])]
    assert json.loads(session.get_modelmeta().custom_metadata_map['class_names']) == [
        'background', 'RBC', 'WBC', 'Platelets']


def test_zero_below_top_k(evaluate):
    scores = tf.constant([[[.1, .9], [.3, .2], [.2, .5]]])
    np.testing.assert_allclose(evaluate(onnx_exporter._zero_below_top_k(scores, 2)),
                               [[[0, .9], [.3, 0], [.2, .5]]])
    np.testing.assert_allclose(evaluate(onnx_exporter._zero_below_top_k(scores, 9)),
                               evaluate(scores))

import collections
import os
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from exported_net import (
    assert_valid,
    detections_of_image,
    export_to,
    make_job,
    predict,
    resize,
)

from benchmarks import runtimes
from exporting import tflite, tflite_int8
from nets import boxes as box_lib


@pytest.fixture(scope='module')
def exported(exportable, tmp_path_factory):
    """Path of the TensorFlow Lite file, calibrated with eight real images."""
    from conftest import ROOT
    folder = ROOT.parent / 'shared/data/BCCD/JPEGImages'
    if not folder.is_dir():
        pytest.skip(f'no real data at {folder}')
    paths = sorted(folder.glob('*.jpg'))[10:18]
    job = make_job(exportable, calibration_images=[path.read_bytes() for path in paths])
    return export_to(tmp_path_factory.mktemp('int8') / 'model_int8.tflite', tflite_int8, job)


def matched_share(actual, expected, min_score):
    """Return the share of expected detections above `min_score` that are matched.

    A match has the same class and an IoU above 0.5.
    """
    is_matched = []
    for index in range(len(expected['count'])):
        candidates = detections_of_image(actual, index)
        for label, _, box in detections_of_image(expected, index, min_score):
            is_matched.append(any(
                label == other_label and box_lib.iou(box[None], other_box[None], np)[0, 0] > .5
                for other_label, _, other_box in candidates))
    assert len(is_matched) > 24
    return np.mean(is_matched)


def test_most_detections_match_prediction(exported, exportable, cells):
    job = make_job(exportable)
    outputs, expected = runtimes.tflite(str(exported), 2)(resize(job, cells)), predict(job, cells)
    assert_valid(outputs)
    of_other_images = {name: np.roll(values, 1, axis=0) for name, values in expected.items()}
    # Random weights lose more than trained ones, which keep 99 % of the detections.
    assert matched_share(outputs, expected, .8) > .65
    assert matched_share(outputs, of_other_images, .8) < .55


def test_convolutions_are_int8_and_post_processing_is_float(exported, exportable, tmp_path):
    interpreter = tf.lite.Interpreter(
        str(exported), experimental_op_resolver_type=(
            tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES))
    dtypes = {tensor['index']: tensor['dtype'] for tensor in interpreter.get_tensor_details()}
    output_dtypes = collections.defaultdict(set)
    for operator in interpreter._get_ops_details():
        output_dtypes[operator['op_name']].add(dtypes[operator['outputs'][0]])
    assert output_dtypes['CONV_2D'] == output_dtypes['DEPTHWISE_CONV_2D'] == {np.int8}
    assert output_dtypes['EXP'] == output_dtypes['SOFTMAX'] == {np.float32}
    tflite.export(str(tmp_path / 'float.tflite'), make_job(exportable))
    assert os.path.getsize(exported) < .4 * os.path.getsize(tmp_path / 'float.tflite')


def test_labels_are_in_the_file(exported):
    with zipfile.ZipFile(exported) as archive:
        assert archive.namelist() == ['labels.txt']

import io

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from exported_net import assert_agree, assert_padded, make_job, predicted, written
from PIL import Image

from exporting import saved_model


@pytest.fixture(scope='module')
def exported(exportable, tmp_path_factory):
    """The folder that was written."""
    return written(saved_model, tmp_path_factory.mktemp('saved') / 'saved_model', make_job(exportable))


def run(folder, signature, **inputs):
    """{output: array} of a signature, by TensorFlow's loader, which TensorFlow Serving uses too."""
    with tf.Graph().as_default(), tf.Session() as session:
        loaded = tf.saved_model.load(session, ['serve'], str(folder)).signature_def[signature]
        return session.run({name: tensor.name for name, tensor in loaded.outputs.items()},
                           {loaded.inputs[name].name: value for name, value in inputs.items()})


def test_encoded_pictures_of_several_sizes(exported, exportable, cells):
    wide = Image.open(io.BytesIO(cells[0])).crop((0, 100, 640, 400))
    buffer = io.BytesIO()
    wide.save(buffer, 'JPEG', quality=95)
    pictures = [*cells, buffer.getvalue()]
    found = run(exported, 'encoded', encoded=pictures)
    assert_padded(found)
    assert_agree(found, predicted(make_job(exportable), pictures))


def test_decoded_pictures(exported, exportable, cells, decoded):
    found = run(exported, 'serving_default', images=decoded)
    assert_padded(found)
    assert_agree(found, predicted(make_job(exportable), cells))


def test_names_are_said_with_each_detection(exported, cells):
    found = run(exported, 'encoded', encoded=cells[:1])
    names = np.array([b'background', b'RBC', b'WBC', b'Platelets'])
    np.testing.assert_array_equal(found['names'], names[found['classes']])
    assert (exported / 'assets.extra/labels.txt').read_text() == '0:background\n1:RBC\n2:WBC\n3:Platelets\n'


def test_more_detections_than_there_can_be_are_zeros(exportable, tmp_path, cells):
    job = make_job(exportable)
    job = job._replace(options=job.options._replace(max_detections=5000, select_top_k=100))
    saved_model.export(str(tmp_path / 'net'), job)
    found = run(tmp_path / 'net', 'encoded', encoded=cells[:1])
    assert_padded(found, 5000)


def test_the_weights_themselves_are_exported_if_wanted(exportable, tmp_path, cells):
    job = make_job(exportable, use_averages=False)   # the other tests have the averages
    saved_model.export(str(tmp_path / 'net'), job)
    found = run(tmp_path / 'net', 'encoded', encoded=cells[:1])
    assert_agree(found, predicted(job, cells[:1]))
    assert abs(found['scores'][0, 0] - predicted(make_job(exportable), cells[:1])['scores'][0, 0]) > .01

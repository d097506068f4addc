import io

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from exported_net import assert_agree, assert_valid, export_to, make_job, predict
from PIL import Image

from exporting import saved_model


@pytest.fixture(scope='module')
def exported(exportable, tmp_path_factory):
    """Path of the SavedModel folder."""
    path = tmp_path_factory.mktemp('saved') / 'saved_model'
    return export_to(path, saved_model, make_job(exportable))


def run(folder, signature_name, **inputs):
    """Load the SavedModel and run a signature; return its outputs as a dict of arrays."""
    with tf.Graph().as_default(), tf.Session() as session:
        meta_graph = tf.saved_model.load(session, ['serve'], str(folder))
        signature = meta_graph.signature_def[signature_name]
        return session.run(
            {name: tensor.name for name, tensor in signature.outputs.items()},
            {signature.inputs[name].name: value for name, value in inputs.items()})


def test_encoded_images_of_several_sizes(exported, exportable, cells):
    buffer = io.BytesIO()
    Image.open(io.BytesIO(cells[0])).crop((0, 100, 640, 400)).save(buffer, 'JPEG', quality=95)
    encoded = [*cells, buffer.getvalue()]
    outputs = run(exported, 'encoded', encoded=encoded)
    assert_valid(outputs)
    assert_agree(outputs, predict(make_job(exportable), encoded))


def test_decoded_images(exported, exportable, cells, decoded):
    outputs = run(exported, 'serving_default', images=decoded)
    assert_valid(outputs)
    assert_agree(outputs, predict(make_job(exportable), cells))


def test_class_names(exported, cells):
    outputs = run(exported, 'encoded', encoded=cells[:1])
    class_names = np.array([b'background', b'RBC', b'WBC', b'Platelets'])
    np.testing.assert_array_equal(outputs['names'], class_names[outputs['classes']])
    assert (exported / 'assets.extra/labels.txt').read_text() == (
        '0:background\n1:RBC\n2:WBC\n3:Platelets\n')


def test_outputs_are_padded_if_max_detections_exceeds_the_number_of_boxes(exportable, tmp_path,
                                                                          cells):
    job = make_job(exportable)
    job = job._replace(post_processing=job.post_processing._replace(keep_top_k=5000,
                                                                    select_top_k=100))
    saved_model.export(str(tmp_path / 'net'), job)
    outputs = run(tmp_path / 'net', 'encoded', encoded=cells[:1])
    assert_valid(outputs, 5000)


def test_weights_are_exported_without_use_averages(exportable, tmp_path, cells):
    job = make_job(exportable, use_averages=False)   # the other tests export the averages
    saved_model.export(str(tmp_path / 'net'), job)
    outputs = run(tmp_path / 'net', 'encoded', encoded=cells[:1])
    assert_agree(outputs, predict(job, cells[:1]))
    with_averages = predict(make_job(exportable), cells[:1])
    assert abs(outputs['scores'][0, 0] - with_averages['scores'][0, 0]) > .01

import pytest
import tensorflow.compat.v1 as tf
from exported_net import assert_agree, assert_valid, export_to, make_job, predict

from exporting import frozen_graph


@pytest.fixture(scope='module')
def exported(exportable, tmp_path_factory):
    """Path of the frozen graph."""
    path = tmp_path_factory.mktemp('frozen') / 'frozen_graph.pb'
    return export_to(path, frozen_graph, make_job(exportable))


def run_graph(path, outputs, feed_dict):
    with tf.Graph().as_default(), tf.Session() as session:
        tf.import_graph_def(tf.GraphDef.FromString(path.read_bytes()), name='')
        return session.run(outputs, feed_dict)


@pytest.mark.parametrize('prefix', ['', 'from_encoded/'])
def test_both_inputs_match_prediction(exported, exportable, cells, decoded, prefix):
    feed_dict = {'encoded:0': cells} if prefix else {'images:0': decoded}
    names = ('boxes', 'scores', 'classes', 'count', 'names')
    outputs = run_graph(exported, {name: f'{prefix}{name}:0' for name in names}, feed_dict)
    assert_valid(outputs)
    assert_agree(outputs, predict(make_job(exportable), cells))
    class_names = [b'background', b'RBC', b'WBC', b'Platelets']
    assert outputs['names'][0, 0] == class_names[outputs['classes'][0, 0]]


def test_nodes(exported):
    graph = tf.GraphDef.FromString(exported.read_bytes())
    assert not [node.name for node in graph.node if 'Variable' in node.op]
    assert [node.name for node in graph.node if node.op == 'Placeholder'] == ['images', 'encoded']
    assert run_graph(exported, 'class_names:0', {}).tolist() == [
        b'background', b'RBC', b'WBC', b'Platelets']

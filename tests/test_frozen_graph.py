import pytest
import tensorflow.compat.v1 as tf
from exported_net import assert_agree, assert_padded, make_job, predicted, written

from exporting import frozen_graph


@pytest.fixture(scope='module')
def exported(exportable, tmp_path_factory):
    """The file that was written."""
    return written(frozen_graph, tmp_path_factory.mktemp('frozen') / 'frozen_graph.pb', make_job(exportable))


def run(path, outputs, feed):
    with tf.Graph().as_default(), tf.Session() as session:
        tf.import_graph_def(tf.GraphDef.FromString(path.read_bytes()), name='')
        return session.run(outputs, feed)


@pytest.mark.parametrize('scope', ['', 'from_encoded/'])
def test_both_ways_in(exported, exportable, cells, decoded, scope):
    feed = {'encoded:0': cells} if scope else {'images:0': decoded}
    found = run(exported, {name: f'{scope}{name}:0' for name in ('boxes', 'scores', 'classes', 'count', 'names')}, feed)
    assert_padded(found)
    assert_agree(found, predicted(make_job(exportable), cells))
    assert found['names'][0, 0] == [b'background', b'RBC', b'WBC', b'Platelets'][found['classes'][0, 0]]


def test_what_it_holds(exported):
    graph = tf.GraphDef.FromString(exported.read_bytes())
    assert not [node.name for node in graph.node if 'Variable' in node.op]
    assert run(exported, 'class_names:0', {}).tolist() == [b'background', b'RBC', b'WBC', b'Platelets']
    assert [node.name for node in graph.node if node.op == 'Placeholder'] == ['images', 'encoded']

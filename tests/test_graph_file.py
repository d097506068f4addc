import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from tensorflow.core.protobuf import saved_model_pb2

from checkpoints import sources
from checkpoints.readers import graph_file
from common.errors import UserError


def constant(graph, name, dtype, shape, **values):
    """Add a Const node to a GraphDef; return its TensorProto."""
    tensor = graph.node.add(name=name, op='Const').attr['value'].tensor
    tensor.dtype = dtype.as_datatype_enum
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    tensor.MergeFrom(type(tensor)(**values))
    return tensor


def write(path, graph):
    path.write_bytes(graph.SerializeToString())
    return str(path)


def test_constants_of_a_graph(tmp_path):
    with tf.Graph().as_default() as graph:
        weights = tf.constant(np.arange(6, dtype=np.float32).reshape(2, 3), name='conv/weights')
        tf.identity(weights, name='conv/weights/read')
        tf.constant([1.5, -2], tf.float16, name='half')
        tf.constant([1.5, -2], tf.bfloat16, name='brain')
        tf.constant(3., tf.float64, shape=[2, 2], name='Concatenate/concat')
        tf.constant([1, 2], name='axis')
        tf.placeholder(tf.float32, [], name='image')
    source = sources.open_source(write(tmp_path / 'g.pb', graph.as_graph_def()))
    assert source.shapes == {'conv/weights': [2, 3], 'half': [2], 'brain': [2],
                             'Concatenate/concat': [2, 2]}
    arrays = {name: source.read(name) for name in source.shapes}
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float32)}
    assert arrays['conv/weights'].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert arrays['half'].tolist() == arrays['brain'].tolist() == [1.5, -2]
    assert arrays['Concatenate/concat'].tolist() == [[3, 3], [3, 3]]


def test_missing_values_repeat_the_last_one(tmp_path):
    graph = tf.GraphDef()
    constant(graph, 'a', tf.float32, [4], float_val=[1, 2])
    constant(graph, 'b', tf.float32, [2])
    constant(graph, 'c', tf.float16, [3], half_val=[0x3c00])   # 1.0
    constant(graph, 'd', tf.bfloat16, [], half_val=[0x4040])   # 3.0
    constant(graph, 'e', tf.float32, [0, 3])
    source = sources.open_source(write(tmp_path / 'g.pb', graph))
    assert {name: source.read(name).tolist() for name in source.shapes} == {
        'a': [1, 2, 2, 2], 'b': [0, 0], 'c': [1, 1, 1], 'd': 3, 'e': []}


def test_reads_of_variables_have_the_names_of_the_variables(tmp_path):
    graph = tf.GraphDef()
    for name in ('a/read', 'b/read/_12__cf__12', 'c/ReadVariableOp', 'd', 'd/read', 'e/spread'):
        constant(graph, name, tf.float32, [1])
    source = sources.open_source(write(tmp_path / 'g.pb', graph))
    assert set(source.shapes) == {'a', 'b', 'c', 'd', 'd/read', 'e/spread'}


def test_a_frozen_saved_model(tmp_path):
    model = saved_model_pb2.SavedModel()
    constant(model.meta_graphs.add().graph_def, 'a', tf.float32, [2], float_val=[1, 2])
    write(tmp_path / 'saved_model.pb', model)
    for path in (tmp_path, tmp_path / 'saved_model.pb'):
        assert sources.open_source(str(path)).read('a').tolist() == [1, 2]


@pytest.mark.parametrize('shape, values, message', [
    ([1 << 20, 1 << 10], {'float_val': [0]}, 'declares 4,294,967,296 bytes of weights'),
    ([3], {'tensor_content': bytes(8)}, 'a constant of 3 values has 8 bytes'),
    ([1], {'float_val': [0, 0]}, 'a constant of 1 values has more'),
    ([-1], {'float_val': [0]}, 'an array has an invalid shape'),
    ([1] * 33, {'float_val': [0]}, 'an array has an invalid shape')])
def test_declared_shapes_are_checked(tmp_path, shape, values, message):
    graph = tf.GraphDef()
    constant(graph, 'a', tf.float32, shape, **values)
    with pytest.raises(UserError, match=message):
        sources.open_source(write(tmp_path / 'g.pb', graph))


def test_graphs_without_weights_are_rejected(tmp_path, monkeypatch):
    graph = tf.GraphDef()
    write(tmp_path / 'empty.pb', graph)
    graph.node.add(name='v', op='VariableV2')
    constant(graph, 'epsilon', tf.float32, [], float_val=[.001])
    write(tmp_path / 'training.pb', graph)
    (tmp_path / 'damaged.pb').write_bytes(b'\x0a\xff')
    (tmp_path / 'text.pb').write_text('node { name: "a" }')
    for name, message in (('empty', 'is empty'),
                          ('training', 'is a graph whose weights are in another file'),
                          ('damaged', 'is not a complete frozen graph'),
                          ('text', 'is not a complete frozen graph')):
        with pytest.raises(UserError, match=message):
            sources.open_source(str(tmp_path / f'{name}.pb'))
    monkeypatch.setattr(graph_file, '_MAX_FILE_SIZE', 5)
    with pytest.raises(UserError, match='training.pb is larger than 2 GB'):
        sources.open_source(str(tmp_path / 'training.pb'))

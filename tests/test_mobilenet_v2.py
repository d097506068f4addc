import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim
from reference_weights import read_layout

from nets import layers, mobilenet_v2
from nets.backbones import BACKBONES
from nets.net_table import NETS

NET = NETS['ssd_300_mobilenet_v2']


def build(size=32, **fields):
    """Build the backbone on an image of ones; return its end points."""
    with mobilenet_v2.arg_scope(), slim.arg_scope([layers.batch_norm], is_training=False), \
         tf.variable_scope('', custom_getter=layers.seeded_getter(0)):
        return mobilenet_v2.build(tf.ones([1, size, size, 3]), NET._replace(**fields))


def load_constants(session, constants):
    """Initialize all variables, and fill those whose names end as given with a constant."""
    session.run(tf.global_variables_initializer())
    for variable in tf.model_variables():
        for ending, value in constants.items():
            if variable.op.name.endswith(ending):
                variable.load(np.full(variable.shape.as_list(), value, np.float32), session)


def variable_shapes():
    """Return the shapes of the model variables by name."""
    return {v.op.name: v.shape.as_list() for v in tf.model_variables()}


# The totals are those that Keras prints for MobileNetV2(alpha=width, include_top=False). Its alpha
# scales the last layer in the same way.
@pytest.mark.parametrize('width, first, bottlenecks, num_parameters', [
    (1., 32, [16, 24, 32, 64, 96, 160, 320], 2_257_984),
    (.75, 24, [16, 24, 24, 48, 72, 120, 240], 1_382_064),
    (.5, 16, [8, 16, 16, 32, 48, 80, 160], 706_224),
    (.35, 16, [8, 8, 16, 24, 32, 56, 112], 410_208)])
def test_channels_and_parameters_of_each_width(width, first, bottlenecks, num_parameters):
    end_points = build(depth_multiplier=width)
    depths = {layer: net.shape[-1] for layer, net in end_points.items()}
    last_of_group = ['expanded_conv', *(f'expanded_conv_{i}' for i in (2, 5, 9, 12, 15, 16))]
    assert [depths[layer] for layer in last_of_group] == bottlenecks
    assert (depths['Conv'], depths['Conv_1']) == (first, 1280)
    assert depths['expanded_conv_13_expand'] == 6 * bottlenecks[4]
    assert 'expanded_conv_expand' not in depths
    assert sum(np.prod(shape) for shape in variable_shapes().values()) == num_parameters


def test_variables_equal_those_of_the_object_detection_api():
    build()
    prefix = 'FeatureExtractor/'
    public = {name.removeprefix(prefix): list(shape)
              for name, shape in read_layout('odapi_ssdlite_mobilenet_v2').items()
              if name.startswith(prefix) and '/layer_19_' not in name}   # the extra layers
    assert len(public) == 52 * 5 and variable_shapes() == public


@pytest.mark.parametrize('size, padding', [(300, 'SAME'), (75, 'symmetric')])
def test_the_table_has_the_halvings_of_each_layer(size, padding):
    end_points = build(size, padding=padding)
    cells = {layer: -(-size // 2 ** halvings)
             for layer, halvings in BACKBONES['mobilenet_v2'].halvings.items()}
    assert {layer: end_points[layer].shape[1] for layer in cells} == cells


def test_bottlenecks_are_linear_and_add_their_input_where_the_shape_stays():
    end_points = build()
    names = ['expanded_conv', *(f'expanded_conv_{index}' for index in range(1, 17))]
    with tf.Session() as session:
        load_constants(session, {'project/BatchNorm/gamma': 0, 'project/BatchNorm/beta': -1})
        outputs = session.run([end_points[name] for name in names])
    assert [output.min() for output in outputs] == [output.max() for output in outputs] == [
        -1, -1, -2, -1, -2, -3, -1, -2, -3, -4, -1, -2, -3, -1, -2, -3, -1]


@pytest.mark.parametrize('padding, expected', [
    ('SAME', [[1, 2 / 3], [2 / 3, 4 / 9]]),         # one row and one column of zeros at the end
    ('symmetric', [[4 / 9, 2 / 3], [2 / 3, 1]])])   # the zeros at the end are not reached
def test_padding_of_the_first_layer(padding, expected):
    end_points = build(4, padding=padding)
    with tf.Session() as session:
        load_constants(session, {'MobilenetV2/Conv/weights': 1 / 27})
        outputs = session.run(end_points['Conv'])
    np.testing.assert_allclose(outputs[0, :, :, 0], expected, rtol=1e-3)   # epsilon is 0.001


def test_paddings_agree_if_each_stride_reads_an_odd_size(evaluate):
    outputs = []   # sizes 33, 17, 9, 5, 3, 2
    for padding in ('SAME', 'symmetric'):
        with tf.Graph().as_default():
            outputs.append(evaluate(build(33, padding=padding)['Conv_1']))
    np.testing.assert_array_equal(*outputs)


@pytest.mark.parametrize('activation, expected', [('', 6), ('relu', 50)])
def test_activation(activation, expected):
    layer = build(activation=activation)['Conv']
    with tf.Session() as session:
        load_constants(session, {'Conv/weights': 0, 'Conv/BatchNorm/beta': 50})
        assert (session.run(layer) == expected).all()

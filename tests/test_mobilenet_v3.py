import numpy as np
import one_step
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import backbones, layers, mobilenet_v3
from nets.nets_factory import get_params

LARGE, SMALL = 'ssdlite_320_mobilenet_v3_large', 'ssdlite_320_mobilenet_v3_small'


def build(name, size=32, **fields):
    """Build the backbone of a net, of which some fields differ; return its end points."""
    with mobilenet_v3.arg_scope(), slim.arg_scope([layers.batch_norm], is_training=False):
        return mobilenet_v3.build(tf.ones([1, size, size, 3]), get_params(name)._replace(**fields))


def num_trainable(scope):
    """Return the number of trainable parameters under a scope."""
    return sum(v.shape.num_elements() for v in tf.trainable_variables(scope))


def test_small_classifier_has_the_parameters_of_torchvision():
    end_points = build(SMALL, reduced_tail=False)
    assert num_trainable('') == 927008 and end_points['Conv_1'].shape[-1] == 576


def test_large_classifier_has_the_parameters_of_torchvision_and_the_names_of_tf_slim():
    build(LARGE, reduced_tail=False)
    assert num_trainable('') == 2971952
    shapes = {v.op.name.removeprefix('MobilenetV3/'): v.shape.as_list()
              for v in tf.model_variables()}
    assert shapes['Conv/weights'] == [3, 3, 3, 16]
    assert shapes['expanded_conv/depthwise/depthwise_weights'] == [3, 3, 16, 1]
    assert 'expanded_conv/expand/weights' not in shapes
    assert shapes['expanded_conv_3/expand/weights'] == [1, 1, 24, 72]
    assert shapes['expanded_conv_3/expand/BatchNorm/moving_variance'] == [72]
    assert shapes['expanded_conv_3/depthwise/depthwise_weights'] == [5, 5, 72, 1]
    assert shapes['expanded_conv_3/squeeze_excite/Conv/weights'] == [1, 1, 72, 24]
    assert shapes['expanded_conv_3/squeeze_excite/Conv_1/weights'] == [1, 1, 24, 72]
    assert shapes['expanded_conv_3/squeeze_excite/Conv_1/biases'] == [72]
    assert shapes['expanded_conv_14/project/weights'] == [1, 1, 960, 160]
    assert shapes['Conv_1/BatchNorm/gamma'] == [960]
    # 2 + 14 expansions + 15 depthwise + 15 projections with batch norm; 8 squeeze-and-excitations.
    assert len(shapes) == 46 * 5 + 8 * 4


def test_the_table_has_the_halvings_of_each_layer():
    end_points = build(SMALL, size=75, padding='symmetric')   # 38, 19, 10, 5, 3 cells
    halvings = backbones.BACKBONES['mobilenet_v3_small'].halvings
    cells = {layer: end_points[layer].shape[1] for layer in halvings}
    assert cells == {'expanded_conv_8_expand': 5, 'Conv_1': 3}


def test_classifiers_need_not_hold_the_layers_behind_the_last_stride():
    scopes = backbones.scopes_of(get_params(SMALL))
    assert scopes[:3] == ['MobilenetV3/Conv', 'MobilenetV3/expanded_conv',
                          'MobilenetV3/expanded_conv_1']
    assert scopes[-4:] == ['MobilenetV3/expanded_conv_7',
                           'MobilenetV3/expanded_conv_8/expand',
                           'MobilenetV3/expanded_conv_8/depthwise',
                           'MobilenetV3/expanded_conv_8/squeeze_excite']


def test_squeeze_excite():
    outputs = mobilenet_v3.squeeze_excite(tf.constant([[[[1.], [3.]]]]))
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for variable in tf.trainable_variables():
            if variable.op.name.endswith('weights'):   # [1, 1, 1, 8] and [1, 1, 8, 1]
                variable.load(np.full(variable.shape.as_list(), .25, np.float32), session)
        # The mean 2 times .25 is .5; 8 of it times .25 are 1; hard_sigmoid(1) is 4 / 6.
        np.testing.assert_allclose(session.run(outputs), [[[[2 / 3], [2]]]], rtol=1e-6)


def test_squeeze_excite_of_bfloat16_averages_in_float32(evaluate):
    """A sum in bfloat16 ends at 256, so that the mean of 1,600 ones would be 0.16."""
    with tf.variable_scope('', custom_getter=layers.precision_getter(tf.bfloat16)):
        outputs = mobilenet_v3.squeeze_excite(tf.ones([1, 40, 40, 1], tf.bfloat16))
    assert outputs.dtype == tf.bfloat16
    mean, = (op for op in tf.get_default_graph().get_operations() if op.type == 'Mean')
    assert evaluate(mean.outputs[0]).item() == 1


# The counts are those of torchvision with reduced_tail=True, and of its detector for COCO.
@pytest.mark.parametrize('name, num_parameters, total, depths', [
    (LARGE, 1620512, 3440060, [672, 480, 512, 256, 256, 128]),
    (SMALL, 438704, 1868108, [288, 288, 512, 256, 256, 128])])
def test_nets(name, num_parameters, total, depths):
    params = get_params(name)
    predictions = one_step.check(params, num_classes=91)
    assert num_trainable('MobilenetV3/') == num_parameters and num_trainable('') == total
    shapes = [predictions.end_points[layer].shape.as_list()[1:] for layer in params.feat_layers]
    assert shapes == [[cells, cells, depth] for cells, depth in
                      zip([20, 10, 5, 3, 2, 1], depths, strict=True)]
    assert predictions.logits.shape[1] == 3234   # 6 * (400 + 100 + 25 + 9 + 4 + 1)

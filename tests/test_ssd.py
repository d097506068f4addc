import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tiny_net

from datasets import shapes
from nets import nets_factory, ssd


def build(name, num_classes=21, batch=2, is_training=True, **options):
    """Build a net on images of zeros; return its `SSDParams` and `Predictions`."""
    params = nets_factory.get_params(name)
    images = tf.zeros([batch, params.image_size, params.image_size, 3])
    return params, ssd.build(
        images, params, num_classes, is_training, ssd.BuildOptions(**options))


def variable_shapes():
    """Return the shapes of the model variables by name."""
    return {v.op.name: v.shape.as_list() for v in tf.model_variables()}


@pytest.mark.parametrize('name, num_anchors', [('ssd_300_vgg', 8732), ('ssd_512_vgg', 24564)])
def test_vgg_variables_equal_those_of_public_checkpoints(name, num_anchors, shared):
    _, predictions = build(name)
    assert predictions.logits.shape == (2, num_anchors, 21)
    assert predictions.offsets.shape == (2, num_anchors, 4)
    public = {}
    for line in (shared / 'fixtures/variables' / f'{name}.txt').read_text().splitlines():
        variable, shape = line.split(' ', 1)
        public[variable] = [int(n) for n in shape.strip('[]').split(',')]
    assert variable_shapes() == public


def test_vgg_feature_shapes_dilation_and_l2_normalization(evaluate):
    params, predictions = build('ssd_300_vgg', batch=1)
    shapes = [predictions.end_points[layer].shape.as_list()[1:] for layer in params.feat_layers]
    assert shapes == [[38, 38, 512], [19, 19, 1024], [10, 10, 512], [5, 5, 256], [3, 3, 256],
                      [1, 1, 256]]
    dilation, = (op for op in tf.get_default_graph().get_operations()
                 if 'conv6' in op.name and op.type == 'SpaceToBatchND')
    np.testing.assert_array_equal(evaluate(dilation.inputs[1]), [6, 6])
    gamma = next(v for v in tf.trainable_variables() if v.op.name.endswith('gamma'))
    np.testing.assert_array_equal(evaluate(gamma), np.full(512, 20.))
    assert not any('dropout' in op.name.lower() for op in tf.get_default_graph().get_operations())


def test_initial_features_and_predictions_of_vgg_have_scale_1(evaluate):
    image, _ = shapes.draw_image(np.random.RandomState(0))
    params = nets_factory.get_params('ssd_300_vgg')
    images = tf.image.resize(image[np.newaxis], [300, 300])
    predictions = ssd.build(ssd.normalize(images, params), params, 21, is_training=False)
    features, logits, offsets = evaluate([
        {layer: predictions.end_points[layer] for layer in params.feat_layers[1:]},
        predictions.logits, predictions.offsets])
    for layer, values in features.items():
        assert .5 < np.sqrt(np.mean(values ** 2)) < 2, layer
    assert .5 < logits.std() < 2 and .5 < offsets.std() < 2


@pytest.mark.parametrize('name, num_anchors, depth', [
    ('ssd_300_mobilenet_v1', 1917, 1024), ('ssd_300_mobilenet_v1_075', 1917, 768),
    ('ssd_160_mobilenet_v1_025', 834, 256), ('ssd_512_mobilenet_v1', 5118, 1024)])
def test_mobilenet_variables_have_the_names_of_tf_slim(name, num_anchors, depth):
    _, predictions = build(name, num_classes=4, batch=1)
    assert predictions.logits.shape == (1, num_anchors, 4)
    variables = variable_shapes()
    first = int(32 * depth / 1024)
    assert variables['MobilenetV1/Conv2d_0/weights'] == [3, 3, 3, first]
    assert variables['MobilenetV1/Conv2d_0/BatchNorm/moving_variance'] == [first]
    assert variables['MobilenetV1/Conv2d_1_depthwise/depthwise_weights'] == [3, 3, first, 1]
    assert variables['MobilenetV1/Conv2d_13_pointwise/BatchNorm/gamma'] == [depth]
    backbone = [v for v in variables if v.startswith('MobilenetV1/')]
    assert len(backbone) == 27 * 5 and not any('biases' in v for v in backbone)
    assert all(v.startswith(('MobilenetV1/', f'{name}/')) for v in variables)


def test_ssdlite_has_separable_extra_and_prediction_layers():
    params, predictions = build('ssdlite_300_mobilenet_v2', batch=1, is_training=False)
    assert predictions.logits.shape == (1, 1917, 21)
    shapes = [predictions.end_points[layer].shape.as_list()[1:] for layer in params.feat_layers]
    assert shapes == [[19, 19, 576], [10, 10, 1280], [5, 5, 512], [3, 3, 256], [2, 2, 256],
                      [1, 1, 128]]
    name, variables = params.name, variable_shapes()
    assert {variable: shape for variable, shape in variables.items()
            if variable.startswith(f'{name}/block19') and 'BatchNorm' not in variable} == {
        f'{name}/block19/conv1x1/weights': [1, 1, 1280, 256],
        f'{name}/block19/conv3x3_depthwise/depthwise_weights': [3, 3, 256, 1],
        f'{name}/block19/conv3x3_pointwise/weights': [1, 1, 256, 512],
        f'{name}/block19_box/conv_loc_depthwise/depthwise_weights': [3, 3, 512, 1],
        f'{name}/block19_box/conv_loc/weights': [1, 1, 512, 24],
        f'{name}/block19_box/conv_loc/biases': [24],
        f'{name}/block19_box/conv_cls_depthwise/depthwise_weights': [3, 3, 512, 1],
        f'{name}/block19_box/conv_cls/weights': [1, 1, 512, 126],
        f'{name}/block19_box/conv_cls/biases': [126]}
    assert variables[f'{name}/block22_box/conv_cls_depthwise/BatchNorm/gamma'] == [128]


@pytest.mark.parametrize('pad, linear, factor, corners', [
    ('SAME', False, 1, [[1, 2 / 3], [2 / 3, 4 / 9]]), (1, False, 1, [[4 / 9, 2 / 3], [2 / 3, 1]]),
    (1, False, -1, [[0, 0], [0, 0]]), (1, True, -1, [[-4 / 9, -2 / 3], [-2 / 3, -1]])])
def test_separable_extra_block(monkeypatch, pad, linear, factor, corners):
    tiny_net.install(monkeypatch.setitem)
    params = nets_factory.get_params(tiny_net.NAME)
    params = params._replace(
        separable_extra=True, linear_extra=linear,
        extra_blocks=(params.extra_blocks[0]._replace(pad=pad),))
    predictions = ssd.build(tf.zeros([1, 64, 64, 3]), params, 3, is_training=False)
    # 8x8 cells of 1, sums of 3x3 cells (9, 6 or 4 of them inside), the mean of 32 / 4 channels.
    constants = {'conv1x1/BatchNorm/gamma': 0, 'conv1x1/BatchNorm/beta': 1,
                 'conv3x3_depthwise/depthwise_weights': 1 / 9,
                 'conv3x3_pointwise/weights': factor / 8}
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for variable in tf.model_variables():
            for ending, value in constants.items():
                if variable.op.name.endswith(f'block4/{ending}'):
                    variable.load(np.full(variable.shape.as_list(), value), session)
        outputs = session.run(predictions.end_points['block4'])
    np.testing.assert_allclose(outputs[0, ::3, ::3, 5], corners, rtol=2e-3)   # epsilon is 0.001


def test_only_weights_have_weight_decay():
    build('ssd_160_mobilenet_v1_025', num_classes=4, weight_decay=.1)
    decayed = {loss.op.inputs[1].op.inputs[0].op.inputs[0].op.name
               for loss in tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)}
    assert decayed == {v for v in variable_shapes() if v.endswith('/weights')}


@pytest.mark.parametrize('precision', [tf.float32, tf.bfloat16])
def test_weight_decay_is_half_the_squared_norm(evaluate, precision):
    build('ssd_160_mobilenet_v1_025', num_classes=4, weight_decay=.1, precision=precision)
    weights = [v for v in tf.trainable_variables() if v.op.name.endswith('/weights')]
    loss = tf.add_n(tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES))
    total, values = evaluate([loss, weights])
    np.testing.assert_allclose(total, .05 * sum((value ** 2).sum() for value in values), rtol=1e-5)


def test_no_regularization_losses_without_weight_decay():
    build('ssd_160_mobilenet_v1_025', num_classes=4)
    assert not tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)


def test_predictions_of_an_anchor_come_from_its_cell(evaluate):
    params, predictions = build('ssd_160_mobilenet_v1_025', num_classes=3, batch=1,
                                is_training=False)
    feature_map = tf.get_default_graph().get_tensor_by_name(
        f'{params.name}/Conv2d_11_pointwise_box/conv_cls/BiasAdd:0')   # 10x10 cells, 6 anchors each
    logits, map_logits = evaluate([predictions.logits, feature_map])
    np.testing.assert_array_equal(logits[0, (2 * 10 + 7) * 6 + 5], map_logits[0, 2, 7, 15:18])


def test_normalize(evaluate):
    image = tf.constant(np.uint8([[[[123, 117, 104], [255, 0, 0]]]]))
    vgg, mobilenet = evaluate([ssd.normalize(image, nets_factory.get_params(name))
                               for name in ('ssd_300_vgg', 'ssd_300_mobilenet_v1')])
    np.testing.assert_array_equal(vgg, [[[[0, 0, 0], [132, -117, -104]]]])
    np.testing.assert_allclose(mobilenet[0, 0, 1], [1, -1, -1], rtol=1e-5)


@pytest.mark.parametrize('name', ['ssd_300_vgg', 'ssd_160_mobilenet_v1_025'])
def test_bfloat16_predictions_are_close_and_share_the_float32_variables(name, evaluate):
    params = nets_factory.get_params(name)
    shape = 1, params.image_size, params.image_size, 3
    images = tf.constant(np.random.default_rng(0).standard_normal(shape), tf.float32)
    predictions = []
    for precision in (tf.float32, tf.bfloat16):
        with tf.variable_scope(tf.get_variable_scope(), reuse=bool(predictions)):
            predictions.append(ssd.build(images, params, 4, is_training=False,
                                         options=ssd.BuildOptions(precision=precision))[:2])
    dtypes = {variable.op.name: variable.dtype.base_dtype for variable in tf.model_variables()}
    assert set(dtypes.values()) == {tf.float32} and len(dtypes) == len(tf.global_variables())
    for exact, rounded in zip(*evaluate(predictions), strict=True):
        error = np.linalg.norm(exact - rounded) / np.linalg.norm(exact)
        assert 0 < error < .06   # 8 bits of precision are 0.2% per layer, over 33 layers

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from nets import nets_factory, ssd


def build(name, num_classes=21, batch=2, is_training=True, **options):
    params = nets_factory.get_params(name)
    images = tf.zeros([batch, params.image_size, params.image_size, 3])
    return params, ssd.build(images, params, num_classes, is_training,
                             ssd.BuildOptions(**options))


def model_variables():
    return {v.op.name: v.shape.as_list() for v in tf.model_variables()}


@pytest.mark.parametrize('name, total', [('ssd_300_vgg', 8732), ('ssd_512_vgg', 24564)])
def test_vgg_variables_are_those_of_public_checkpoints(name, total, shared):
    _, predictions = build(name)
    assert predictions.logits.shape == (2, total, 21) and predictions.offsets.shape == (2, total, 4)
    public = {}
    for line in (shared / 'fixtures/variables' / f'{name}.txt').read_text().splitlines():
        variable, shape = line.split(' ', 1)
        public[variable] = [int(n) for n in shape.strip('[]').split(',')]
    assert model_variables() == public


def test_vgg_details(evaluate):
    params, predictions = build('ssd_300_vgg', batch=1)
    shapes = [predictions.end_points[layer].shape.as_list()[1:] for layer in params.feat_layers]
    assert shapes == [[38, 38, 512], [19, 19, 1024], [10, 10, 512], [5, 5, 256], [3, 3, 256], [1, 1, 256]]
    spread, = (op for op in tf.get_default_graph().get_operations()
               if 'conv6' in op.name and op.type == 'SpaceToBatchND')
    np.testing.assert_array_equal(evaluate(spread.inputs[1]), [6, 6])      # every sixth cell: rate 6
    gamma = next(v for v in tf.trainable_variables() if v.op.name.endswith('gamma'))
    np.testing.assert_array_equal(evaluate(gamma), np.full(512, 20.))
    assert not any('dropout' in op.name.lower() for op in tf.get_default_graph().get_operations())


@pytest.mark.parametrize('name, total, depth', [
    ('ssd_300_mobilenet_v1', 1917, 1024), ('ssd_300_mobilenet_v1_075', 1917, 768),
    ('ssd_160_mobilenet_v1_025', 834, 256)])
def test_mobilenet_names_and_shapes(name, total, depth):
    _, predictions = build(name, num_classes=4, batch=1)
    assert predictions.logits.shape == (1, total, 4)
    variables = model_variables()
    first = int(32 * depth / 1024)
    assert variables['MobilenetV1/Conv2d_0/weights'] == [3, 3, 3, first]
    assert variables['MobilenetV1/Conv2d_0/BatchNorm/moving_variance'] == [first]
    assert variables['MobilenetV1/Conv2d_1_depthwise/depthwise_weights'] == [3, 3, first, 1]
    assert variables['MobilenetV1/Conv2d_13_pointwise/BatchNorm/gamma'] == [depth]
    backbone = [v for v in variables if v.startswith('MobilenetV1/')]
    assert len(backbone) == 27 * 5 and not any('biases' in v for v in backbone)
    assert all(v.startswith(('MobilenetV1/', f'{name}/')) for v in variables)


def test_weight_decay_is_on_weights_alone():
    build('ssd_160_mobilenet_v1_025', num_classes=4, weight_decay=.1)
    decayed = {loss.op.inputs[1].op.inputs[0].op.inputs[0].op.name
               for loss in tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)}
    assert decayed == {v for v in model_variables() if v.endswith('/weights')}


@pytest.mark.parametrize('precision', [tf.float32, tf.bfloat16])
def test_weight_decay_by_hand(evaluate, precision):
    build('ssd_160_mobilenet_v1_025', num_classes=4, weight_decay=.1, precision=precision)
    weights = [v for v in tf.trainable_variables() if v.op.name.endswith('/weights')]
    total, values = evaluate([tf.add_n(tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)), weights])
    np.testing.assert_allclose(total, .05 * sum((value ** 2).sum() for value in values), rtol=1e-5)


def test_no_decay_leaves_no_regularization():
    build('ssd_160_mobilenet_v1_025', num_classes=4)
    assert not tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)


def test_predictions_of_an_anchor_come_from_its_cell(evaluate):
    params, predictions = build('ssd_160_mobilenet_v1_025', num_classes=3, batch=1, is_training=False)
    heads = {op.name: op for op in tf.get_default_graph().get_operations() if op.name.endswith('conv_cls/BiasAdd')}
    head = heads[f'{params.name}/Conv2d_11_pointwise_box/conv_cls/BiasAdd'].outputs[0]
    logits, raw = evaluate([predictions.logits, head])
    np.testing.assert_array_equal(logits[0, (2 * 10 + 7) * 6 + 5], raw[0, 2, 7, 15:18])


def test_normalize(evaluate):
    image = tf.constant(np.uint8([[[[123, 117, 104], [255, 0, 0]]]]))
    vgg, mobilenet = evaluate([ssd.normalize(image, nets_factory.get_params(name))
                               for name in ('ssd_300_vgg', 'ssd_300_mobilenet_v1')])
    np.testing.assert_array_equal(vgg, [[[[0, 0, 0], [132, -117, -104]]]])
    np.testing.assert_allclose(mobilenet[0, 0, 1], [1, -1, -1], rtol=1e-5)


@pytest.mark.parametrize('name', ['ssd_300_vgg', 'ssd_160_mobilenet_v1_025'])
def test_bfloat16_predicts_much_the_same_from_the_same_variables(name, evaluate):
    params = nets_factory.get_params(name)
    images = tf.constant(np.random.default_rng(0).standard_normal((1, params.image_size, params.image_size, 3)),
                         tf.float32)
    both = []
    for precision in (tf.float32, tf.bfloat16):
        with tf.variable_scope(tf.get_variable_scope(), reuse=bool(both)):
            both.append(ssd.build(images, params, 4, is_training=False,
                                  options=ssd.BuildOptions(precision=precision))[:2])
    made = {variable.op.name: variable.dtype.base_dtype for variable in tf.model_variables()}
    assert set(made.values()) == {tf.float32} and len(made) == len(tf.global_variables())
    for exact, rounded in zip(*evaluate(both), strict=True):
        error = np.linalg.norm(exact - rounded) / np.linalg.norm(exact)
        assert 0 < error < .06   # eight bits are 0.2 % a layer, over 33 layers

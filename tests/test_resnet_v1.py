import numpy as np
import one_step
import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import layers, resnet_v1
from nets.nets_factory import get_params

NET = get_params('ssd_300_resnet_50')


def build(size=32, **fields):
    """Build the backbone on a random image; return its end points."""
    image = np.random.default_rng(0).standard_normal([1, size, size, 3])
    with resnet_v1.arg_scope(), slim.arg_scope([layers.batch_norm], is_training=False), \
         tf.variable_scope('', custom_getter=layers.seeded_getter(0), reuse=tf.AUTO_REUSE):
        return resnet_v1.build(tf.constant(image, tf.float32), NET._replace(**fields))


def test_variables_have_the_names_of_tf_slim():
    build()
    shapes = {v.op.name.removeprefix('resnet_v1_50/'): v.shape.as_list()
              for v in tf.model_variables()}
    assert shapes['conv1/weights'] == [7, 7, 3, 64]
    assert shapes['conv1/BatchNorm/moving_mean'] == [64]
    unit = 'block2/unit_1/bottleneck_v1'
    assert {name.removeprefix(f'{unit}/'): shape for name, shape in shapes.items()
            if name.startswith(unit) and name.endswith('weights')} == {
                'shortcut/weights': [1, 1, 256, 512], 'conv1/weights': [1, 1, 256, 128],
                'conv2/weights': [3, 3, 128, 128], 'conv3/weights': [1, 1, 128, 512]}
    assert 'block2/unit_2/bottleneck_v1/shortcut/weights' not in shapes
    assert shapes['block3/unit_6/bottleneck_v1/conv3/BatchNorm/gamma'] == [1024]
    assert len(shapes) == (1 + 3 * 13 + 3) * 5   # conv1, three of each unit, three shortcuts


def test_stride_of_tf_slim_is_that_of_the_paper_and_torchvision_has_its_own(evaluate):
    """A strided 1x1 convolution sees every second cell of the unit before it."""
    last, first = (build(stride_unit=unit)['block1'] for unit in ('last', 'first'))
    assert last.shape == [1, 4, 4, 256] and first.shape == [1, 8, 8, 256]
    for net, cells in (('resnet_v1_50', [4, 4, 4]), ('resnet_v1_50_1', [8, 4, 4])):
        outputs = [tf.get_default_graph().get_tensor_by_name(
            f'{net}/block2/unit_1/bottleneck_v1/{layer}:0')
            for layer in ('conv1/Relu', 'conv2/Relu', 'shortcut/BatchNorm/FusedBatchNormV3')]
        assert [output.shape[1] for output in outputs] == cells
    last, first = evaluate([last, first])
    assert last.std() > 0
    np.testing.assert_allclose(last, first[:, ::2, ::2], rtol=1e-4, atol=1e-5)


def test_net():
    predictions = one_step.check(NET, num_classes=81)
    assert sum(v.shape.num_elements() for v in tf.trainable_variables('resnet_v1_50/')) == (
        8543296)   # conv1, bn1 and layer1 to layer3 of torchvision's resnet50
    shapes = [predictions.end_points[layer].shape.as_list()[1:] for layer in NET.feat_layers]
    assert shapes == [[38, 38, 1024], [19, 19, 512], [10, 10, 512], [5, 5, 256], [3, 3, 256],
                      [1, 1, 256]]
    assert predictions.logits.shape[1] == 8732
    epsilons = {op.get_attr('epsilon') for op in tf.get_default_graph().get_operations()
                if op.type == 'FusedBatchNormV3'}
    assert epsilons == {np.float32(1e-5)}   # of the extra layers, too

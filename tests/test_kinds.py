import numpy as np
import pytest
import reference_weights

from checkpoints import kinds, sources
from checkpoints.kind import Heads
from checkpoints.kind_tables import object_detection_api
from checkpoints.sources import WeightSource
from common.errors import UserError
from nets.net_table import NETS

VGG = NETS['ssd_300_vgg']
FIRST = 'conv1/conv1_1'
SLIM, TORCHVISION = "tf-slim's vgg_16", "torchvision's vgg16"
CAFFE, CAFFE_SSD = "the SSD authors' VGG16 for Caffe", "the SSD authors' SSD512 for Caffe"
KERAS, KERAS_MOBILENET = "Keras's VGG16", "Keras's MobileNet"


def make_source(arrays):
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    shapes = {name: list(array.shape) for name, array in arrays.items()}
    return WeightSource('a file', shapes, arrays.__getitem__)


def get_kind(title, signature=''):
    """Return the first kind with this title whose signature begins with `signature`."""
    return next(kind for kind in kinds.KINDS
                if kind.title == title and kind.signature[0].startswith(signature))


def read(title, arrays, name, signature=''):
    """Read our variable `name` of SSD300 from arrays of a kind."""
    return kinds.read_variable(get_kind(title, signature), make_source(arrays), name, VGG)


def count_up(*shape):
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


@pytest.mark.parametrize('arrays, title', [
    ({'vgg_16/conv1/conv1_1/weights': 0, 'vgg_16/fc8/weights': 0}, SLIM),
    ({'conv1_1/kernel': 0, 'conv1_1/bias': 0}, KERAS),
    ({'block1_conv1/kernel': 0, 'fc1/kernel': 0}, KERAS),
    ({'features.0.weight': 0, 'features.28.weight': 0}, TORCHVISION),
    ({'features.28.weight': 0, 'classifier.0.weight': [1., 2.]}, TORCHVISION),
    ({'features.28.weight': 0, 'classifier.0.weight': [1., np.nan]},
     "torchvision's vgg16 without its classifier"),
    ({'conv1_1/blob_0': 0, 'fc6/blob_0': np.zeros([1024, 512, 3, 3])}, CAFFE),
    ({'conv1_1/blob_0': 0}, CAFFE),
    ({'conv1/kernel': 0, 'conv_dw_1/depthwise_kernel': 0}, KERAS_MOBILENET),
    ({'conv1/kernel': 0, 'conv_dw_1/kernel': 0}, KERAS_MOBILENET)])
def test_kinds_are_identified_by_variable_names(arrays, title):
    assert kinds.identify(make_source(arrays)).title == title


@pytest.mark.parametrize('shape', [[4096, 25088], [1, 1, 4096, 25088]])
def test_oxfords_caffe_file_is_identified_by_the_size_of_fc6(shape):
    source = WeightSource('a file', {'conv1_1/blob_0': [64, 3, 3, 3], 'fc6/blob_0': shape}, None)
    kind = kinds.identify(source)
    assert kind.normalization.mean == (123.68, 116.779, 103.939)


def test_our_own_names_are_not_a_public_format():
    source = make_source({
        'ssd_300_vgg/conv1/conv1_1/weights': 0, 'MobilenetV1/Conv2d_0/weights': 0})
    assert kinds.identify(source) is None


# The layers with weights in the SSD authors' deploy.prototxt of SSD512, without VGG-16.
FEATURE_LAYERS = ['conv4_3_norm', 'fc7', 'conv6_2', 'conv7_2', 'conv8_2', 'conv9_2', 'conv10_2']
CAFFE_LAYERS = ['fc6', 'fc7', *(f'conv{block}_{i}' for block in range(6, 11) for i in (1, 2)),
                *(f'{layer}_mbox_{part}' for layer in FEATURE_LAYERS for part in ('loc', 'conf'))]


def test_the_caffe_table_has_all_layers_of_the_ssd_authors():
    vgg = [f'conv{block}_{i}' for block, repeats in enumerate((2, 2, 3, 3, 3), 1)
           for i in range(1, repeats + 1)]
    blobs = {f'{layer}/blob_{n}' for layer in vgg + CAFFE_LAYERS for n in (0, 1)}
    names = {f'{layer}/blob_{n}' for layer in get_kind(CAFFE_SSD).layers.values() for n in (0, 1)}
    assert names == blobs
    assert list(get_kind(CAFFE_SSD).vectors.values()) == ['conv4_3_norm/blob_0']


@pytest.mark.parametrize('net, title, count', [('ssd_300_vgg', 'SSD300', 71),
                                               ('ssd_512_vgg', 'SSD512', 79)])
def test_the_caffe_table_has_all_variables_of_the_public_detectors(shared, net, title, count):
    lines = (shared / f'fixtures/variables/{net}.txt').read_text().splitlines()
    our_names = [line.split()[0].removeprefix(f'{net}/') for line in lines]
    kind = get_kind(f"the SSD authors' {title} for Caffe")
    layers = {name.rpartition('/')[0] for name in our_names if name not in kind.vectors}
    assert len(our_names) == count == 2 * len(layers) + 1
    assert layers == set(kind.layers) and len(set(kind.layers.values())) == len(layers)
    assert kind.vectors == {'block4_box/L2Normalization/gamma': 'conv4_3_norm/blob_0'}
    assert kind.layers['block9/conv3x3'] == 'conv7_2'
    assert kind.layers['block10_box/conv_cls'] == 'conv8_2_mbox_conf'


def test_the_keras_table_has_all_layers_of_mobilenet(shared):
    path = shared / 'weights/mobilenet_v1_0.75_224_imagenet_keras.npz'
    with np.load(path) as arrays:
        names_in_file = set(arrays.files)
    # 27 convolutions with four batch norm vectors each; our nets have no classifier.
    assert len(names_in_file) == 27 * 5 + 2
    kind, source = get_kind(KERAS_MOBILENET), sources.open_source(str(path))
    names = {name for layer in kind.layers
             for name in kinds.source_names(kind, source, f'{layer}/weights')}
    assert names == names_in_file - {'conv_preds/kernel', 'conv_preds/bias'}


def test_oihw_kernels_are_transposed_to_hwio():
    kernel = count_up(4, 3, 5, 6)   # [out, in, kh, kw]
    array = read(TORCHVISION, {'features.2.weight': kernel}, 'conv1/conv1_2/weights')
    assert array.shape == (5, 6, 3, 4)
    assert array[1, 2, 0, 3] == kernel[3, 0, 1, 2]


@pytest.mark.parametrize('title, to_arrays', [
    (SLIM, lambda fc6, fc7: {'vgg_16/fc6/weights': fc6, 'vgg_16/fc7/weights': fc7}),
    (TORCHVISION, lambda fc6, fc7: {
        'classifier.0.weight': fc6.transpose(3, 2, 0, 1).reshape(4096, -1),
        'classifier.3.weight': fc7[0, 0].T}),
    (CAFFE, lambda fc6, fc7: {   # fc6 in the format before 2014
        'fc6/blob_0': fc6.transpose(3, 2, 0, 1).reshape(1, 1, 4096, -1),
        'fc7/blob_0': fc7[0, 0].T}),
    (KERAS, lambda fc6, fc7: {'fc1/kernel': fc6.reshape(-1, 4096), 'fc2/kernel': fc7[0, 0]})],
    ids=[SLIM, TORCHVISION, CAFFE, KERAS])
def test_fc6_and_fc7_are_reduced_to_conv6_and_conv7(title, to_arrays):
    # Each value encodes its indices, and is small enough to be exact in float32.
    rows, columns, ins, outs = np.ogrid[:7, :7, :512, :4096]
    fc6 = (rows * 7 + columns + ins * 49 + (outs % 97) * 25088).astype(np.float32)
    fc7 = np.ogrid[:4096][:, np.newaxis] + 4096 * (np.ogrid[:4096] % 97)
    fc7 = fc7.astype(np.float32)[np.newaxis, np.newaxis]
    arrays = to_arrays(fc6, fc7)
    conv6 = read(title, arrays, 'conv6/weights')
    assert conv6.shape == (3, 3, 512, 1024)
    for row, column, channel, out in ((0, 0, 0, 0), (1, 2, 511, 7), (2, 1, 300, 1023)):
        assert conv6[row, column, channel, out] == fc6[3 * row, 3 * column, channel, 4 * out]
    conv7 = read(title, arrays, 'conv7/weights')
    assert conv7.shape == (1, 1, 1024, 1024)
    assert conv7[0, 0, 5, 1023] == fc7[0, 0, 20, 4092]


@pytest.mark.parametrize('layer, our_layer', [('fc6', 'conv6'), ('fc7', 'conv7')])
def test_biases_are_reduced_like_their_channels(layer, our_layer):
    array = read(SLIM, {f'vgg_16/{layer}/biases': np.arange(4096.)}, f'{our_layer}/biases')
    np.testing.assert_array_equal(array, np.arange(1024) * 4)


def test_reduced_weights_are_not_reduced_again():
    kernel = np.ones((1024, 512, 3, 3))
    assert read(CAFFE, {'fc6/blob_0': kernel}, 'conv6/weights').shape == (3, 3, 512, 1024)


def read_first_layer(title, arrays):
    """Return (weights, biases) of the first layer, with our input normalization."""
    signature = 'conv1_1' if title == KERAS else ''
    return [read(title, arrays, f'{FIRST}/{parameter}', signature)
            for parameter in ('weights', 'biases')]


def test_bgr_kernels_are_reversed_and_the_mean_goes_into_the_biases():
    kernel = np.zeros((3, 3, 3, 1))
    kernel[1, 1, :, 0] = 10, 20, 30   # B, G, R
    weights, biases = read_first_layer(KERAS, {'conv1_1/kernel': kernel, 'conv1_1/bias': [7.]})
    assert weights[1, 1, :, 0].tolist() == [30, 20, 10]
    # Our mean is (123, 117, 104), that of Keras (123.68, 116.779, 103.939).
    assert biases == pytest.approx([7 + 30 * -.68 + 20 * .221 + 10 * .061], abs=1e-3)


def test_the_scale_of_torchvision_goes_into_the_kernel():
    kernel = np.zeros((1, 3, 3, 3))
    kernel[0, :, 1, 1] = 1, 2, 3   # R, G, B
    weights, biases = read_first_layer(
        TORCHVISION, {'features.0.weight': kernel, 'features.0.bias': [7.]})
    r, g, b = 1 / 58.395, 2 / 57.12, 3 / 57.375
    assert weights[1, 1, :, 0] == pytest.approx([r, g, b])
    assert biases == pytest.approx(
        [7 + r * (123 - 123.675) + g * (117 - 116.28) + b * (104 - 103.53)])


def test_the_mean_of_the_ssd_authors_is_ours():
    kernel = count_up(64, 3, 3, 3)
    weights, biases = read_first_layer(
        CAFFE, {'conv1_1/blob_0': kernel, 'conv1_1/blob_1': np.arange(64.)})
    np.testing.assert_array_equal(biases, np.arange(64.))
    assert weights[0, 1, 0, 5] == kernel[5, 2, 0, 1]


@pytest.mark.parametrize('name', ['conv6/weights', 'no/such/layer'])
def test_a_variable_that_the_file_does_not_hold(name):
    assert read(CAFFE, {}, name) is None


def test_half_precision_is_converted_to_float32():
    kernel = np.ones((3, 3, 64, 64), np.float16)
    array = read(KERAS, {'conv1_2/kernel': kernel}, 'conv1/conv1_2/weights', signature='conv1_1')
    assert array.dtype == np.float32


def test_weights_that_are_not_kernels_keep_their_shape():
    array = read(TORCHVISION, {'features.2.weight': np.ones(64)}, 'conv1/conv1_2/weights')
    assert array.shape == (64,)   # batch norm of vgg16_bn


def test_first_biases_without_their_kernel_are_not_converted():
    array = read(TORCHVISION, {'features.0.bias': np.ones(64)}, f'{FIRST}/biases')
    assert array.tolist() == [1.] * 64


def test_tensors_of_a_layer_that_do_not_fit_together():
    arrays = {f'features.1.{suffix}': np.ones(size) for suffix, size in (
        ('weight', 64), ('bias', 64), ('running_mean', 64), ('running_var', 32))}
    arrays |= {'features.0.weight': np.ones([64, 3, 3, 3])}
    with pytest.raises(UserError, match='layer conv1/conv1_1 do not fit together .* Download'):
        read("torchvision's vgg16_bn", arrays, f'{FIRST}/weights')


def test_the_batch_norm_of_vgg16_bn_goes_into_kernel_and_biases():
    arrays = {'features.0.weight': np.ones([1, 3, 1, 1]), 'features.0.bias': [7.],
              'features.1.weight': [2.], 'features.1.bias': [5.],
              'features.1.running_mean': [3.], 'features.1.running_var': [.25 - 1e-5]}
    weights, biases = read_first_layer("torchvision's vgg16_bn", arrays)
    # 2 / sqrt(.25) is 4; the means differ by (.675, -.72, -.47).
    r, g, b = 1 / 58.395, 1 / 57.12, 1 / 57.375
    assert weights.ravel() == pytest.approx([4 * r, 4 * g, 4 * b])
    assert biases == pytest.approx([5 + 4 * (7 - 3 - .675 * r + .72 * g + .47 * b)])


def test_unmerged_batch_norm_of_caffe():
    """Caffe divides its sums of means and variances by a factor, the third blob."""
    arrays = {'conv1/blob_0': np.full([2, 1, 1, 1], 5.), 'conv1/bn/blob_0': [4., 8.],
              'conv1/bn/blob_1': [2., 6.], 'conv1/bn/blob_2': [2.],
              'conv1/scale/blob_0': [1., 3.], 'conv1/scale/blob_1': [7., 9.]}
    kind = get_kind("chuanqi305's MobileNet-SSD for Caffe")

    def read_parameter(name):
        name = f'MobilenetV1/Conv2d_1_pointwise/{name}'
        return kinds.read_variable(kind, make_source(arrays), name, NETS['ssd_300_mobilenet_v1'])
    assert read_parameter('weights').tolist() == [[[[5, 5]]]]
    assert read_parameter('BatchNorm/moving_mean').tolist() == [2, 4]
    assert read_parameter('BatchNorm/moving_variance').tolist() == [1, 3]
    assert read_parameter('BatchNorm/beta').tolist() == [7, 9]
    # Caffe's epsilon is 1e-5, ours 1e-3.
    assert read_parameter('BatchNorm/gamma') == pytest.approx(
        [np.sqrt(1.001 / 1.00001), 3 * np.sqrt(3.001 / 3.00001)])


def test_a_depthwise_kernel_of_caffe():
    kernel = count_up(2, 1, 3, 3)
    kind = get_kind("chuanqi305's MobileNet-SSD for Caffe")
    array = kinds.read_variable(kind, make_source({'conv1/dw/blob_0': kernel}),
                                'MobilenetV1/Conv2d_1_depthwise/depthwise_weights',
                                NETS['ssd_300_mobilenet_v1'])
    assert array.shape == (3, 3, 2, 1) and array[2, 0, 1, 0] == kernel[1, 0, 2, 0]


def test_anchors_of_the_object_detection_api_from_the_constants_of_a_graph():
    """The order of files of 2017: both squares first."""
    scales = [[.1, .2, .2], *([scale, scale + .05, *[scale] * 4] for scale in (.3, .4, .5, .6, .7))]
    ratios = [[1, 2, .5], *[[1, 1, 2, .5, 3, .3333]] * 5]
    arrays = {}
    for index, (scale, ratio) in enumerate(zip(scales, ratios, strict=True)):
        suffix = f'_{index}' if index else ''
        arrays |= {f'MultipleGridAnchorGenerator/Sqrt{suffix}/x': np.float32(ratio),
                   f'MultipleGridAnchorGenerator/mul_{15 + 8 * index}/x': np.float32(scale),
                   f'MultipleGridAnchorGenerator/mul_{index}/x': np.float32(.5)}
    text = object_detection_api.anchors(
        make_source(arrays), NETS['ssd_300_mobilenet_v1'], Heads(2, [3, 6, 6, 6, 6, 6], ()))
    words = text.split(' ')
    assert len(words) == 6 and words[0].startswith('30x30,42.4264069x84.8528137,')
    assert words[1].startswith('90x90,105x105,63.6396103x127.279221,127.279221x63.6396103,')


def test_listed_anchors_must_lie_on_the_cells_of_the_net():
    source = make_source({'Output/extra_dim': np.zeros([1, 1917, 4])})
    with pytest.raises(UserError, match='1917 anchors that do not lie on the cells'):
        object_detection_api.anchors(
            source, NETS['ssd_300_mobilenet_v1'], Heads(2, [3, 6, 6, 6, 6, 6], ()))


def test_another_number_of_anchors_per_cell_needs_a_preset():
    shapes = detector_shapes('amdegroot_ssd300')
    shapes |= {'loc.0.weight': (6 * 4, 512, 3, 3), 'conf.0.weight': (6 * 21, 512, 3, 3)}
    source = WeightSource('a file', {name: list(shape) for name, shape in shapes.items()}, None)
    message = r'a file has \[6, 6, 6, 6, 4, 4\] anchors per cell, not \[4, 6, .* --anchor_preset'
    with pytest.raises(UserError, match=message):
        kinds.describe(source)
    words = '30,60:2,1/2,3,1/3 60,111 111,162 162,213 213,264 264,315'
    assert kinds.describe(source, words).params.anchor_preset == words
    source.shapes.update({'loc.0.weight': [16, 512, 3, 3], 'conf.0.weight': [84, 512, 3, 3]})
    assert kinds.describe(source, words).params.anchor_preset.endswith(' clip')   # of its kind
    del source.shapes['vgg.0.weight']
    assert kinds.describe(source, words) is None   # not of this kind


def test_batch_norm_without_a_convolution_gets_our_epsilon():
    name = 'source_layer_add_ons.0'
    source = make_source({
        f'{name}.weight': [1., 3.], f'{name}.bias': [5., 6.], f'{name}.running_mean': [7., 8.],
        f'{name}.running_var': [.00032, .00032], 'base_net.0.weight': np.zeros((1, 1, 1, 1)),
        'classification_headers.0.weight': np.zeros((1, 1, 1, 1))})
    row, params = kinds.identify(source), NETS['ssd_300_vgg']
    assert row.title == "qfgaohao's vgg16-ssd"
    for parameter, expected in (    # sqrt((.00032 + .001) / (.00032 + .00001)) is 2
            ('gamma', [2, 6]), ('beta', [5, 6]), ('moving_mean', [7, 8]),
            ('moving_variance', [.00032, .00032])):
        np.testing.assert_allclose(kinds.read_variable(
            row, source, f'block4_box/BatchNorm/{parameter}', params), expected, rtol=1e-6)
    assert kinds.read_variable(row, source, 'block4_box/L2Normalization/gamma', params) is None


def test_an_incomplete_detector_is_described_as_such():
    source = WeightSource('a file', {name: list(shape) for name, shape in detector_shapes(
        'amdegroot_ssd300').items()}, None)
    assert kinds.describe(source).complete
    del source.shapes['extras.3.bias']
    assert not kinds.describe(source).complete


def detector_shapes(name):
    return reference_weights.read_layout(name)

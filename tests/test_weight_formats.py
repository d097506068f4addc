import numpy as np
import pytest

from checkpoints import weight_formats
from checkpoints.sources import WeightSource
from nets.ssd_params import NETS

VGG = NETS['ssd_300_vgg']
FIRST = 'conv1/conv1_1'


def source_of(**arrays):
    """A source of name -> array, with __ for the slash in names."""
    arrays = {name.replace('__', '/'): np.asarray(array) for name, array in arrays.items()}
    return WeightSource('a file', {name: list(array.shape) for name, array in arrays.items()}, arrays.__getitem__)


SLIM, TORCHVISION, CAFFE = "tf-slim's vgg_16", "torchvision's vgg16", "the SSD authors' VGG16 or SSD for Caffe"


def layout(title, marker=''):
    return next(made for made in weight_formats.WEIGHT_FORMATS if made.title == title and made.marker.startswith(marker))


def counting(*shape):
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


@pytest.mark.parametrize('arrays, title', [
    ({'vgg_16/conv1/conv1_1/weights': 0, 'vgg_16/fc8/weights': 0}, SLIM),
    ({'conv1_1/kernel': 0, 'conv1_1/bias': 0}, "Keras's VGG16"),
    ({'block1_conv1/kernel': 0, 'fc1/kernel': 0}, "Keras's VGG16"),
    ({'features.0.weight': 0, 'features.28.weight': 0}, TORCHVISION),
    ({'features.28.weight': 0, 'classifier.0.weight': [1., 2.]}, TORCHVISION),
    ({'features.28.weight': 0, 'classifier.0.weight': [1., np.nan]}, "torchvision's vgg16 without its classifier"),
    ({'conv1_1/blob_0': 0, 'fc6/blob_0': np.zeros([1024, 512, 3, 3])}, CAFFE),
    ({'conv1_1/blob_0': 0}, CAFFE),
    ({'conv1/kernel': 0, 'conv_dw_1/depthwise_kernel': 0}, "Keras's MobileNet"),
    ({'conv1/kernel': 0, 'conv_dw_1/kernel': 0}, "Keras's MobileNet")])
def test_kinds_are_recognised_by_their_names(arrays, title):
    assert weight_formats.identify_format(source_of(**arrays)).title == title


@pytest.mark.parametrize('shape', [[4096, 25088], [1, 1, 4096, 25088]])
def test_oxfords_file_is_told_from_that_of_the_ssd_authors(shape):
    source = WeightSource('a file', {'conv1_1/blob_0': [64, 3, 3, 3], 'fc6/blob_0': shape}, None)
    assert weight_formats.identify_format(source).inputs.mean == (123.68, 116.779, 103.939)


def test_our_own_names_are_no_layout():
    ours = source_of(ssd_300_vgg__conv1__conv1_1__weights=0, MobilenetV1__Conv2d_0__weights=0)
    assert weight_formats.identify_format(ours) is None


# Layers with weights of the SSD512 deploy.prototxt of the SSD authors, but those of VGG-16 itself.
FEATURES = ['conv4_3_norm', 'fc7', 'conv6_2', 'conv7_2', 'conv8_2', 'conv9_2', 'conv10_2']
CAFFE_LAYERS = ['fc6', 'fc7', *(f'conv{block}_{i}' for block in range(6, 11) for i in (1, 2)),
                *(f'{layer}_mbox_{what}' for layer in FEATURES for what in ('loc', 'conf'))]


def test_caffe_has_the_layers_of_the_ssd_authors():
    vgg = [f'conv{b}_{i}' for b, n in enumerate((2, 2, 3, 3, 3), 1) for i in range(1, n + 1)]
    blobs = {f'{name}/blob_{n}' for name in vgg + CAFFE_LAYERS for n in (0, 1)} | {'conv4_3_norm/blob_0'}
    assert set(layout(CAFFE).names.values()) == blobs


@pytest.mark.parametrize('net, count', [('ssd_300_vgg', 71), ('ssd_512_vgg', 79)])
def test_caffe_has_every_variable_of_the_public_detectors(shared, net, count):
    ours = [line.split()[0].removeprefix(f'{net}/') for line in
            (shared / f'fixtures/variables/{net}.txt').read_text().splitlines()]
    names = layout(CAFFE).names
    assert len(ours) == count and len({names[name] for name in ours}) == count
    assert names['block4_box/L2Normalization/gamma'] == 'conv4_3_norm/blob_0'
    assert names['block9/conv3x3/weights'] == 'conv7_2/blob_0'
    assert names['block10_box/conv_cls/biases'] == 'conv8_2_mbox_conf/blob_1'


def test_every_layer_of_mobilenet_has_its_keras_name(shared):
    with np.load(shared / 'weights/mobilenet_v1_0.75_224_imagenet_keras.npz') as arrays:
        there = set(arrays.files)
    # 27 convolutions with four batch norm vectors each; the classifier is not ours.
    assert set(layout('Keras\'s MobileNet').names.values()) & there == there - {'conv_preds/kernel', 'conv_preds/bias'}
    assert len(there) == 27 * 5 + 2


def test_oihw_is_turned():
    kernel = counting(4, 3, 5, 6)   # out, in, h, w
    read = weight_formats.read_variable(layout(TORCHVISION), source_of(**{'features.2.weight': kernel}), 'conv1/conv1_2/weights', VGG)
    assert read.shape == (5, 6, 3, 4)
    assert read[1, 2, 0, 3] == kernel[3, 0, 1, 2]


@pytest.mark.parametrize('arrays', [
    lambda fc6, fc7: (SLIM, {'vgg_16/fc6/weights': fc6, 'vgg_16/fc7/weights': fc7}),
    lambda fc6, fc7: (TORCHVISION, {'classifier.0.weight': fc6.transpose(3, 2, 0, 1).reshape(4096, -1),
                                    'classifier.3.weight': fc7[0, 0].T}),
    lambda fc6, fc7: (CAFFE, {'fc6/blob_0': fc6.transpose(3, 2, 0, 1).reshape(1, 1, 4096, -1),   # before 2014
                        'fc7/blob_0': fc7[0, 0].T}),
    lambda fc6, fc7: ("Keras's VGG16", {'fc1/kernel': fc6.reshape(-1, 4096), 'fc2/kernel': fc7[0, 0]})])
def test_fc6_and_fc7_are_reduced_to_conv6_and_conv7(arrays):
    # One number for each place, small enough to be exact: a picture of the indices.
    rows, columns, ins, outs = np.ogrid[:7, :7, :512, :4096]
    fc6 = (rows * 7 + columns + ins * 49 + (outs % 97) * 25088).astype(np.float32)
    fc7 = (np.ogrid[:4096][:, np.newaxis] + 4096 * (np.ogrid[:4096] % 97)).astype(np.float32)[np.newaxis, np.newaxis]
    title, made = arrays(fc6, fc7)
    source = source_of(**made)
    conv6 = weight_formats.read_variable(layout(title), source, 'conv6/weights', VGG)
    assert conv6.shape == (3, 3, 512, 1024)
    for row, column, channel, out in ((0, 0, 0, 0), (1, 2, 511, 7), (2, 1, 300, 1023)):
        assert conv6[row, column, channel, out] == fc6[3 * row, 3 * column, channel, 4 * out]
    conv7 = weight_formats.read_variable(layout(title), source, 'conv7/weights', VGG)
    assert conv7.shape == (1, 1, 1024, 1024)
    assert conv7[0, 0, 5, 1023] == fc7[0, 0, 20, 4092]


def test_biases_are_reduced_with_their_channels():
    source = source_of(vgg_16__fc6__biases=np.arange(4096.), vgg_16__fc7__biases=np.arange(4096.))
    for name in ('conv6/biases', 'conv7/biases'):
        read = weight_formats.read_variable(layout(SLIM), source, name, VGG)
        np.testing.assert_array_equal(read, np.arange(1024) * 4)


def test_what_is_reduced_already_stays():
    kernel = np.ones((1024, 512, 3, 3))
    assert weight_formats.read_variable(layout(CAFFE), source_of(fc6__blob_0=kernel), 'conv6/weights', VGG).shape == (3, 3, 512, 1024)


def first_layer(title, kernel, bias, names):
    source = source_of(**dict(zip(names, (kernel, bias), strict=True)))
    marker = names[0] if 'Keras' in title else ''
    return [weight_formats.read_variable(layout(title, marker), source, f'{FIRST}/{name}', VGG) for name in ('weights', 'biases')]


def test_bgr_kernels_read_rgb_and_another_mean_goes_into_the_biases():
    kernel = np.zeros((3, 3, 3, 1))
    kernel[1, 1, :, 0] = 10, 20, 30             # of B, G, R
    weights, biases = first_layer('Keras\'s VGG16', kernel, [7.], ['conv1_1/kernel', 'conv1_1/bias'])
    assert weights[1, 1, :, 0].tolist() == [30, 20, 10]
    # We subtract (123, 117, 104), they did (123.68, 116.779, 103.939).
    assert biases == pytest.approx([7 + 30 * -.68 + 20 * .221 + 10 * .061], abs=1e-3)


def test_torchvisions_scale_goes_into_the_kernel():
    kernel = np.zeros((1, 3, 3, 3))
    kernel[0, :, 1, 1] = 1, 2, 3                # of R, G, B
    weights, biases = first_layer(TORCHVISION, kernel, [7.], ['features.0.weight', 'features.0.bias'])
    r, g, b = 1 / 58.395, 2 / 57.12, 3 / 57.375
    assert weights[1, 1, :, 0] == pytest.approx([r, g, b])
    assert biases == pytest.approx([7 + r * (123 - 123.675) + g * (117 - 116.28) + b * (104 - 103.53)])


def test_the_ssd_authors_subtract_what_we_do():
    weights, biases = first_layer(CAFFE, counting(64, 3, 3, 3), np.arange(64.), ['conv1_1/blob_0', 'conv1_1/blob_1'])
    np.testing.assert_array_equal(biases, np.arange(64.))
    assert weights[0, 1, 0, 5] == counting(64, 3, 3, 3)[5, 2, 0, 1]


def test_a_name_that_is_not_there():
    assert weight_formats.read_variable(layout(CAFFE), source_of(), 'conv6/weights', VGG) is None
    assert weight_formats.read_variable(layout(CAFFE), source_of(), 'no/such/layer', VGG) is None


def test_half_precision_becomes_single():
    source = source_of(**{'conv1_2/kernel': np.ones((3, 3, 64, 64), np.float16)})
    assert weight_formats.read_variable(layout("Keras's VGG16", 'conv1_1'), source, 'conv1/conv1_2/weights', VGG).dtype == np.float32


def test_what_is_no_kernel_stays_as_it_is():
    assert weight_formats.read_variable(layout(TORCHVISION), source_of(**{'features.2.weight': np.ones(64)}), 'conv1/conv1_2/weights',
                        VGG).shape == (64,)   # of batch norm, in vgg16_bn
    read = weight_formats.read_variable(layout(TORCHVISION), source_of(**{'features.0.bias': np.ones(64)}), f'{FIRST}/biases', VGG)
    assert read.tolist() == [1.] * 64         # the kernel that it belongs to is missing

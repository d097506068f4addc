"""Real weights in our nets, compared with NumPy forward passes of the original files."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image

from checkpoints import restoring, sources
from nets import nets_factory, ssd


def load_image(shared, size):
    """Return an image of VOC2007, [size, size, 3] uint8 RGB."""
    path = sorted((shared / 'data/VOCdevkit/VOC2007/JPEGImages').iterdir())[7]
    return np.asarray(Image.open(path).convert('RGB').resize((size, size)))


def assert_close(actual, expected, relative_error):
    """Assert that arrays agree, relative to the largest expected value."""
    assert actual.shape == expected.shape and expected.max() > 1
    assert np.abs(actual - expected).max() / np.abs(expected).max() < relative_error


def run_net(net, image, path, layers):
    """Return end points of our net with the weights of a file, [H, W, C] each.

    Args:
        net: name of the net.
        image: [S, S, 3] uint8 RGB.
        path: the file of weights.
        layers: names of the end points.
    """
    params = nets_factory.get_params(net)
    images = ssd.normalize(image[np.newaxis], params)
    end_points = ssd.build(images, params, 21, is_training=False).end_points
    source = sources.open_source(str(path))
    init_fn = restoring.make_init_fn(restoring.make_plan(source, tf.model_variables(), net))
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        init_fn(session)
        return session.run([end_points[layer][0] for layer in layers])


def shifted_inputs(x, stride, pad_before, pad_after):
    """Yield (row, column, shifted input) for each element of a 3x3 kernel; x is [H, W, C]."""
    padding = (pad_before, pad_after)
    x = np.pad(x, [padding, padding, (0, 0)])
    height, width = ((size - 3) // stride + 1 for size in x.shape[:2])
    for i in range(3):
        for j in range(3):
            yield i, j, x[i:i + stride * height:stride, j:j + stride * width:stride]


def convolve(x, kernel, stride=1, pad_before=1, pad_after=1):
    """Convolve [H, W, in] with a kernel [3, 3, in, out]."""
    return sum(shifted @ kernel[i, j]
               for i, j, shifted in shifted_inputs(x, stride, pad_before, pad_after))


def convolve_depthwise(x, kernel, stride, pad_before):
    """Convolve each channel of [H, W, C] with its own kernel of [3, 3, C]."""
    return sum(shifted * kernel[i, j]
               for i, j, shifted in shifted_inputs(x, stride, pad_before, 1))


def run_keras_vgg(x, weights):
    """Return the outputs of the five blocks of VGG-16.

    Args:
        x: [S + 2, S + 2, 3] BGR without the mean. The frame of one pixel takes the place of the
            zero padding of the first layer.
        weights: name -> array, as Keras names them.
    """
    outputs = []
    for block, repeats in enumerate((2, 2, 3, 3, 3), 1):
        if block > 1:   # 2x2 max pooling; of an odd size, the last row and column stay
            padding = [(0, x.shape[0] % 2), (0, x.shape[1] % 2), (0, 0)]
            x = np.pad(x, padding, constant_values=-np.inf)
            x = x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2, -1).max((1, 3))
        for index in range(1, repeats + 1):
            name = f'conv{block}_{index}'
            padding = 0 if name == 'conv1_1' else 1
            x = convolve(x, np.float32(weights[f'{name}/kernel']), 1, padding, padding)
            x = np.maximum(x + weights[f'{name}/bias'], 0)
        outputs.append(x)
    return outputs


@pytest.mark.slow
def test_vgg16_gives_the_activations_of_the_keras_weights(shared):
    path = shared / 'weights/vgg16_imagenet_convs_keras_bgr_fp16.npz'
    image = load_image(shared, 300)
    block4, block5, *new = run_net('ssd_300_vgg', image, path,
                                   [f'block{index}' for index in range(4, 12)])
    # Our zero padding stands for our mean, not for that of Keras.
    framed = np.full((302, 302, 3), (123, 117, 104), np.float32)
    framed[1:-1, 1:-1] = image
    with np.load(path) as weights:
        bgr = framed[:, :, ::-1] - np.float32((103.939, 116.779, 123.68))
        expected = run_keras_vgg(bgr, weights)
    assert_close(block4, expected[3], 1e-5)
    assert_close(block5, expected[4], 1e-5)
    # New layers start at the scale 1, though that of conv5_3 is 7.
    assert all(.5 < np.sqrt(np.mean(features ** 2)) < 2 for features in new)


def batch_norm_relu6(x, weights, layer):
    gamma, beta, mean, variance = (
        weights[f'{layer}_bn/{name}']
        for name in ('gamma', 'beta', 'moving_mean', 'moving_variance'))
    return np.clip((x - mean) / np.sqrt(variance + .001) * gamma + beta, 0, 6)


def run_keras_mobilenet(image, weights):
    """Return the outputs of layer 0 and of the pointwise layers 1 to 13 of MobileNet v1."""
    x = convolve(np.float32(image) / 127.5 - 1, weights['conv1/kernel'], 2, 0, 1)
    outputs = [batch_norm_relu6(x, weights, 'conv1')]
    for index in range(1, 14):
        x = outputs[-1]
        stride = 2 if index in (2, 4, 6, 12) else 1
        pad_before = 0 if stride == 2 and len(x) % 2 == 0 else 1   # 'SAME' pads more at the end
        depthwise = weights[f'conv_dw_{index}/depthwise_kernel'][:, :, :, 0]
        x = convolve_depthwise(x, depthwise, stride, pad_before)
        x = batch_norm_relu6(x, weights, f'conv_dw_{index}')
        x = x @ weights[f'conv_pw_{index}/kernel'][0, 0]
        outputs.append(batch_norm_relu6(x, weights, f'conv_pw_{index}'))
    return outputs


def test_mobilenet_gives_the_activations_of_the_keras_weights(shared):
    path = shared / 'weights/mobilenet_v1_0.75_224_imagenet_keras.npz'
    image = load_image(shared, 300)
    layers = {0: 'Conv2d_0', 3: 'Conv2d_3_pointwise', 13: 'Conv2d_13_pointwise'}
    outputs = run_net('ssd_300_mobilenet_v1_075', image, path, layers.values())
    with np.load(path) as weights:
        expected = run_keras_mobilenet(image, weights)
    for output, index in zip(outputs, layers, strict=True):
        assert_close(output, expected[index], 1e-4)


def test_conv6_equals_every_third_row_and_column_of_fc6():
    """fc6 is 7x7 on pool5 with stride 2; conv6 is 3x3 with rate 6 on pool5 with stride 1."""
    random = np.random.default_rng(0)
    fc6 = random.standard_normal((7, 7, 512, 4096), np.float32)
    fc6_biases = random.standard_normal(4096, np.float32)
    arrays = {'vgg_16/conv1/conv1_1/weights': np.zeros([3, 3, 3, 64], np.float32),
              'vgg_16/fc6/weights': fc6, 'vgg_16/fc6/biases': fc6_biases}
    shapes = {name: list(array.shape) for name, array in arrays.items()}
    source = sources.WeightSource('a file', shapes, arrays.__getitem__)
    params = nets_factory.get_params('ssd_300_vgg')
    images = tf.constant(random.standard_normal((1, 300, 300, 3), np.float32))
    end_points = ssd.build(images, params, 21, is_training=False).end_points
    variables = [v for v in tf.model_variables() if '/conv6/' in v.op.name]
    init_fn = restoring.make_init_fn(restoring.make_plan(source, variables, params.name))
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        init_fn(session)
        block5, conv6 = (x[0] for x in session.run([end_points['block5'], end_points['block6']]))
    padded = np.pad(block5, [(1, 1), (1, 1), (0, 0)], constant_values=-np.inf)
    pool5 = np.max([padded[i:i + 19, j:j + 19] for i in range(3) for j in range(3)], 0)
    pool5 = np.pad(pool5, [(6, 6), (6, 6), (0, 0)])   # zero padding of conv6
    for row, column, out in ((0, 0, 0), (9, 9, 7), (18, 3, 1023)):
        expected = fc6_biases[4 * out] + sum(
            pool5[row + 6 * i, column + 6 * j] @ fc6[3 * i, 3 * j, :, 4 * out]
            for i in range(3) for j in range(3))
        assert conv6[row, column, out] == pytest.approx(max(expected, 0), rel=1e-4, abs=1e-4)
    assert (conv6 > 0).mean() > .2

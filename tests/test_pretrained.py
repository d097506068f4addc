"""The real weights in our nets, beside plain NumPy forward passes with the files as they are."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image

from checkpoints import restoring, sources
from nets import nets_factory, ssd


def picture(shared, size):
    path = sorted((shared / 'data/VOCdevkit/VOC2007/JPEGImages').iterdir())[7]
    return np.asarray(Image.open(path).convert('RGB').resize((size, size)))


def our_activations(image, net, path, layers):
    """End points of our net on a uint8 picture, with the weights of a file."""
    params = nets_factory.get_params(net)
    end_points = ssd.build(ssd.normalize(image[np.newaxis], params), params, 21, is_training=False).end_points
    plan = restoring.make_plan(sources.open_source(str(path)), tf.model_variables(), net)
    start = restoring.make_init_fn(plan)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        start(session)
        return session.run([end_points[layer][0] for layer in layers])


def convolve(x, kernel, stride=1, before=1, after=1):
    """[H, W, in] * [3, 3, in, out], zeros around: one matrix product for each of the nine places of the kernel."""
    x = np.pad(x, [(before, after), (before, after), (0, 0)])
    height, width = ((side - 3) // stride + 1 for side in x.shape[:2])
    return sum(x[i:i + stride * height:stride, j:j + stride * width:stride] @ kernel[i, j]
               for i in range(3) for j in range(3))


def vgg(x, weights, blocks=5):
    """x: BGR, centred, with one more row and column on each side, which the first layer sees instead of zeros."""
    outputs = []
    for block, repeats in enumerate((2, 2, 3, 3, 3)[:blocks], 1):
        if block > 1:   # 2x2 pooling; an odd row or column counts by itself
            x = np.pad(x, [(0, x.shape[0] % 2), (0, x.shape[1] % 2), (0, 0)], constant_values=-np.inf)
            x = x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2, -1).max((1, 3))
        for index in range(1, repeats + 1):
            name = f'conv{block}_{index}'
            around = 0 if name == 'conv1_1' else 1
            x = convolve(x, np.float32(weights[f'{name}/kernel']), 1, around, around) + weights[f'{name}/bias']
            x = np.maximum(x, 0)
        outputs.append(x)
    return outputs


@pytest.mark.slow
def test_vgg16_computes_what_the_file_says(shared):
    path = shared / 'weights/vgg16_imagenet_convs_keras_bgr_fp16.npz'
    image = picture(shared, 300)
    ours = our_activations(image, 'ssd_300_vgg', path, ['block4', 'block5'])
    # What lies around the picture is zero after our subtraction, so it has our mean colour; theirs is another.
    framed = np.full((302, 302, 3), (123, 117, 104), np.float32)
    framed[1:-1, 1:-1] = image
    with np.load(path) as weights:
        theirs = vgg(framed[:, :, ::-1] - np.float32((103.939, 116.779, 123.68)), weights)
    for found, expected in zip(ours, theirs[3:], strict=True):
        assert found.shape == expected.shape and expected.max() > 1
        assert np.abs(found - expected).max() / np.abs(expected).max() < 1e-5


def batch_norm(x, weights, name):
    gamma, beta, mean, variance = (weights[f'{name}_bn/{part}']
                                   for part in ('gamma', 'beta', 'moving_mean', 'moving_variance'))
    return np.clip((x - mean) / np.sqrt(variance + .001) * gamma + beta, 0, 6)


def test_mobilenet_computes_what_the_file_says(shared):
    path = shared / 'weights/mobilenet_v1_0.75_224_imagenet_keras.npz'
    image = picture(shared, 300)
    layers = ['Conv2d_0', 'Conv2d_3_pointwise', 'Conv2d_13_pointwise']
    ours = our_activations(image, 'ssd_300_mobilenet_v1_075', path, layers)
    with np.load(path) as weights:
        x = np.float32(image) / 127.5 - 1
        outputs = {0: batch_norm(convolve(x, weights['conv1/kernel'], 2, 0, 1), weights, 'conv1')}
        x = outputs[0]
        for index in range(1, 14):
            stride = 2 if index in (2, 4, 6, 12) else 1
            before = 0 if stride == 2 and len(x) % 2 == 0 else 1   # 'SAME': an odd zero goes behind
            depthwise = weights[f'conv_dw_{index}/depthwise_kernel'][:, :, :, 0]
            x = convolve_depthwise(x, depthwise, stride, before)
            x = batch_norm(x, weights, f'conv_dw_{index}')
            x = outputs[index] = batch_norm(x @ weights[f'conv_pw_{index}/kernel'][0, 0], weights, f'conv_pw_{index}')
    for found, index in zip(ours, (0, 3, 13), strict=True):
        assert found.shape == outputs[index].shape and outputs[index].max() > 1
        assert np.abs(found - outputs[index]).max() / outputs[index].max() < 1e-4


def convolve_depthwise(x, kernel, stride, before):
    """[H, W, C] * [3, 3, C], each channel by itself."""
    x = np.pad(x, [(before, 1), (before, 1), (0, 0)])
    height, width = ((side - 3) // stride + 1 for side in x.shape[:2])
    return sum(x[i:i + stride * height:stride, j:j + stride * width:stride] * kernel[i, j]
               for i in range(3) for j in range(3))


def test_conv6_sees_what_fc6_saw_at_every_third_place():
    """fc6, 7x7 on the cells of a pool5 of stride 2, becomes 3x3 with rate 6 on cells of stride 1."""
    draw = np.random.default_rng(0)
    arrays = {'vgg_16/conv1/conv1_1/weights': np.zeros([3, 3, 3, 64], np.float32),
              'vgg_16/fc6/weights': draw.standard_normal((7, 7, 512, 4096), np.float32),
              'vgg_16/fc6/biases': draw.standard_normal(4096, np.float32)}
    source = sources.WeightSource('a file', {name: list(array.shape) for name, array in arrays.items()}, arrays.__getitem__)
    params = nets_factory.get_params('ssd_300_vgg')
    images = tf.constant(draw.standard_normal((1, 300, 300, 3), np.float32))
    end_points = ssd.build(images, params, 21, is_training=False).end_points
    plan = restoring.make_plan(source, [v for v in tf.model_variables() if '/conv6/' in v.op.name], params.name)
    start = restoring.make_init_fn(plan)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        start(session)
        block5, conv6 = (output[0] for output in session.run([end_points['block5'], end_points['block6']]))
    around = np.pad(block5, [(1, 1), (1, 1), (0, 0)], constant_values=-np.inf)
    pool5 = np.max([around[i:i + 19, j:j + 19] for i in range(3) for j in range(3)], 0)
    pool5 = np.pad(pool5, [(6, 6), (6, 6), (0, 0)])          # what lies outside counts as zero
    for row, column, out in ((0, 0, 0), (9, 9, 7), (18, 3, 1023)):
        direct = arrays['vgg_16/fc6/biases'][4 * out] + sum(
            pool5[row + 6 * i, column + 6 * j] @ arrays['vgg_16/fc6/weights'][3 * i, 3 * j, :, 4 * out]
            for i in range(3) for j in range(3))
        assert conv6[row, column, out] == pytest.approx(max(direct, 0), rel=1e-4, abs=1e-4)
    assert (conv6 > 0).mean() > .2

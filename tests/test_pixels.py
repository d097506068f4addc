import io

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image

from preprocessing import pixels

FILL = (123., 117., 104.)


def encode(array, kind='PNG'):
    buffer = io.BytesIO()
    best = {'quality': 100, 'subsampling': 0} if kind == 'JPEG' else {}
    Image.fromarray(np.uint8(array)).save(buffer, kind, **best)
    return tf.constant(buffer.getvalue())


def quarters(side=48):   # whole JPEG blocks
    """Four plain colours, one in each quarter: red, green / blue, white."""
    image = np.zeros([side, side, 3])
    half = side // 2
    image[:half, :half, 0] = image[:half, half:, 1] = image[half:, :half, 2] = 255
    image[half:, half:] = 255
    return image


@pytest.mark.parametrize('kind', ['PNG', 'JPEG'])
@pytest.mark.parametrize('window, colour', [
    ([0, 0, .5, .5], (255, 0, 0)), ([0, .5, .5, 1], (0, 255, 0)), ([.5, 0, 1, .5], (0, 0, 255)),
    ([.6, .6, .9, .9], (255, 255, 255))])
def test_a_window_holds_its_part_only(evaluate, kind, window, colour):
    found = evaluate(pixels.render_window(encode(quarters(), kind), tf.constant(window, tf.float32), 8, FILL))
    assert found.shape == (8, 8, 3) and found.dtype == np.uint8
    np.testing.assert_allclose(found, np.broadcast_to(colour, (8, 8, 3)), atol=4)


def test_what_lies_outside_gets_the_fill(evaluate):
    white = encode(np.full([10, 10, 3], 255))
    found = evaluate(pixels.render_window(white, tf.constant([-.5, -1., 1.5, 1.]), 8, FILL))
    image = (found == 255).all(-1)
    expected = np.zeros([8, 8], bool)
    expected[2:6, 4:] = True          # the image is the middle half of the height, the right half of the width
    np.testing.assert_array_equal(image, expected)
    np.testing.assert_array_equal(found[0, 0], FILL)


def test_the_change_leaves_the_fill_alone(evaluate):
    white = encode(np.full([10, 10, 3], 255))
    found = evaluate(pixels.render_window(white, tf.constant([0., 0., 2., 1.]), 4, FILL, lambda image: image * 0))
    np.testing.assert_array_equal(found[:2], np.zeros([2, 4, 3]))
    np.testing.assert_array_equal(found[2:], np.broadcast_to(FILL, [2, 4, 3]))


@pytest.mark.parametrize('window, rows', [([0., 0., 1., 1.], 12), ([0., 0., .5, .5], 8)])   # made smaller, larger
def test_the_change_is_made_where_the_pixels_are_fewest(evaluate, window, rows):
    found = evaluate(pixels.render_window(encode(quarters(16)), tf.constant(window), 12, FILL,
                                   lambda image: image * 0 + tf.cast(tf.shape(image)[0], tf.float32)))
    np.testing.assert_array_equal(found, np.full([12, 12, 3], rows))


@pytest.mark.parametrize('window', [[.999, .999, 1, 1], [2, 2, 3, 3], [-3, -3, -2, -2], [0, 0, 1e-4, 1e-4]])
def test_windows_of_almost_nothing_still_make_a_picture(evaluate, window):
    found = evaluate(pixels.render_window(encode(quarters(), 'JPEG'), tf.constant(window, tf.float32), 8, FILL))
    assert found.shape == (8, 8, 3)


def test_a_picture_of_one_pixel(evaluate):
    found = evaluate(pixels.render_window(encode([[[9, 8, 7]]]), tf.constant([0., 0., 1., 1.]), 3, FILL))
    np.testing.assert_array_equal(found, np.broadcast_to([9, 8, 7], (3, 3, 3)))


def test_a_grey_jpeg_has_three_channels(evaluate):
    buffer = io.BytesIO()
    Image.new('L', (8, 8), 50).save(buffer, 'JPEG')
    found = evaluate(pixels.render_window(tf.constant(buffer.getvalue()), tf.constant([0., 0., 1., 1.]), 4, FILL))
    np.testing.assert_array_equal(found, np.full([4, 4, 3], 50))


def test_much_shrinking_averages(evaluate):
    stripes = np.zeros([64, 64, 3])
    stripes[::2] = 254
    found = evaluate(pixels.resize(tf.constant(np.float32([stripes])), 4, 4)[0])
    np.testing.assert_allclose(found, np.full([4, 4, 3], 127), atol=1)


def test_the_plain_resize_is_bilinear(evaluate):
    found = evaluate(pixels.resize(tf.constant([[[[0.] * 3, [100.] * 3]]]), 1, 4)[0])
    np.testing.assert_allclose(found[0, :, 0], [0, 25, 75, 100])


@pytest.mark.parametrize('shrink, side', [(1, 64), (1.9, 64), (2, 32), (4, 16), (5, 16), (16, 8)])
def test_a_jpeg_is_decoded_as_small_as_is_enough(evaluate, shrink, side):
    wanted = tf.constant([64 / shrink, 64 / shrink])
    found = evaluate(pixels.decode_window(encode(quarters(64), 'JPEG'), tf.constant([0., 0., 1., 1.]), wanted))
    assert found.shape == (side, side, 3)


def test_a_part_of_a_jpeg_decoded_small(evaluate):
    seen, wanted = tf.constant([.5, 0., 1., .5]), tf.constant([8., 8.])
    found = evaluate(pixels.decode_window(encode(quarters(64), 'JPEG'), seen, wanted))
    np.testing.assert_allclose(found, np.broadcast_to([0, 0, 255], [8, 8, 3]), atol=4)


def test_a_small_decoding_looks_like_an_average(evaluate, shared):
    path = shared / 'data/VOCdevkit/VOC2007/JPEGImages/000005.jpg'
    found = evaluate(pixels.render_window(tf.constant(path.read_bytes()), tf.constant([0., 0., 1., 1.]), 125, FILL))
    with Image.open(path) as image:
        expected = np.asarray(image.resize((125, 125), Image.BOX), int)
    assert np.abs(found - expected).mean() < 4   # bilinear sampling alone: 6


def test_lay_on(evaluate):
    found = evaluate(pixels.paste(tf.zeros([4, 5, 1], tf.int32), tf.ones([2, 3, 1], tf.int32), 1, 2))
    np.testing.assert_array_equal(found[..., 0], [[0] * 5, [0, 0, 1, 1, 1], [0, 0, 1, 1, 1], [0] * 5])

import io

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image

from preprocessing import pixels

FILL = (123., 117., 104.)
WHOLE = (0., 0., 1., 1.)


def encode_bytes(array, image_format, **options):
    """Encode an RGB array with options of Pillow."""
    buffer = io.BytesIO()
    Image.fromarray(np.uint8(array)).save(buffer, image_format, **options)
    return buffer.getvalue()


def encode(array, image_format='PNG'):
    """Encode an RGB array, as JPEG with the highest quality; return a tensor."""
    options = {'quality': 100, 'subsampling': 0} if image_format == 'JPEG' else {}
    return tf.constant(encode_bytes(array, image_format, **options))


def quarters(side=48):   # a multiple of 16: whole JPEG blocks
    """Return an image with a plain color in each quarter: red, green / blue, white."""
    image = np.zeros([side, side, 3])
    half = side // 2
    image[:half, :half, 0] = image[:half, half:, 1] = image[half:, :half, 2] = 255
    image[half:, half:] = 255
    return image


def render(evaluate, encoded, window, size, **options):
    """Return the image of `render_window`."""
    return evaluate(pixels.render_window(
        encoded, tf.constant(window, tf.float32), size, FILL, **options)[0])


@pytest.mark.parametrize('image_format', ['PNG', 'JPEG'])
@pytest.mark.parametrize('window, color', [
    ([0, 0, .5, .5], (255, 0, 0)), ([0, .5, .5, 1], (0, 255, 0)), ([.5, 0, 1, .5], (0, 0, 255)),
    ([.6, .6, .9, .9], (255, 255, 255))])
def test_only_the_window_is_rendered(evaluate, image_format, window, color):
    image = render(evaluate, encode(quarters(), image_format), window, 8)
    assert image.shape == (8, 8, 3) and image.dtype == np.uint8
    np.testing.assert_allclose(image, np.broadcast_to(color, (8, 8, 3)), atol=4)


def test_area_outside_the_image_is_filled(evaluate):
    image = render(evaluate, encode(np.full([10, 10, 3], 255)), [-.5, -1., 1.5, 1.], 8)
    expected = np.zeros([8, 8], bool)
    expected[2:6, 4:] = True          # the middle half of the height, the right half of the width
    np.testing.assert_array_equal((image == 255).all(-1), expected)
    np.testing.assert_array_equal(image[0, 0], FILL)


def test_fill_is_not_distorted(evaluate):
    image = render(evaluate, encode(np.full([10, 10, 3], 255)), [0., 0., 2., 1.], 4,
                   distort=lambda covered: covered * 0)
    np.testing.assert_array_equal(image[:2], np.zeros([2, 4, 3]))
    np.testing.assert_array_equal(image[2:], np.broadcast_to(FILL, [2, 4, 3]))


# A window of 16 pixels that shrinks to 12, and one of 8 that is enlarged.
@pytest.mark.parametrize('window, height', [(WHOLE, 12), ([0., 0., .5, .5], 8)])
def test_distortion_runs_on_the_smaller_image(evaluate, window, height):
    image = render(evaluate, encode(quarters(16)), window, 12, distort=lambda covered: (
        covered * 0 + tf.cast(tf.shape(covered)[0], tf.float32)))   # writes the height it sees
    np.testing.assert_array_equal(image, np.full([12, 12, 3], height))


@pytest.mark.parametrize('window', [
    [.999, .999, 1, 1], [2, 2, 3, 3], [-3, -3, -2, -2], [0, 0, 1e-4, 1e-4]])
def test_tiny_windows_and_windows_outside_the_image(evaluate, window):
    assert render(evaluate, encode(quarters(), 'JPEG'), window, 8).shape == (8, 8, 3)


def test_image_of_one_pixel(evaluate):
    image = render(evaluate, encode([[[9, 8, 7]]]), WHOLE, 3)
    np.testing.assert_array_equal(image, np.broadcast_to([9, 8, 7], (3, 3, 3)))


def test_gray_jpeg_is_decoded_to_three_channels(evaluate):
    buffer = io.BytesIO()
    Image.new('L', (8, 8), 50).save(buffer, 'JPEG')
    image = render(evaluate, tf.constant(buffer.getvalue()), WHOLE, 4)
    np.testing.assert_array_equal(image, np.full([4, 4, 3], 50))


def test_strong_shrinking_averages_pixels(evaluate):
    stripes = np.zeros([64, 64, 3])
    stripes[::2] = 254
    resized = evaluate(pixels.resize(tf.constant(np.float32([stripes])), 4, 4)[0])
    np.testing.assert_allclose(resized, np.full([4, 4, 3], 127), atol=1)


def test_enlarging_is_bilinear(evaluate):
    resized = evaluate(pixels.resize(tf.constant([[[[0.] * 3, [100.] * 3]]]), 1, 4)[0])
    np.testing.assert_allclose(resized[0, :, 0], [0, 25, 75, 100])


@pytest.mark.parametrize('shrink, side', [
    (1, 64), (1.9, 64), (2, 32), (4, 16), (5, 16), (16, 8)])
def test_jpeg_is_decoded_at_the_smallest_sufficient_size(evaluate, shrink, side):
    target_size = tf.constant([64 / shrink, 64 / shrink])
    image, _ = evaluate(pixels.decode_window(
        encode(quarters(64), 'JPEG'), tf.constant(WHOLE), target_size))
    assert image.shape == (side, side, 3)


def test_window_of_a_jpeg_decoded_at_a_fraction(evaluate):
    image, _ = evaluate(pixels.decode_window(
        encode(quarters(64), 'JPEG'), tf.constant([.5, 0., 1., .5]), tf.constant([8., 8.])))
    np.testing.assert_allclose(image, np.broadcast_to([0, 0, 255], [8, 8, 3]), atol=4)


@pytest.mark.parametrize('image_format', ['PNG', 'JPEG'])
@pytest.mark.parametrize('window, target_size, expected', [
    # Rows 1.2 to 4.5 of 10 become 1 to 5; columns 5 to 9 are whole already.
    ([.12, .5, .45, .9], 8., [.1, .5, .5, .9]),
    ([.12, .5, .13, .5], 8., [.1, .5, .2, .6]),        # at least one pixel
    (WHOLE, 8., WHOLE)])
def test_decoded_window_is_extended_to_whole_pixels(
        evaluate, image_format, window, target_size, expected):
    image, decoded = evaluate(pixels.decode_window(
        encode(np.zeros([10, 10, 3]), image_format), tf.constant(window, tf.float32),
        tf.constant([target_size] * 2)))
    np.testing.assert_allclose(decoded, expected, atol=1e-6)
    np.testing.assert_allclose(image.shape[:2], 10 * (decoded[2:] - decoded[:2]), atol=1e-5)


def test_decoded_window_of_a_fraction_may_end_beyond_the_image(evaluate):
    # 20 rows at 1/8 are 2.5 rows, so 3, which would show 24 rows; 16 columns at 1/8 are 2.
    image, decoded = evaluate(pixels.decode_window(
        encode(np.zeros([20, 16, 3]), 'JPEG'), tf.constant(WHOLE), tf.constant([2., 2.])))
    assert image.shape == (3, 2, 3)
    np.testing.assert_allclose(decoded, [0, 0, 1.2, 1], rtol=1e-6)


@pytest.mark.parametrize('window, expected', [
    ([.12, .5, .45, .9], [.1, .5, .5, .9]),
    # The image covers rows 1.78 to 5.33 of 8, rounded to 2 to 5, so a row is 1/3 of the image; it
    # covers columns 0 to 4.
    ([-.5, 0, 1.75, 2], [-2 / 3, 0, 2, 2])])
def test_rendered_window_fits_the_rounded_pixels(evaluate, window, expected):
    _, rendered = evaluate(pixels.render_window(
        encode(np.zeros([10, 10, 3])), tf.constant(window, tf.float32), 8, FILL))
    np.testing.assert_allclose(rendered, expected, rtol=1e-5)


def test_jpeg_is_decoded_in_full_as_by_pillow(evaluate):
    noise = np.random.default_rng(0).integers(0, 256, [40, 56, 3], np.uint8)
    encoded = encode_bytes(noise, 'JPEG')
    np.testing.assert_array_equal(evaluate(pixels.decode_image(tf.constant(encoded))),
                                  Image.open(io.BytesIO(encoded)))


def test_jpeg_decoded_at_a_fraction_resembles_the_average(evaluate, shared):
    path = shared / 'data/VOCdevkit/VOC2007/JPEGImages/000005.jpg'
    image = render(evaluate, tf.constant(path.read_bytes()), WHOLE, 125)
    with Image.open(path) as original:
        expected = np.asarray(original.resize((125, 125), Image.BOX), int)
    assert np.abs(image - expected).mean() < 4   # bilinear sampling of all pixels gives 6


def test_paste(evaluate):
    canvas = evaluate(pixels.paste(
        tf.zeros([4, 5, 1], tf.int32), tf.ones([2, 3, 1], tf.int32), 1, 2))
    np.testing.assert_array_equal(
        canvas[..., 0], [[0] * 5, [0, 0, 1, 1, 1], [0, 0, 1, 1, 1], [0] * 5])

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from test_pixels import FILL, encode

from common.errors import UserError
from preprocessing import preprocessing_factory, ssd_preprocessing

SIZE = 60
BOX = [.25, .4, .75, .7]


def make_record(boxes=(BOX,), image_format='JPEG'):
    """Return a record with a dark image of 80x100 pixels and a white object at BOX.

    Wherever augmentation moves the object, its box must cover the white pixels.
    """
    image = np.full([80, 100, 3], 10)
    image[20:60, 40:70] = 250
    return {'encoded': encode(image, image_format), 'filename': tf.constant('one.jpg'),
            'boxes': tf.constant(np.float32(boxes).reshape(-1, 4)),
            'labels': tf.ones([len(boxes)], tf.int32),
            'difficult': tf.zeros([len(boxes)], tf.bool),
            'height': tf.constant(80, tf.int64), 'width': tf.constant(100, tf.int64)}


def preprocess(record, num_seeds, function=ssd_preprocessing.preprocess_for_train):
    """Return the examples of a record with the seeds [0, 0], [0, 1], ..."""
    seed = tf.placeholder(tf.int64, [2])
    example = function(record, seed, SIZE, FILL)
    with tf.Session() as session:
        return [session.run(example, {seed: [0, k]}) for k in range(num_seeds)]


def test_boxes_follow_the_pixels():
    num_checked = 0
    for example in preprocess(make_record(), 120):
        image = example['image'].astype(int)
        white = (image.max(-1) > 125) & (np.abs(image - FILL).max(-1) > 12)
        for ymin, xmin, ymax, xmax in example['boxes'] * SIZE:
            inside = white[int(np.ceil(ymin)):int(ymax), int(np.ceil(xmin)):int(xmax)]
            if inside.size > 30:
                assert inside.mean() > .85
                num_checked += 1
            outside = white.copy()
            outside[max(0, int(ymin) - 1):int(np.ceil(ymax)) + 1,
                    max(0, int(xmin) - 1):int(np.ceil(xmax)) + 1] = False
            assert outside.mean() < .01
    assert num_checked > 80


def test_example_is_a_function_of_the_seed():
    first, second = preprocess(make_record(), 2)
    repeated, = preprocess(make_record(), 1)
    np.testing.assert_array_equal(first['image'], repeated['image'])
    assert first['image'].shape == second['image'].shape
    assert (first['image'] != second['image']).any()


def test_image_without_boxes():
    for example in preprocess(make_record(boxes=()), 10):
        assert example['boxes'].shape == (0, 4) and example['labels'].shape == (0,)
        assert example['image'].shape == (SIZE, SIZE, 3)


def test_plain_preprocessing_ignores_the_seed():
    first, second = preprocess(make_record(), 2, preprocessing_factory.get_preprocessing('plain'))
    np.testing.assert_array_equal(first['image'], second['image'])
    np.testing.assert_allclose(first['boxes'], [BOX])


def preprocess_for_eval(evaluate, record):
    return evaluate(ssd_preprocessing.preprocess_for_eval(record, SIZE, FILL))


def test_evaluation_keeps_everything_but_the_encoded_image(evaluate):
    example = preprocess_for_eval(evaluate, {**make_record(), 'area': tf.constant([3.])})
    assert set(example) == {
        'image', 'filename', 'boxes', 'labels', 'difficult', 'area', 'height', 'width'}
    np.testing.assert_allclose(example['boxes'], [BOX])
    assert example['difficult'].tolist() == [False] and example['image'][30, 33].min() > 240


@pytest.mark.parametrize('image_format', ['JPEG', 'PNG'])
def test_image_size_is_the_recorded_one_or_read_from_the_image(evaluate, image_format):
    record = {**make_record(), 'encoded': encode(np.full([30, 50, 3], 10), image_format)}
    recorded = preprocess_for_eval(evaluate, record)   # the original size, before the conversion
    assert (recorded['height'], recorded['width']) == (80, 100)
    read = preprocess_for_eval(evaluate, {**record, 'height': tf.constant(0, tf.int64)})
    assert (read['height'], read['width']) == (30, 50)


def test_resize_for_eval_equals_preprocess_for_eval(evaluate):
    encoded = tf.stack([make_record()['encoded']] * 2)
    batch = evaluate(ssd_preprocessing.resize_for_eval(encoded, SIZE, FILL))
    image = preprocess_for_eval(evaluate, make_record())['image']
    np.testing.assert_array_equal(batch, [image, image])


@pytest.mark.parametrize('shape', [(80, 100), (40, 30), (200, 300)])   # shrunk, enlarged, averaged
def test_decoded_images_are_resized_like_encoded_ones(evaluate, shape):
    images = np.random.default_rng(0).integers(0, 256, [2, *shape, 3], np.uint8)
    encoded = tf.stack([encode(image) for image in images])   # PNG: all pixels are decoded
    resized, expected = evaluate([
        ssd_preprocessing.resize_pixels_for_eval(tf.constant(images), SIZE),
        ssd_preprocessing.resize_for_eval(encoded, SIZE, FILL)])
    np.testing.assert_array_equal(resized, expected)


@pytest.mark.parametrize('name, options', [
    (None, {'zoom_out': True, 'crop': True}), ('ssd_300_vgg', {'zoom_out': True, 'crop': True}),
    ('ssd_no_zoom_out', {'zoom_out': False, 'crop': True})])
def test_preprocessing_names(name, options):
    assert preprocessing_factory.get_preprocessing(name).keywords == options


def test_unknown_preprocessing_is_rejected():
    with pytest.raises(UserError, match="unknown preprocessing 'inception'. Choose one of ssd, "):
        preprocessing_factory.get_preprocessing('inception')

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from test_pixels import FILL, encode

from common.errors import UserError
from preprocessing import preprocessing_factory, ssd_preprocessing

# A dark picture with one white object: wherever augmentation puts it, its box must lie on the white.
BOX = [.25, .4, .75, .7]


def record(boxes=(BOX,)):
    image = np.full([80, 100, 3], 10)
    image[20:60, 40:70] = 250
    return {'encoded': encode(image, 'JPEG'), 'filename': tf.constant('one.jpg'),
            'boxes': tf.constant(np.float32(boxes).reshape(-1, 4)), 'labels': tf.ones([len(boxes)], tf.int32),
            'difficult': tf.zeros([len(boxes)], tf.bool), 'height': tf.constant(80, tf.int64),
            'width': tf.constant(100, tf.int64)}


def draw(count, given, function=ssd_preprocessing.preprocess_for_train):
    seed = tf.placeholder(tf.int64, [2])
    example = function(given, seed, 60, FILL)
    with tf.Session() as session:
        return [session.run(example, {seed: [0, k]}) for k in range(count)]


def test_boxes_follow_the_pixels():
    seen = 0
    for example in draw(120, record()):
        image = example['image'].astype(int)
        white = (image.max(-1) > 125) & (np.abs(image - FILL).max(-1) > 12)
        for ymin, xmin, ymax, xmax in example['boxes'] * 60:
            inside = white[int(np.ceil(ymin)):int(ymax), int(np.ceil(xmin)):int(xmax)]
            if inside.size > 30:
                assert inside.mean() > .85
                seen += 1
            around = white.copy()
            around[max(0, int(ymin) - 1):int(np.ceil(ymax)) + 1, max(0, int(xmin) - 1):int(np.ceil(xmax)) + 1] = False
            assert around.mean() < .01
    assert seen > 80


def test_the_same_seed_draws_the_same_and_another_another():
    first, second = draw(2, record())
    again = draw(1, record())[0]
    np.testing.assert_array_equal(first['image'], again['image'])
    assert first['image'].shape == second['image'].shape and (first['image'] != second['image']).any()


def test_a_picture_without_boxes():
    for example in draw(10, record(boxes=())):
        assert example['boxes'].shape == (0, 4) and example['labels'].shape == (0,)
        assert example['image'].shape == (60, 60, 3)


def test_plain_changes_nothing_but_the_size():
    one, two = draw(2, record(), preprocessing_factory.get_preprocessing('plain'))
    np.testing.assert_array_equal(one['image'], two['image'])
    np.testing.assert_allclose(one['boxes'], [BOX])


def test_evaluation_keeps_all_but_the_bytes(evaluate):
    found = evaluate(ssd_preprocessing.preprocess_for_eval({**record(), 'area': tf.constant([3.])}, 60, FILL))
    assert set(found) == {'image', 'filename', 'boxes', 'labels', 'difficult', 'area', 'height', 'width'}
    np.testing.assert_allclose(found['boxes'], [BOX])
    assert found['difficult'].tolist() == [False] and found['image'][30, 33].min() > 240


@pytest.mark.parametrize('kind', ['JPEG', 'PNG'])
def test_the_size_is_known_where_the_record_does_not_say(evaluate, kind):
    image = np.full([30, 50, 3], 10)
    given = {**record(), 'encoded': encode(image, kind), 'height': tf.constant(0, tf.int64)}
    found = evaluate(ssd_preprocessing.preprocess_for_eval(given, 60, FILL))
    assert (found['height'], found['width']) == (30, 50)
    said = evaluate(ssd_preprocessing.preprocess_for_eval({**record(), 'encoded': encode(image, kind)}, 60, FILL))
    assert (said['height'], said['width']) == (80, 100)     # as it was, whatever the record holds now


def test_resize_for_eval_is_the_same_for_every_picture_of_a_batch(evaluate):
    one, batch = evaluate([ssd_preprocessing.preprocess_for_eval(record(), 60, FILL)['image'],
                           ssd_preprocessing.resize_for_eval(tf.stack([record()['encoded']] * 2), 60, FILL)])
    np.testing.assert_array_equal(batch, [one, one])


@pytest.mark.parametrize('shape', [(80, 100), (40, 30), (200, 300)])   # made smaller, larger, and by areas
def test_decoded_pixels_are_resized_as_those_of_a_file(evaluate, shape):
    images = np.random.default_rng(0).integers(0, 256, [2, *shape, 3], np.uint8)
    files = tf.stack([encode(image) for image in images])   # PNG, which decodes to every pixel
    found, expected = evaluate([ssd_preprocessing.resize_pixels_for_eval(tf.constant(images), 60),
                                ssd_preprocessing.resize_for_eval(files, 60, FILL)])
    np.testing.assert_array_equal(found, expected)


def test_names():
    for name, keywords in ((None, {'zoom': True, 'crop': True}), ('ssd_300_vgg', {'zoom': True, 'crop': True}),
                           ('ssd_no_zoom_out', {'zoom': False, 'crop': True})):
        assert preprocessing_factory.get_preprocessing(name).keywords == keywords
    with pytest.raises(UserError, match="no preprocessing is called 'inception'; there are ssd, "):
        preprocessing_factory.get_preprocessing('inception')

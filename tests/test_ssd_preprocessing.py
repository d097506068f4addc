import io

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image
from test_pixels import FILL, encode, encode_bytes

from common.errors import UserError
from preprocessing import preprocessing_factory, ssd_preprocessing
from preprocessing.augmentation import Augmentation

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


def preprocess(record, num_seeds, function=ssd_preprocessing.preprocess_for_train, size=SIZE,
               fill=FILL):
    """Return the examples of a record with the seeds [0, 0], [0, 1], ..."""
    seed = tf.placeholder(tf.int64, [2])
    example = function(record, seed, size, fill)
    with tf.Session() as session:
        return [session.run(example, {seed: [0, k]}) for k in range(num_seeds)]


def preprocessing_of(name, **parts):
    """Return the training preprocessing of a name with some parts switched on or off."""
    return preprocessing_factory.get_preprocessing(
        preprocessing_factory.get_augmentation(name, **parts))


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


def edge_errors(image, box):
    """Return the distances in pixels between the edges of a box [4] and of the white pixels.

    The white pixels end where the brightness, interpolated between pixel centers, is half of white.
    Edges at the border of the image are left out.
    """
    size, errors = len(image), []
    box, brightness = box * size, image.mean(axis=-1)
    middle_y, middle_x = ((box[:2] + box[2:]) / 2).astype(int)
    for profile, start, end in ((brightness[:, middle_x], box[0], box[2]),
                                (brightness[middle_y], box[1], box[3])):
        for pixels, edge in ((profile, start), (profile[::-1], size - end)):
            if edge > 2:
                first = np.argmax(pixels >= 127.5)
                before, after = pixels[first - 1:first + 1]
                errors.append(abs(first - .5 + (127.5 - before) / (after - before) - edge))
    return errors


@pytest.mark.parametrize('height, width', [(375, 500), (120, 160), (751, 1000)])
def test_edges_of_boxes_are_the_edges_of_the_pixels(height, width):
    image = np.zeros([height, width, 3])
    top, left, bottom, right = height // 4, width // 3, height * 3 // 4, width * 4 // 5
    image[top:bottom, left:right] = 255
    box = [top / height, left / width, bottom / height, right / width]
    record = {**make_record([box]), 'encoded': encode(image, 'JPEG')}
    errors = []
    for example in preprocess(record, 200, preprocessing_of('ssd', photometric_distortion=False),
                              size=300, fill=(0, 0, 0)):
        for box in example['boxes']:
            if min(box[2:] - box[:2]) * 300 > 8:   # smaller rectangles are not fully white
                errors += edge_errors(example['image'], box)
    # Sampling at pixel centers alone gives 0.1 in images that shrink.
    assert len(errors) > 500 and np.mean(errors) < .12 and np.max(errors) < .4


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
    first, second = preprocess(make_record(), 2, preprocessing_of('plain'))
    np.testing.assert_array_equal(first['image'], second['image'])
    np.testing.assert_allclose(first['boxes'], [BOX])


def preprocess_for_eval(evaluate, record):
    return evaluate(ssd_preprocessing.preprocess_for_eval(record, SIZE))


def test_evaluation_keeps_everything_but_the_encoded_image(evaluate):
    example = preprocess_for_eval(evaluate, {**make_record(), 'area': tf.constant([3.])})
    assert set(example) == {
        'image', 'filename', 'boxes', 'labels', 'difficult', 'area', 'height', 'width'}
    np.testing.assert_allclose(example['boxes'], [BOX])
    assert example['difficult'].tolist() == [False] and example['image'][30, 33].min() > 240


@pytest.mark.parametrize('image_format', ['JPEG', 'PNG'])
def test_image_size_is_the_recorded_one_or_that_of_the_pixels(evaluate, image_format):
    record = {**make_record(), 'encoded': encode(np.full([30, 50, 3], 10), image_format)}
    recorded = preprocess_for_eval(evaluate, record)   # the original size, before the conversion
    assert (recorded['height'], recorded['width']) == (80, 100)
    read = preprocess_for_eval(evaluate, {**record, 'height': tf.constant(0, tf.int64)})
    assert (read['height'], read['width']) == (30, 50)


def test_resize_for_eval_equals_preprocess_for_eval(evaluate):
    encoded = tf.stack([make_record()['encoded']] * 2)
    batch = evaluate(ssd_preprocessing.resize_for_eval(encoded, SIZE))
    image = preprocess_for_eval(evaluate, make_record())['image']
    np.testing.assert_array_equal(batch, [image, image])


# Shrunk, enlarged, averaged.
@pytest.mark.parametrize('shape', [(80, 100), (40, 30), (201, 300)])
def test_all_formats_give_the_same_pixels(evaluate, shape):
    noise = np.random.default_rng(0).integers(0, 256, [2, *shape, 3], np.uint8)
    jpegs = [encode_bytes(image, 'JPEG') for image in noise]
    decoded = np.stack([Image.open(io.BytesIO(jpeg)) for jpeg in jpegs])
    resized, *of_formats = evaluate([
        ssd_preprocessing.resize_pixels_for_eval(tf.constant(decoded), SIZE),
        *(ssd_preprocessing.resize_for_eval(tf.constant(encoded), SIZE) for encoded in (
            jpegs, [encode_bytes(image, 'PNG') for image in decoded],
            [encode_bytes(image, 'BMP') for image in decoded]))])
    for of_format in of_formats:
        np.testing.assert_array_equal(of_format, resized)


@pytest.mark.parametrize('part, expected', [
    ('zoom_out', {'fill'}), ('random_crop', {'larger object'}), ('horizontal_flip', {'mirrored'}),
    ('photometric_distortion', {'other colors'}), (None, set())])
def test_each_part_of_the_augmentation_can_be_used_alone(part, expected):
    parts = {name: name == part for name in Augmentation._fields}
    traces = set()
    plain, = preprocess(make_record(), 1, preprocessing_of('plain'))
    for example in preprocess(make_record(), 12, preprocessing_of('ssd', **parts)):
        image, boxes = example['image'], example['boxes']
        if (image == np.round(FILL)).all(-1).any():
            traces.add('fill')
        elif len(boxes) and np.prod(boxes[0, 2:] - boxes[0, :2]) > .16:   # BOX covers 0.15
            traces.add('larger object')
        elif (image == plain['image'][:, ::-1]).all():
            traces.add('mirrored')
            np.testing.assert_allclose(boxes, [[.25, .3, .75, .6]], rtol=1e-6)
        elif (image != plain['image']).any() and len(boxes) and np.allclose(boxes, [BOX]):
            traces.add('other colors')
    assert traces == expected


@pytest.mark.parametrize('name, parts, expected', [
    (None, {}, 'zoom_out, random_crop, horizontal_flip, photometric_distortion'),
    ('ssd_300_vgg', {'horizontal_flip': False, 'zoom_out': None},
     'zoom_out, random_crop, photometric_distortion'),
    ('ssd_no_zoom_out', {}, 'random_crop, horizontal_flip, photometric_distortion'),
    ('ssd_no_crop', {}, 'horizontal_flip, photometric_distortion'),
    ('plain', {}, 'none'), ('plain', {'zoom_out': True}, 'zoom_out')])
def test_preprocessing_names(name, parts, expected):
    assert str(preprocessing_factory.get_augmentation(name, **parts)) == expected


def test_unknown_preprocessing_is_rejected():
    with pytest.raises(UserError, match="unknown preprocessing 'inception'. Choose one of ssd, "):
        preprocessing_factory.get_augmentation('inception')

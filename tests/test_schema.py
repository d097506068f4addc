import numpy as np
import tensorflow.compat.v1 as tf

from datasets import schema
from datasets.annotation import Annotation

PICTURE = Annotation('folder/a.jpg', b'bytes', 20, 30, [(.1, .2, .3, .4), (0., 0., 1., 1.)], ['dog', 'cat'],
                     [False, True], [True, False])
EMPTY = PICTURE._replace(boxes=[], names=[], difficult=[], truncated=[])
CROWDED = PICTURE._replace(iscrowd=[True, False], area=[7.5, 600.], source_id='4711')


def test_the_keys_of_public_converters():
    example = tf.train.Example.FromString(schema.serialize(PICTURE, {'cat': 1, 'dog': 2}))
    found = {key: list(getattr(f, f.WhichOneof('kind')).value) for key, f in example.features.feature.items()}
    boxes = {side: [np.float32(v) for v in values] for side, values in {
        'ymin': (.1, 0), 'xmin': (.2, 0), 'ymax': (.3, 1), 'xmax': (.4, 1)}.items()}
    assert found == {
        'image/encoded': [b'bytes'], 'image/format': [b'JPEG'], 'image/filename': [b'a.jpg'],
        'image/height': [20], 'image/width': [30], 'image/channels': [3], 'image/shape': [20, 30, 3],
        'image/object/bbox/label': [2, 1], 'image/object/bbox/label_text': [b'dog', b'cat'],
        'image/object/bbox/difficult': [0, 1], 'image/object/bbox/truncated': [1, 0],
        **{f'image/object/bbox/{side}': values for side, values in boxes.items()}}


def test_there_and_back(evaluate):
    found = evaluate(schema.parse(tf.constant(schema.serialize(PICTURE, {'cat': 1, 'dog': 2}))))
    np.testing.assert_allclose(found['boxes'], PICTURE.boxes)
    np.testing.assert_array_equal(found['labels'], [2, 1])
    np.testing.assert_array_equal(found['difficult'], [False, True])
    assert (found['encoded'], found['filename']) == (b'bytes', b'a.jpg')


def test_what_only_some_sources_say(evaluate):
    example = tf.train.Example.FromString(schema.serialize(CROWDED, {'cat': 1, 'dog': 2}))
    plain = tf.train.Example.FromString(schema.serialize(PICTURE, {'cat': 1, 'dog': 2}))
    assert set(example.features.feature) - set(plain.features.feature) == {
        'image/source_id', 'image/object/bbox/iscrowd', 'image/object/bbox/area'}
    found, unsaid = evaluate([schema.parse(tf.constant(one.SerializeToString())) for one in (example, plain)])
    assert found['iscrowd'].tolist() == [True, False] and found['area'].tolist() == [7.5, 600]
    assert unsaid['iscrowd'].tolist() == [False, False] and unsaid['area'].tolist() == [0, 0]
    assert (found['source_id'], unsaid['source_id']) == (b'4711', b'')
    assert (found['height'], found['width']) == (20, 30)


def test_some_boxes_of_a_record(evaluate):
    record = schema.parse(tf.constant(schema.serialize(CROWDED, {'cat': 1, 'dog': 2})))
    found = evaluate(schema.with_boxes(~record['iscrowd'], record))
    assert found['boxes'].tolist() == [[0, 0, 1, 1]] and found['labels'].tolist() == [1]
    assert found['difficult'].tolist() == [True] and found['iscrowd'].tolist() == [False]
    assert found['area'].tolist() == [600] and found['filename'] == b'a.jpg'


def test_a_picture_without_boxes(evaluate):
    found = evaluate(schema.parse(tf.constant(schema.serialize(EMPTY, {}))))
    assert found['boxes'].shape == (0, 4) and found['labels'].shape == found['difficult'].shape == (0,)


def test_boxes_without_area_are_left_out_and_the_rest_is_cut(evaluate):
    spoilt = PICTURE._replace(boxes=[(.2, .2, .2, .6), (.5, .5, .4, .9), (-.5, .1, .5, 1.2)],
                              names=['dog', 'dog', 'cat'], difficult=[False, False, True], truncated=[False] * 3)
    found = evaluate(schema.parse(tf.constant(schema.serialize(spoilt, {'cat': 1, 'dog': 2}))))
    np.testing.assert_allclose(found['boxes'], [[0, .1, .5, 1]])
    assert found['labels'].tolist() == [1] and found['difficult'].tolist() == [True]


def test_an_old_record_without_filename_and_difficult(evaluate):
    example = tf.train.Example.FromString(schema.serialize(PICTURE, {'cat': 1, 'dog': 2}))
    for key in ('image/filename', 'image/height', 'image/width', 'image/object/bbox/difficult',
                'image/object/bbox/truncated'):
        del example.features.feature[key]
    found = evaluate(schema.parse(tf.constant(example.SerializeToString())))
    assert (found['filename'], found['height'], found['width']) == (b'', 0, 0)
    np.testing.assert_array_equal(found['difficult'], [False, False])

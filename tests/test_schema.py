import numpy as np
import tensorflow.compat.v1 as tf

from datasets import schema
from datasets.annotation import Annotation

ANNOTATION = Annotation('folder/a.jpg', b'bytes', 20, 30, [(.1, .2, .3, .4), (0., 0., 1., 1.)],
                        ['dog', 'cat'], [False, True], [True, False])
WITHOUT_BOXES = ANNOTATION._replace(boxes=[], names=[], difficult=[], truncated=[])
WITH_CROWD = ANNOTATION._replace(iscrowd=[True, False], area=[7.5, 600.], source_id='4711')
LABELS = {'cat': 1, 'dog': 2}


def serialize(annotation):
    return schema.serialize(annotation, LABELS)


def parse(annotation):
    return schema.parse(tf.constant(serialize(annotation)))


def test_keys_are_those_of_public_converters():
    features = tf.train.Example.FromString(serialize(ANNOTATION)).features.feature
    values = {key: list(getattr(feature, feature.WhichOneof('kind')).value)
              for key, feature in features.items()}
    coordinates = {'ymin': (.1, 0), 'xmin': (.2, 0), 'ymax': (.3, 1), 'xmax': (.4, 1)}
    assert values == {
        'image/encoded': [b'bytes'], 'image/format': [b'JPEG'], 'image/filename': [b'a.jpg'],
        'image/height': [20], 'image/width': [30], 'image/channels': [3],
        'image/shape': [20, 30, 3], 'image/object/bbox/label': [2, 1],
        'image/object/bbox/label_text': [b'dog', b'cat'],
        'image/object/bbox/difficult': [0, 1], 'image/object/bbox/truncated': [1, 0],
        **{f'image/object/bbox/{name}': [np.float32(value) for value in pair]
           for name, pair in coordinates.items()}}


def test_parsed_record_equals_the_annotation(evaluate):
    record = evaluate(parse(ANNOTATION))
    np.testing.assert_allclose(record['boxes'], ANNOTATION.boxes)
    np.testing.assert_array_equal(record['labels'], [2, 1])
    np.testing.assert_array_equal(record['difficult'], [False, True])
    assert (record['encoded'], record['filename']) == (b'bytes', b'a.jpg')


def test_optional_values(evaluate):
    features = tf.train.Example.FromString(serialize(WITH_CROWD)).features.feature
    required = tf.train.Example.FromString(serialize(ANNOTATION)).features.feature
    assert set(features) - set(required) == {
        'image/source_id', 'image/object/bbox/iscrowd', 'image/object/bbox/area'}
    record, without = evaluate([parse(WITH_CROWD), parse(ANNOTATION)])
    assert record['iscrowd'].tolist() == [True, False] and record['area'].tolist() == [7.5, 600]
    assert without['iscrowd'].tolist() == [False, False] and without['area'].tolist() == [0, 0]
    assert (record['source_id'], without['source_id']) == (b'4711', b'')
    assert (record['height'], record['width']) == (20, 30)


def test_select_boxes(evaluate):
    record = parse(WITH_CROWD)
    selected = evaluate(schema.select_boxes(record, ~record['iscrowd']))
    assert selected['boxes'].tolist() == [[0, 0, 1, 1]] and selected['labels'].tolist() == [1]
    assert selected['difficult'].tolist() == [True] and selected['iscrowd'].tolist() == [False]
    assert selected['area'].tolist() == [600] and selected['filename'] == b'a.jpg'


def test_image_without_boxes(evaluate):
    record = evaluate(parse(WITHOUT_BOXES))
    assert record['boxes'].shape == (0, 4)
    assert record['labels'].shape == record['difficult'].shape == (0,)


def test_empty_boxes_are_removed_and_others_are_clipped(evaluate):
    record = evaluate(parse(ANNOTATION._replace(
        boxes=[(.2, .2, .2, .6), (.5, .5, .4, .9), (-.5, .1, .5, 1.2)],
        names=['dog', 'dog', 'cat'], difficult=[False, False, True], truncated=[False] * 3)))
    np.testing.assert_allclose(record['boxes'], [[0, .1, .5, 1]])
    assert record['labels'].tolist() == [1] and record['difficult'].tolist() == [True]


def test_record_without_filename_size_and_difficult(evaluate):
    example = tf.train.Example.FromString(serialize(ANNOTATION))
    for key in ('image/filename', 'image/height', 'image/width', 'image/object/bbox/difficult',
                'image/object/bbox/truncated'):
        del example.features.feature[key]
    record = evaluate(schema.parse(tf.constant(example.SerializeToString())))
    assert (record['filename'], record['height'], record['width']) == (b'', 0, 0)
    np.testing.assert_array_equal(record['difficult'], [False, False])

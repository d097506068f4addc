"""The schema of the records. Its keys are those of public TF1 SSD converters."""
from typing import NamedTuple

import tensorflow.compat.v1 as tf
from google.protobuf.message import DecodeError

from common.errors import UserError
from datasets import records

_BBOX = 'image/object/bbox/'
_COORDINATES = ('ymin', 'xmin', 'ymax', 'xmax')
# The per-box values of a parsed record.
_PER_BOX_KEYS = ('boxes', 'labels', 'difficult', 'iscrowd', 'area')
OPTIONAL = ('difficult', 'iscrowd', 'area')   # lists that may be shorter than the labels
# Boxes may exceed their image by its size and are clipped. Beyond, they are in pixels.
_MIN_COORDINATE, _MAX_COORDINATE = -1., 2.


def serialize(annotation, labels):
    """Serialize an `Annotation` as the bytes of a tf.train.Example.

    Args:
        annotation: `annotation.Annotation`.
        labels: {class name: label}, which must contain all names of the annotation.
    """
    def int64_feature(values):
        return tf.train.Feature(
            int64_list=tf.train.Int64List(value=[int(value) for value in values]))

    def bytes_feature(values):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))

    def float_feature(values):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))

    filename = annotation.image_path.rpartition('/')[2]
    features = {
        'image/encoded': bytes_feature([annotation.encoded]),
        'image/format': bytes_feature([b'JPEG']),
        'image/height': int64_feature([annotation.height]),
        'image/width': int64_feature([annotation.width]),
        'image/channels': int64_feature([3]),
        'image/shape': int64_feature([annotation.height, annotation.width, 3]),
        'image/filename': bytes_feature([filename.encode()]),
        _BBOX + 'label': int64_feature([labels[name] for name in annotation.names]),
        _BBOX + 'label_text': bytes_feature([name.encode() for name in annotation.names]),
        _BBOX + 'difficult': int64_feature(annotation.difficult),
        _BBOX + 'truncated': int64_feature(annotation.truncated),
    }
    columns = zip(*annotation.boxes, strict=True) if annotation.boxes else [()] * 4
    for coordinate, values in zip(_COORDINATES, columns, strict=True):
        features[_BBOX + coordinate] = float_feature(values)
    if annotation.iscrowd:
        features[_BBOX + 'iscrowd'] = int64_feature(annotation.iscrowd)
    if annotation.area:
        features[_BBOX + 'area'] = float_feature(annotation.area)
    if annotation.source_id:
        features['image/source_id'] = bytes_feature([annotation.source_id.encode()])
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return example.SerializeToString(deterministic=True)   # equal annotations give equal bytes


def parse(serialized, num_classes=None, check_values=True):
    """Parse a serialized record.

    Boxes are clipped to the image. Boxes that are empty or inverted, which other converters may
    write, are removed.


    Args:
        serialized: [] string.
        num_classes: Number of classes C with the background, or None for any.
        check_values: Whether the ops fail for a record that `find_error` rejects.

    Returns:
        Dict of tensors; values that the record does not have are '', 0 or False:
          encoded, filename, source_id: [] string.
          height, width: [] int64, in pixels.
          boxes: [M, 4] float32, (ymin, xmin, ymax, xmax) in [0, 1].
          labels: [M] int32.
          difficult, iscrowd: [M] bool.
          area: [M] float32, area of the object itself in pixels.
    """
    def list_feature(dtype):
        return tf.io.FixedLenSequenceFeature([], dtype, allow_missing=True)

    features = tf.io.parse_single_example(serialized, {
        'image/encoded': tf.io.FixedLenFeature([], tf.string),
        'image/filename': tf.io.FixedLenFeature([], tf.string, ''),
        'image/source_id': tf.io.FixedLenFeature([], tf.string, ''),
        'image/height': tf.io.FixedLenFeature([], tf.int64, 0),
        'image/width': tf.io.FixedLenFeature([], tf.int64, 0),
        **{_BBOX + name: list_feature(tf.int64) for name in ('label', 'difficult', 'iscrowd')},
        **{_BBOX + name: list_feature(tf.float32) for name in (*_COORDINATES, 'area')}})
    assertions = [_assert_valid(features, num_classes)] if check_values else []
    with tf.control_dependencies(assertions):
        labels = tf.cast(features[_BBOX + 'label'], tf.int32)

    def padded(name):
        """Pad the values with zeros to the number of labels."""
        values = features[_BBOX + name]
        return tf.concat([values, tf.zeros([tf.size(labels) - tf.size(values)], values.dtype)], 0)

    boxes = tf.clip_by_value(
        tf.stack([features[_BBOX + coordinate] for coordinate in _COORDINATES], axis=-1), 0., 1.)
    record = {name: features[f'image/{name}']
              for name in ('encoded', 'filename', 'source_id', 'height', 'width')}
    record.update(boxes=boxes, labels=labels, difficult=padded('difficult') > 0,
                  iscrowd=padded('iscrowd') > 0, area=padded('area'))
    return select_boxes(record, (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))


def _assert_valid(features, num_classes):
    """Return an op that fails for parsed features that `find_error` rejects."""
    labels = features[_BBOX + 'label']
    sizes = tf.stack([tf.size(features[_BBOX + coordinate]) for coordinate in _COORDINATES])
    optional_sizes = tf.stack([tf.size(features[_BBOX + name]) for name in OPTIONAL])
    values = tf.concat([features[_BBOX + coordinate] for coordinate in _COORDINATES], 0)
    label_limit = num_classes or tf.int32.max
    is_valid = (tf.reduce_all(tf.equal(sizes, tf.size(labels)))
                & tf.reduce_all(optional_sizes <= tf.size(labels))
                & tf.reduce_all((labels > 0) & (labels < label_limit))
                & tf.reduce_all((values >= _MIN_COORDINATE) & (values <= _MAX_COORDINATE)))
    return tf.debugging.Assert(is_valid, ['invalid labels or boxes in the record of',
                                          features['image/filename']])


def select_boxes(record, mask):
    """Return a record, as returned by `parse`, with only the boxes selected by mask: [M] bool."""
    indices = tf.where(mask)[:, 0]
    return {**record, **{key: tf.gather(record[key], indices) for key in _PER_BOX_KEYS}}


def find_error(record, num_classes):
    """Return why a `RawRecord` cannot be used for training and evaluation, or None.

    Args:
        record: `RawRecord`.
        num_classes: Number of classes C with the background.
    """
    labels, coordinates = record.labels, record.coordinates
    for name, values, value_type in (('label', labels, int), *(
            (name, values, float) for name, values in zip(_COORDINATES, coordinates, strict=True))):
        if not all(isinstance(value, value_type) for value in values):
            return f'the values of {_BBOX}{name} are not of type {value_type.__name__}'
    counts = [len(values) for values in coordinates]
    if counts != [len(labels)] * len(counts):
        return (f'it has {len(labels)} labels, but {", ".join(map(str, counts))} '
                f'{", ".join(_COORDINATES)}')
    for name in OPTIONAL:
        values = getattr(record, name)
        if len(values) > len(labels):
            return f'it has {len(labels)} labels, but {len(values)} values of {name}'
    invalid_label = next((label for label in labels if not 0 < label < num_classes), None)
    if invalid_label == 0:
        return ('it has the label 0, which is the background: its labels seem to be 0-based, but '
                'the first class has the label 1')
    if invalid_label is not None:
        return f'it has the label {invalid_label}, but labels go from 1 to {num_classes - 1}'
    for box in zip(*coordinates, strict=True):
        if not all(_MIN_COORDINATE <= value <= _MAX_COORDINATE for value in box):
            return (f'it has a box {format_box(box)} that is not relative to the image: its '
                    f'coordinates must be from 0 to 1, not in pixels')
    return None


def format_box(box):
    """Return a box (ymin, xmin, ymax, xmax) as text."""
    return '(ymin {:g}, xmin {:g}, ymax {:g}, xmax {:g})'.format(*box)


class RawRecord(NamedTuple):
    """A record as its converter wrote it, not validated. Missing values are empty."""
    filename: str
    encoded: bytes
    labels: list
    difficult: list
    iscrowd: list
    area: list
    coordinates: list   # four lists: ymin, xmin, ymax, xmax


def read_raw(path, offset):
    """Read the record at a byte offset of a file as `RawRecord`.

    Raises:
        UserError: If there is no record, or it is not a tf.train.Example.
    """
    try:
        return parse_raw(records.read_record(path, offset))
    except DecodeError as error:
        raise UserError(f'{path} has no tf.train.Example at byte {offset}. Convert the data '
                        f'again') from error


def parse_raw(serialized):
    """Parse the bytes of a record as `RawRecord`, without TensorFlow ops.

    Raises:
        google.protobuf.message.DecodeError: If the bytes are not a tf.train.Example.
    """
    features = tf.train.Example.FromString(serialized).features.feature

    def values(key):
        list_type = features[key].WhichOneof('kind') if key in features else None
        return list(getattr(features[key], list_type).value) if list_type else []

    def first_bytes(key):
        return b''.join(value for value in values(key)[:1] if isinstance(value, bytes))
    return RawRecord(
        first_bytes('image/filename').decode(errors='replace'), first_bytes('image/encoded'),
        values(_BBOX + 'label'), *(values(_BBOX + name) for name in OPTIONAL),
        [values(_BBOX + coordinate) for coordinate in _COORDINATES])

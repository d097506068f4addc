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


def parse(serialized):
    """Parse a serialized record.

    Boxes are clipped to the image. Boxes that are empty or inverted, which other converters may
    write, are removed.

    Args:
        serialized: [] string.

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


def select_boxes(record, mask):
    """Return a record, as returned by `parse`, with only the boxes selected by mask: [M] bool."""
    indices = tf.where(mask)[:, 0]
    return {**record, **{key: tf.gather(record[key], indices) for key in _PER_BOX_KEYS}}


class RawRecord(NamedTuple):
    """A record as its converter wrote it, not validated. Missing values are empty."""
    filename: str
    encoded: bytes
    labels: list
    difficult: list
    iscrowd: list
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
        values(_BBOX + 'label'), values(_BBOX + 'difficult'), values(_BBOX + 'iscrowd'),
        [values(_BBOX + coordinate) for coordinate in _COORDINATES])

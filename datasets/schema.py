"""The one schema of records, the keys of public TF1 SSD converters."""
from typing import NamedTuple

import tensorflow.compat.v1 as tf

_BBOX = 'image/object/bbox/'
_SIDES = ('ymin', 'xmin', 'ymax', 'xmax')
_OF_BOXES = ('boxes', 'labels', 'difficult', 'iscrowd', 'area')   # what `parse` returns for each box


def serialize(annotation, labels):
    """A `datasets.annotation.Annotation` as the bytes of a tf.train.Example; labels: class name -> int."""
    def ints(values):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[int(value) for value in values]))

    def strings(values):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))

    def floats(values):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))

    feature = {
        'image/encoded': strings([annotation.encoded]),
        'image/format': strings([b'JPEG']),
        'image/height': ints([annotation.height]),
        'image/width': ints([annotation.width]),
        'image/channels': ints([3]),
        'image/shape': ints([annotation.height, annotation.width, 3]),
        'image/filename': strings([annotation.image_path.rpartition('/')[2].encode()]),
        _BBOX + 'label': ints([labels[name] for name in annotation.names]),
        _BBOX + 'label_text': strings([name.encode() for name in annotation.names]),
        _BBOX + 'difficult': ints(annotation.difficult),
        _BBOX + 'truncated': ints(annotation.truncated),
    }
    for side, values in zip(_SIDES, zip(*annotation.boxes, strict=True) if annotation.boxes else [()] * 4,
                            strict=True):
        feature[_BBOX + side] = floats(values)
    if annotation.iscrowd:
        feature[_BBOX + 'iscrowd'] = ints(annotation.iscrowd)
    if annotation.area:
        feature[_BBOX + 'area'] = floats(annotation.area)
    if annotation.source_id:
        feature['image/source_id'] = strings([annotation.source_id.encode()])
    # Deterministic: the same annotations give the same bytes.
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString(deterministic=True)


def parse(serialized):
    """A serialized record [] -> dict of tensors.

    'encoded' [] string; 'filename', 'source_id' [] string, '' where the record does not say; 'height', 'width' []
    int64 in pixels, likewise 0; 'boxes' [M, 4] float32; 'labels' [M] int32; and where the record does not say, False or
    0 throughout: 'difficult', 'iscrowd' [M] bool, 'area' [M] float32 in pixels. Boxes are cut to the picture; empty and
    inverted ones, which converters less strict than ours let through, are left out.
    """
    def several(dtype):
        return tf.io.FixedLenSequenceFeature([], dtype, allow_missing=True)

    parsed = tf.io.parse_single_example(serialized, {
        'image/encoded': tf.io.FixedLenFeature([], tf.string),
        'image/filename': tf.io.FixedLenFeature([], tf.string, ''),
        'image/source_id': tf.io.FixedLenFeature([], tf.string, ''),
        'image/height': tf.io.FixedLenFeature([], tf.int64, 0),
        'image/width': tf.io.FixedLenFeature([], tf.int64, 0),
        **{_BBOX + name: several(tf.int64) for name in ('label', 'difficult', 'iscrowd')},
        **{_BBOX + name: several(tf.float32) for name in (*_SIDES, 'area')}})
    labels = tf.cast(parsed[_BBOX + 'label'], tf.int32)

    def filled(name):
        values = parsed[_BBOX + name]
        return tf.concat([values, tf.zeros([tf.size(labels) - tf.size(values)], values.dtype)], 0)

    boxes = tf.clip_by_value(tf.stack([parsed[_BBOX + side] for side in _SIDES], axis=-1), 0., 1.)
    usable = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    return with_boxes(usable, {
        **{name: parsed[f'image/{name}'] for name in ('encoded', 'filename', 'source_id', 'height', 'width')},
        'boxes': boxes, 'labels': labels, 'difficult': filled('difficult') > 0, 'iscrowd': filled('iscrowd') > 0,
        'area': filled('area')})


def with_boxes(chosen, record):
    """A record (as of `parse`) with those of its boxes that are chosen: [M] bool."""
    places = tf.where(chosen)[:, 0]
    return {**record, **{name: tf.gather(record[name], places) for name in _OF_BOXES}}


class RawRecord(NamedTuple):
    """A record as its converter wrote it, nothing checked nor changed: lists of values, empty where it lacks them."""
    filename: str
    encoded: bytes
    labels: list
    difficult: list
    iscrowd: list
    sides: list      # four lists: ymin, xmin, ymax, xmax


def parse_raw(serialized):
    """The `RawRecord` record of serialized bytes; DecodeError (of protobuf) where they are no tf.train.Example."""
    features = tf.train.Example.FromString(serialized).features.feature

    def values(key):
        kind = features[key].WhichOneof('kind') if key in features else None
        return list(getattr(features[key], kind).value) if kind else []

    def text(key):
        return b''.join(value for value in values(key)[:1] if isinstance(value, bytes))
    return RawRecord(text('image/filename').decode(errors='replace'), text('image/encoded'), values(_BBOX + 'label'),
               values(_BBOX + 'difficult'), values(_BBOX + 'iscrowd'), [values(_BBOX + side) for side in _SIDES])

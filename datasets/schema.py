"""The one schema of records, the keys of public TF1 SSD converters."""
from typing import NamedTuple

import tensorflow.compat.v1 as tf

_BBOX = 'image/object/bbox/'
_SIDES = ('ymin', 'xmin', 'ymax', 'xmax')


def serialize(annotation, labels):
    """A `datasets.annotation.Annotation` as the bytes of a tf.train.Example; labels: class name -> int."""
    def ints(values):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[int(value) for value in values]))

    def strings(values):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))

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
        feature[_BBOX + side] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
    # Deterministic: the same annotations give the same bytes.
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString(deterministic=True)


def parse(serialized):
    """A serialized record [] -> dict of tensors.

    'encoded' [] string; 'filename' [] string, empty in old records; 'boxes' [M, 4] float32; 'labels' [M]
    int32; 'difficult' [M] bool, False throughout where the record does not say. Boxes are cut to the picture;
    empty and inverted ones, which converters less strict than ours let through, are left out.
    """
    def several(dtype):
        return tf.io.FixedLenSequenceFeature([], dtype, allow_missing=True)

    parsed = tf.io.parse_single_example(serialized, {
        'image/encoded': tf.io.FixedLenFeature([], tf.string),
        'image/filename': tf.io.FixedLenFeature([], tf.string, ''),
        _BBOX + 'label': several(tf.int64),
        _BBOX + 'difficult': several(tf.int64),
        **{_BBOX + side: several(tf.float32) for side in _SIDES}})
    labels = tf.cast(parsed[_BBOX + 'label'], tf.int32)
    difficult = parsed[_BBOX + 'difficult'] > 0
    unsaid = tf.zeros([tf.size(labels) - tf.size(difficult)], tf.bool)
    boxes = tf.clip_by_value(tf.stack([parsed[_BBOX + side] for side in _SIDES], axis=-1), 0., 1.)
    usable = tf.where((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))[:, 0]
    truths = {'boxes': boxes, 'labels': labels, 'difficult': tf.concat([difficult, unsaid], 0)}
    return {'encoded': parsed['image/encoded'], 'filename': parsed['image/filename'],
            **{name: tf.gather(values, usable) for name, values in truths.items()}}


class Raw(NamedTuple):
    """A record as its converter wrote it, nothing checked nor changed: lists of values, empty where it lacks them."""
    filename: str
    encoded: bytes
    labels: list
    difficult: list
    sides: list      # four lists: ymin, xmin, ymax, xmax


def read_raw(serialized):
    """The `Raw` record of serialized bytes; DecodeError (of protobuf) where they are no tf.train.Example."""
    features = tf.train.Example.FromString(serialized).features.feature

    def values(key):
        kind = features[key].WhichOneof('kind') if key in features else None
        return list(getattr(features[key], kind).value) if kind else []

    def text(key):
        return b''.join(value for value in values(key)[:1] if isinstance(value, bytes))
    return Raw(text('image/filename').decode(errors='replace'), text('image/encoded'), values(_BBOX + 'label'),
               values(_BBOX + 'difficult'), [values(_BBOX + side) for side in _SIDES])

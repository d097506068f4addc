"""Records that cannot be read, parsed or decoded: found, named, and left out where that is wanted."""
import contextlib
import os
from typing import NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf
from google.protobuf.message import DecodeError

from common.errors import UserError, op_error_message
from common.log import log
from datasets import input_pipeline, records, schema

# Errors that a broken input raises in a step. TensorFlow quotes a record that it cannot parse, and Python may then fail
# to decode that very message.
INPUT_ERRORS = (tf.errors.InvalidArgumentError, tf.errors.DataLossError, tf.errors.NotFoundError, UnicodeDecodeError)
_NAMED = 10   # at most so many are named in one message


class BrokenRecord(NamedTuple):
    """One record that no training can use."""
    path: str      # of its file
    number: int    # its place in the file, from 0
    picture: str   # the file name that it holds, '' where it cannot be read
    reason: str

    def __str__(self):
        name = f" ('{self.picture}')" if self.picture else ''
        return f'record {self.number} of {os.path.basename(self.path)}{name}: {self.reason}'


def find_broken_records(dataset, num_threads=0):
    """The `BrokenRecord`s of a `Dataset`, in order. Every record is read and decoded once."""
    files = np.repeat(np.arange(len(dataset.files)), [len(offsets) for offsets in dataset.offsets])
    offsets = np.concatenate(dataset.offsets)

    def check(position):
        serialized = input_pipeline.read_record(
            tf.constant(dataset.files)[tf.constant(files)[position]], tf.constant(offsets)[position])
        pixels = tf.io.decode_image(schema.parse(serialized)['encoded'], channels=3, expand_animations=False)
        with tf.control_dependencies([tf.debugging.assert_positive(tf.size(pixels))]):
            return tf.identity(position)

    with tf.Graph().as_default(), tf.Session(config=tf.ConfigProto(device_count={'GPU': 0})) as session:
        whole = tf.data.Dataset.range(len(offsets)).map(check, num_threads or input_pipeline.num_cores()).ignore_errors()
        following = tf.data.make_one_shot_iterator(whole.batch(256)).get_next()
        broken = np.ones(len(offsets), bool)
        with contextlib.suppress(tf.errors.OutOfRangeError):
            while True:
                broken[session.run(following)] = False
        position = tf.placeholder(tf.int64, [])
        checked = check(position)
        starts = np.cumsum([0] + [len(part) for part in dataset.offsets])
        found = []
        for p in np.flatnonzero(broken):
            path = dataset.files[files[p]]
            found.append(BrokenRecord(path, int(p - starts[files[p]]), _picture(path, offsets[p]),
                                      _reason(session, checked, {position: p})))
        return found


def _reason(session, checked, feed):
    try:
        session.run(checked, feed)
    except tf.errors.OpError as error:
        if isinstance(error, tf.errors.DataLossError):
            return 'its bytes do not fit their checksum'
        return op_error_message(error).rstrip('.')
    except UnicodeDecodeError:   # of TensorFlow's message, which quotes the record
        return 'it is no tf.train.Example'
    return 'it could not be read a moment ago'


def _picture(path, offset):
    """The file name that a record holds; '' where the record is broken too much to tell."""
    try:
        return schema.parse_raw(records.read_record(path, offset)).filename
    except (OSError, DecodeError):
        return ''


def _list(broken):
    more = f' and {len(broken) - _NAMED} more' if len(broken) > _NAMED else ''
    return '; '.join(map(str, broken[:_NAMED])) + more


def remove_broken_records(dataset, most):
    """The `Dataset` without its broken records, each of which is named; UserError if there are more than `most`."""
    log.info('checking the %d records of %s %s', dataset.num_examples, dataset.name, dataset.split)
    broken = find_broken_records(dataset)
    if len(broken) > most:
        raise UserError(f'{len(broken)} records are broken, more than --max_broken_records={most}: {_list(broken)}')
    log.info('%d of %d records are broken', len(broken), dataset.num_examples)
    for record in broken:
        log.info('left out: %s', record)
    if len(broken) == dataset.num_examples:
        raise UserError(f'no record of {dataset.name} {dataset.split} can be read: {_list(broken)}')
    numbers = {path: [record.number for record in broken if record.path == path] for path in dataset.files}
    return dataset._replace(offsets=[np.delete(offsets, numbers[path])
                                     for path, offsets in zip(dataset.files, dataset.offsets, strict=True)])


@contextlib.contextmanager
def report_broken_records(dataset, advice='convert the data anew'):
    """In its block, an error of the graph that comes from broken records becomes a UserError that names them."""
    try:
        yield
    except INPUT_ERRORS as error:
        log.info('stopped by an error; looking for broken records')
        broken = find_broken_records(dataset)
        if not broken:
            raise
        raise UserError(f'the data set holds broken records: {_list(broken)}; '
                        f'{advice.format(count=len(broken))}') from error

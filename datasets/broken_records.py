"""Records that cannot be read, parsed, decoded or used: detection, error messages, removal."""
import contextlib
import os
from typing import NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf

from common.errors import UserError, op_error_message
from common.log import log
from datasets import input_pipeline, records, schema

# Errors that a broken record may raise in a session. TensorFlow quotes a record that it cannot
# parse, and Python may then fail to decode the message.
_INPUT_ERRORS = (tf.errors.InvalidArgumentError, tf.errors.DataLossError, tf.errors.NotFoundError,
                 UnicodeDecodeError)
_MAX_LISTED = 10   # records in one message
_WRONG_CHECKSUM = 'its content does not match its checksum'


class BrokenRecord(NamedTuple):
    """A record that cannot be used for training."""
    path: str       # of its file
    index: int      # position in the file, from 0
    filename: str   # of its image; '' if it cannot be read
    reason: str

    def __str__(self):
        filename = f" ('{self.filename}')" if self.filename else ''
        return f'record {self.index} of {os.path.basename(self.path)}{filename}: {self.reason}'


def is_input_error(error):
    """Return whether an error of a training or evaluation step may come from its input."""
    op = getattr(error, 'op', None)
    return isinstance(error, _INPUT_ERRORS) or op is not None and op.type == 'IteratorGetNext'


def find_broken_records(dataset, check_values=True, num_threads=0):
    """Read and decode every record of a `Dataset` once.

    Args:
        dataset: `dataset_factory.Dataset`.
        check_values: Whether records with invalid labels or boxes are broken too, as for training.
        num_threads: Records read in parallel; 0: one per core.

    Returns:
        List of `BrokenRecord`, in the order of the records.
    """
    num_records = [len(offsets) for offsets in dataset.offsets]
    file_indices = np.repeat(np.arange(len(dataset.files)), num_records)
    first_of_file = np.cumsum([0, *num_records])
    offsets = np.concatenate(dataset.offsets)

    def check(position):
        """Return `position`, [] int64, if its record decodes; fail otherwise."""
        path = tf.constant(dataset.files)[tf.constant(file_indices)[position]]
        serialized = input_pipeline.read_record(path, tf.constant(offsets)[position])
        record = schema.parse(serialized, dataset.num_classes, check_values)
        values = list(record.values()) if check_values else []
        image = tf.io.decode_image(record['encoded'], channels=3, expand_animations=False)
        with tf.control_dependencies([tf.debugging.assert_positive(tf.size(image)), *values]):
            return tf.identity(position)

    cpu_only = tf.ConfigProto(device_count={'GPU': 0})
    with tf.Graph().as_default(), tf.Session(config=cpu_only) as session:
        intact_positions = tf.data.Dataset.range(len(offsets)).map(
            check, num_threads or input_pipeline.num_cores()).ignore_errors()
        next_batch = tf.data.make_one_shot_iterator(intact_positions.batch(256)).get_next()
        is_broken = np.ones(len(offsets), bool)
        with contextlib.suppress(tf.errors.OutOfRangeError):
            while True:
                is_broken[session.run(next_batch)] = False
        position = tf.placeholder(tf.int64, [])
        checked = check(position)
        broken = []
        for p in np.flatnonzero(is_broken):
            path = dataset.files[file_indices[p]]
            record = _read_raw(path, offsets[p])
            reason = _failure_reason(session, checked, {position: p})
            if check_values and record and reason != _WRONG_CHECKSUM:
                reason = schema.find_error(record, dataset.num_classes) or reason
            broken.append(BrokenRecord(path, int(p - first_of_file[file_indices[p]]),
                                       record.filename if record else '', reason))
        return broken


def remove_broken_records(dataset, max_broken):
    """Return a `Dataset` without its broken records, which are logged.

    Raises:
        UserError: If there are more than `max_broken`, or no intact records.
    """
    split = f'{dataset.name} {dataset.split}'
    log.info('checking the %d records of %s', dataset.num_examples, split)
    broken = find_broken_records(dataset)
    if len(broken) > max_broken:
        raise UserError(f'{len(broken)} records are broken, more than '
                        f'--max_broken_records={max_broken}: {_format_list(broken)}')
    log.info('%d of %d records are broken', len(broken), dataset.num_examples)
    for record in broken:
        log.info('skipped: %s', record)
    if len(broken) == dataset.num_examples:
        raise UserError(f'all records of {split} are broken: {_format_list(broken)}')
    offsets = []
    for path, file_offsets in zip(dataset.files, dataset.offsets, strict=True):
        indices = [record.index for record in broken if record.path == path]
        offsets.append(np.delete(file_offsets, indices))
    return dataset._replace(offsets=offsets)


@contextlib.contextmanager
def report_broken_records(dataset, advice='Convert the data again'):
    """Replace an error that comes from broken or changed records by a UserError that lists them.

    Other errors raised in this context are not changed.

    Args:
        dataset: `dataset_factory.Dataset`.
        advice: End of the message; `{count}` in it stands for the number of broken records.
    """
    try:
        yield
    except (tf.errors.OpError, UnicodeDecodeError) as error:
        if not is_input_error(error):
            raise
        log.info('stopped by an error; checking for broken records')
        changed = [path for path, offsets in zip(dataset.files, dataset.offsets, strict=True)
                   if _is_changed(path, offsets)]
        if changed:
            raise UserError(f'records were changed or removed while they were read: '
                            f'{", ".join(changed[:_MAX_LISTED])}. Run the same command again to '
                            f'use the new records') from error
        broken = find_broken_records(dataset)
        if not broken:
            raise
        raise UserError(f'the dataset has broken records: {_format_list(broken)}. '
                        f'{advice.format(count=len(broken))}') from error


def _is_changed(path, offsets):
    """Return whether a file does not have records at these offsets any more."""
    try:
        return not np.isin(offsets, records.index_records(path)[0]).all()
    except UserError:
        return True


def _failure_reason(session, checked, feed_dict):
    """Run the check of one broken record and return the reason of its failure."""
    try:
        session.run(checked, feed_dict)
    except tf.errors.DataLossError:
        return _WRONG_CHECKSUM
    except tf.errors.OpError as error:
        return op_error_message(error).rstrip('.')
    except UnicodeDecodeError:   # of TensorFlow's message, which quotes the record
        return 'it is not a tf.train.Example'
    return 'it could not be read at the first attempt'


def _read_raw(path, offset):
    """Return a record as `schema.RawRecord`, or None if it cannot be parsed."""
    try:
        return schema.read_raw(path, offset)
    except (OSError, UserError):
        return None


def _format_list(broken):
    rest = f' and {len(broken) - _MAX_LISTED} more' if len(broken) > _MAX_LISTED else ''
    return '; '.join(map(str, broken[:_MAX_LISTED])) + rest

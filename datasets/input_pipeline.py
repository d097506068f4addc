"""From records to batches.

The k-th training example is a pure function of (seed, k): every epoch is a permutation of all records that
depends on (seed, epoch), each record is found by its byte offset, and its augmentation draws from (seed, k).
So a run can start at any k, and meets there what an uninterrupted run would have met.
"""
import os

import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.python.data.ops import (
    dataset_ops,  # holds the only way from a raw dataset op to a Dataset
)

from datasets import schema

_READ_BUFFER = 128 * 1024   # holds most records, so that one system call reads one
# What makes an example is written in TensorFlow's ops: to look for Python's `if` and `while` in it takes seconds.
_AS_IT_IS = tf.autograph.experimental.do_not_convert


def read_record(path, offset):
    """The record at a byte offset of a file: [] string, [] int64 -> [] string."""
    variant = tf.raw_ops.TFRecordDatasetV2(
        filenames=[path], compression_type='', buffer_size=_READ_BUFFER, byte_offsets=[offset])
    return dataset_ops._VariantDataset(variant, tf.TensorSpec([], tf.string)).take(1).get_single_element()


def _parse(serialized, dataset):
    """`schema.parse`, with labels that the data set does not have refused: a net would learn nonsense of them."""
    record = schema.parse(serialized)
    known = tf.debugging.assert_less(
        record['labels'], dataset.num_classes, summarize=20,
        data=[f'a record of {dataset.name} {dataset.split} holds a label that is not below {dataset.num_classes}, the '
              f'number of classes with the background; correct --num_classes or the labels; picture and labels:',
              record['filename'], record['labels']])
    with tf.control_dependencies([known]):
        return {**record, 'labels': tf.identity(record['labels'])}


def shuffled_position(k, num_examples, seed):
    """Which record is the k-th training example: k [] int64 -> [] int64 in [0, num_examples)."""
    epoch, place = k // num_examples, k % num_examples
    return tf.random.experimental.index_shuffle(
        place, tf.stack([tf.cast(seed, tf.int64), epoch]), num_examples - 1)


def cores():
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()   # Linux; elsewhere


def ahead(batches):
    """A dataset of batches, made ahead by threads of their own.

    Examples are made side by side, so ops within one need no threads, only the cost of handing work around.
    """
    options = tf.data.Options()
    options.threading.max_intra_op_parallelism = 1
    options.threading.private_threadpool_size = cores()
    return batches.prefetch(2).with_options(options)


def share_of(n, batch_size, rank, num_processes):
    """Which training example is the n-th of a process: of each global batch the next `batch_size` fall to each.

    n: [] int64, counted from the start of the training. -> [] int64.
    """
    return n // batch_size * batch_size * num_processes + rank * batch_size + n % batch_size


def training_batches(dataset, to_example, batch_size, seed, global_step, num_readers=4, num_threads=0, rank=0,
                     num_processes=1):
    """The next batch of this process, a dict of tensors, without end.

    to_example: function (record as of `schema.parse` without crowds, seed [2] int64) -> dict of tensors of one
    example; dimensions without a size are padded with zeros. batch_size: of this process; the global batch is made of
    those of all. global_step: variable; the session's first batch is that of its value (the iterator is initialised
    with the tables, after a checkpoint is restored).
    Order and content depend on (seed, k) alone, not on num_readers (records read at a time) nor num_threads
    (examples made at a time; 0: one for every core).
    """
    files = tf.constant(dataset.files)
    file_of = tf.constant(np.repeat(np.arange(len(dataset.files)), [len(o) for o in dataset.offsets]))
    offsets = tf.constant(np.concatenate(dataset.offsets))

    @_AS_IT_IS
    def read(n):
        k = share_of(n, batch_size, rank, num_processes)
        position = shuffled_position(k, dataset.num_examples, seed)
        return k, read_record(files[file_of[position]], offsets[position])

    @_AS_IT_IS
    def make(k, serialized):
        record = _parse(serialized, dataset)
        # A crowd is no object to learn, and no place to crop for either; evaluation forgives what is found in it.
        record = schema.with_boxes(~record['iscrowd'], record)
        return to_example(record, tf.stack([tf.cast(seed, tf.int64), k]))

    examples = (tf.data.Dataset.range(tf.cast(global_step, tf.int64) * batch_size, np.iinfo(np.int64).max)
                .map(read, num_parallel_calls=num_readers, deterministic=True)
                .map(make, num_parallel_calls=num_threads or cores(), deterministic=True))
    batches = examples.padded_batch(batch_size, tf.data.get_output_shapes(examples), drop_remainder=True)
    return _next(batches)


def evaluation_batches(dataset, to_example, batch_size, num_threads=0):
    """The next batch, a dict of tensors: every record once, in order; the last batch may be smaller.

    It begins, and begins again, where the session's tables are initialised. to_example: function (record as of
    `schema.parse`) -> dict of tensors; padded as in `training_batches`.
    """
    examples = tf.data.TFRecordDataset(dataset.files).map(
        _AS_IT_IS(lambda serialized: to_example(_parse(serialized, dataset))),
        num_parallel_calls=num_threads or cores())
    batches = examples.padded_batch(batch_size, tf.data.get_output_shapes(examples))
    return _next(batches)


def _next(batches):
    """The next batch of a dataset, whose iterator begins with the session's tables."""
    iterator = tf.data.make_initializable_iterator(ahead(batches))
    tf.add_to_collection(tf.GraphKeys.TABLE_INITIALIZERS, iterator.initializer)
    return iterator.get_next()

"""Input pipeline: from records to batches of examples.

The k-th training example is a pure function of (seed, k): each epoch is a permutation of all
records that depends on (seed, epoch), each record is read by its byte offset, and its augmentation
is drawn from (seed, k). A run can therefore start at any k and gets the same examples as a run
that was never interrupted.
"""
import os
from typing import NamedTuple

import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.python.data.ops import (
    dataset_ops,  # the only way to make a Dataset from the output of a raw dataset op
)

from datasets import schema

_READ_BUFFER_BYTES = 128 * 1024   # larger than most records, so that one system call reads one
# The map functions use TensorFlow ops only, and AutoGraph would take seconds to convert them.
_without_autograph = tf.autograph.experimental.do_not_convert


class ExampleOrder(NamedTuple):
    """The order of the training examples and the share of them that one process reads.

    Attributes:
        seed: Seed of the epochs' permutations and of the augmentation.
        batch_size: Examples per step of this process. The global batch is the batches of all
            processes, in the order of their indices.
        process: Index of this process, from 0.
        num_processes: Number of processes that train together.
    """
    seed: int
    batch_size: int
    process: int = 0
    num_processes: int = 1

    def example_index(self, n):
        """Return the global index k of the n-th example that this process reads.

        Each global batch consists of `num_processes` consecutive blocks of `batch_size` examples,
        one block per process.

        Args:
            n: [] int64 (or int), counted from the start of the training.
        """
        step, position = n // self.batch_size, n % self.batch_size
        return (step * self.num_processes + self.process) * self.batch_size + position

    def record_index(self, k, num_examples):
        """Return the index of the record of training example k: [] int64 in [0, num_examples)."""
        epoch, position = k // num_examples, k % num_examples
        return tf.random.experimental.index_shuffle(
            position, tf.stack([tf.cast(self.seed, tf.int64), epoch]), num_examples - 1)


def num_cores():
    """Return the number of processor cores that this process may use."""
    if hasattr(os, 'sched_getaffinity'):   # Linux only
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def read_record(path, offset):
    """Read the record at a byte offset of a file.

    Args:
        path: [] string.
        offset: [] int64.

    Returns:
        The serialized record, [] string.
    """
    variant = tf.raw_ops.TFRecordDatasetV2(
        filenames=[path], compression_type='', buffer_size=_READ_BUFFER_BYTES,
        byte_offsets=[offset])
    dataset = dataset_ops._VariantDataset(variant, tf.TensorSpec([], tf.string))
    return dataset.take(1).get_single_element()


def prefetch(batches):
    """Prefetch two batches of a `tf.data.Dataset`, made by a private pool of one thread per core.

    Examples are made in parallel. Threads within one op would only add overhead, so each op gets
    one.
    """
    options = tf.data.Options()
    options.threading.max_intra_op_parallelism = 1
    options.threading.private_threadpool_size = num_cores()
    return batches.prefetch(2).with_options(options)


def training_batches(dataset, to_example, order, global_step, num_readers=4, num_threads=0):
    """Return the next training batch of this process; the batches never end.

    Crowd boxes are removed from the records: they are neither objects to learn nor regions to crop.
    The content of the batches does not depend on `num_readers` and `num_threads`.

    Args:
        dataset: `dataset_factory.Dataset`.
        to_example: Function (record, seed) -> example. The record is a dict as returned by
            `schema.parse`, the seed is [2] int64, the example is a dict of tensors.
        order: `ExampleOrder`.
        global_step: Variable. Its value when the session's tables are initialized (after a
            checkpoint is restored) is the step of the first batch.
        num_readers: Records read in parallel.
        num_threads: Examples made in parallel; 0: one per core.

    Returns:
        Dict of tensors, as from `to_example` with a leading dimension `order.batch_size`.
        Dimensions of unknown size are padded with zeros to the largest size in the batch.
    """
    files = tf.constant(dataset.files)
    file_of_record = tf.constant(
        np.repeat(np.arange(len(dataset.files)), [len(offsets) for offsets in dataset.offsets]))
    offsets = tf.constant(np.concatenate(dataset.offsets))

    @_without_autograph
    def read(n):
        k = order.example_index(n)
        index = order.record_index(k, dataset.num_examples)
        return k, read_record(files[file_of_record[index]], offsets[index])

    @_without_autograph
    def make_example(k, serialized):
        record = schema.parse(serialized, dataset.num_classes)
        record = schema.select_boxes(record, ~record['iscrowd'])
        return to_example(record, tf.stack([tf.cast(order.seed, tf.int64), k]))

    first = tf.cast(global_step, tf.int64) * order.batch_size
    examples = (tf.data.Dataset.range(first, np.iinfo(np.int64).max)
                .map(read, num_parallel_calls=num_readers, deterministic=True)
                .map(make_example, num_parallel_calls=num_threads or num_cores(),
                     deterministic=True))
    return _next_batch(examples.padded_batch(
        order.batch_size, tf.data.get_output_shapes(examples), drop_remainder=True))


def evaluation_batches(dataset, to_example, batch_size, num_threads=0):
    """Return the next evaluation batch: every record once, in order; the last batch may be smaller.

    Each run of the session's table initializer starts again at the first record.

    Args:
        dataset: `dataset_factory.Dataset`.
        to_example: Function from a record, a dict as returned by `schema.parse`, to a dict of
            tensors.
        batch_size: Number of examples.
        num_threads: Examples made in parallel; 0: one per core.

    Returns:
        Dict of tensors, padded as by `training_batches`.
    """
    @_without_autograph
    def make_example(serialized):
        return to_example(schema.parse(serialized, dataset.num_classes))

    examples = tf.data.TFRecordDataset(dataset.files).map(
        make_example, num_parallel_calls=num_threads or num_cores())
    return _next_batch(examples.padded_batch(batch_size, tf.data.get_output_shapes(examples)))


def _next_batch(batches):
    """Return the next element; the iterator is initialized with the session's tables."""
    iterator = tf.data.make_initializable_iterator(prefetch(batches))
    tf.add_to_collection(tf.GraphKeys.TABLE_INITIALIZERS, iterator.initializer)
    return iterator.get_next()

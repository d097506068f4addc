import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from datasets import dataset_factory, dataset_info, input_pipeline, records, schema
from datasets.annotation import Annotation
from datasets.input_pipeline import ExampleOrder


def make_dataset(folder, num_records=7, num_shards=3):
    """Write records named '0', '1', ...; record i has i boxes."""
    with records.ShardWriter(str(folder), 'pets', 'train', num_shards) as writer:
        for i in range(num_records):
            annotation = Annotation(str(i), b'', 1, 1, [(0, 0, 1, 1)] * i, ['cat'] * i,
                                    [False] * i, [False] * i)
            writer.write(i * num_shards // num_records, schema.serialize(annotation, {'cat': 1}))
    dataset_info.write_split(folder, 'pets', ['cat'], 'train', writer.counts)
    return dataset_factory.get_dataset('', 'train', str(folder))


def to_example(record, seed):
    return {'filename': record['filename'], 'boxes': record['boxes'], 'seed': seed}


def read_batches(dataset, num_batches, order, first_step=0, **options):
    """Return the file names and seeds of the batches of a session that starts at `first_step`."""
    with tf.Graph().as_default(), tf.Session() as session:
        step = tf.train.create_global_step()
        batch = input_pipeline.training_batches(dataset, to_example, order, step, **options)
        session.run(tf.global_variables_initializer())
        session.run(tf.assign(step, first_step))
        session.run(tf.tables_initializer())
        batches = [session.run(batch) for _ in range(num_batches)]
    names = [name.decode() for batch in batches for name in batch['filename']]
    return names, np.concatenate([batch['seed'] for batch in batches])


def test_each_epoch_is_another_permutation_of_all_records(tmp_path):
    names, seeds = read_batches(make_dataset(tmp_path), 7, ExampleOrder(0, 3))   # three epochs of 7
    epochs = [names[i:i + 7] for i in (0, 7, 14)]
    assert [sorted(epoch) for epoch in epochs] == [list('0123456')] * 3
    assert len({tuple(epoch) for epoch in epochs}) == 3
    np.testing.assert_array_equal(seeds, [[0, k] for k in range(21)])


def test_resuming_at_a_step_gives_the_examples_of_an_uninterrupted_run(tmp_path):
    dataset, order = make_dataset(tmp_path), ExampleOrder(0, 3)
    resumed, _ = read_batches(dataset, 6, order, first_step=4)
    assert read_batches(dataset, 10, order)[0][4 * 3:] == resumed


def test_order_depends_on_the_seed_only(tmp_path):
    dataset = make_dataset(tmp_path)
    names, _ = read_batches(dataset, 5, ExampleOrder(0, 4))
    one_thread, _ = read_batches(dataset, 5, ExampleOrder(0, 4), num_readers=1, num_threads=1)
    smaller_batches, _ = read_batches(dataset, 10, ExampleOrder(0, 2))
    other_seed, _ = read_batches(dataset, 5, ExampleOrder(1, 4))
    assert names == one_thread == smaller_batches
    assert names != other_seed


def test_batches_larger_than_the_dataset(tmp_path):
    order = ExampleOrder(0, 4)
    assert sorted(read_batches(make_dataset(tmp_path, 1, 1), 1, order)[0]) == ['0'] * 4
    assert sorted(read_batches(make_dataset(tmp_path / 'b', 2, 1), 1, order)[0]) == list('0011')


def test_record_order_is_uniform():
    with tf.Session() as session:
        k = tf.placeholder(tf.int64, [])
        index = ExampleOrder(3, 1).record_index(k, 5)
        epochs = np.array([session.run(index, {k: i}) for i in range(5 * 400)]).reshape(400, 5)
    assert (np.sort(epochs, 1) == np.arange(5)).all()
    # Each record is expected to come first in 80 of the 400 epochs.
    counts = [(epochs[:, 0] == record).sum() for record in range(5)]
    assert min(counts) > 50 and max(counts) < 115


def test_batches_are_padded_with_zeros(tmp_path):
    dataset = make_dataset(tmp_path, 3, 1)
    step = tf.train.create_global_step()
    next_batch = input_pipeline.training_batches(dataset, to_example, ExampleOrder(0, 3), step)
    with tf.Session() as session:
        session.run([tf.global_variables_initializer()])
        session.run(tf.tables_initializer())
        batch = session.run(next_batch)
    assert batch['boxes'].shape == (3, 2, 4)
    for name, boxes in zip(batch['filename'], batch['boxes'], strict=True):
        assert (boxes[:, 2] == 1).sum() == int(name)


def test_only_evaluation_batches_contain_crowd_boxes(tmp_path):
    annotation = Annotation('a', b'', 9, 8, [(0, 0, 1, 1), (0, 0, .5, 1)], ['cat'] * 2,
                            [False] * 2, [False] * 2, [True, False], [7., 8.], '4711')
    with records.ShardWriter(str(tmp_path), 'pets', 'train', 1) as writer:
        writer.write(0, schema.serialize(annotation, {'cat': 1}))
    dataset_info.write_split(tmp_path, 'pets', ['cat'], 'train', writer.counts)
    dataset = dataset_factory.get_dataset('', 'train', str(tmp_path))
    step = tf.train.create_global_step()
    training = input_pipeline.training_batches(
        dataset, lambda record, _: record, ExampleOrder(0, 1), step)
    evaluation = input_pipeline.evaluation_batches(dataset, lambda record: record, 1)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(tf.tables_initializer())
        train_batch, eval_batch = session.run([training, evaluation])
    assert train_batch['boxes'].tolist() == [[[0, 0, .5, 1]]]
    assert train_batch['labels'].tolist() == [[1]]
    assert eval_batch['iscrowd'].tolist() == [[True, False]]
    assert eval_batch['area'].tolist() == [[7, 8]]
    assert [eval_batch[key][0] for key in ('source_id', 'height', 'width')] == [b'4711', 9, 8]


def test_label_outside_the_classes_fails(tmp_path):
    dataset = make_dataset(tmp_path, 3, 1)._replace(class_names=[])
    with pytest.raises(tf.errors.InvalidArgumentError, match='invalid labels or boxes'):
        read_batches(dataset, 1, ExampleOrder(0, 3))
    batch = input_pipeline.evaluation_batches(dataset, lambda record: record, 3)
    with tf.Session() as session:
        session.run(tf.tables_initializer())
        with pytest.raises(tf.errors.InvalidArgumentError, match='invalid labels or boxes'):
            session.run(batch)


@pytest.mark.parametrize('batch_size, sizes', [(3, [3, 3, 1]), (7, [7]), (10, [7])])
def test_evaluation_reads_every_record_once_in_order(tmp_path, batch_size, sizes):
    batch = input_pipeline.evaluation_batches(
        make_dataset(tmp_path), lambda record: to_example(record, tf.zeros([2])), batch_size)
    initializer = tf.tables_initializer()
    with tf.Session() as session:
        for _ in range(2):      # each run of the initializer restarts the iterator
            session.run(initializer)
            batches = [session.run(batch['filename']) for _ in sizes]
            with pytest.raises(tf.errors.OutOfRangeError):
                session.run(batch)
            assert [len(names) for names in batches] == sizes
            assert [name.decode() for name in np.concatenate(batches)] == list('0123456')


@pytest.mark.parametrize('num_processes, batch_size', [(1, 6), (2, 3), (3, 2)])
def test_processes_share_each_global_batch(num_processes, batch_size):
    """With 6 examples per step, the processes together read 0..5, then 6..11, in order."""
    orders = [ExampleOrder(0, batch_size, process, num_processes)
              for process in range(num_processes)]
    for step in range(2):
        first = step * batch_size
        indices = [order.example_index(n) for order in orders
                   for n in range(first, first + batch_size)]
        assert indices == list(range(6 * step, 6 * step + 6))

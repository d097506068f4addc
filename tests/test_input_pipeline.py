import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from datasets import dataset_factory, facts, input_pipeline, records, schema
from datasets.annotation import Annotation


def make_dataset(folder, count=7, num_shards=3):
    """Records named '0', '1', ...; the i-th has i boxes."""
    with records.ShardWriter(str(folder), 'pets', 'train', num_shards) as writer:
        for i in range(count):
            annotation = Annotation(str(i), b'', 1, 1, [(0, 0, 1, 1)] * i, ['cat'] * i, [False] * i, [False] * i)
            writer.write(i * num_shards // count, schema.serialize(annotation, {'cat': 1}))
    facts.write_split(folder, 'pets', ['cat'], 'train', writer.counts)
    return dataset_factory.get_dataset('', 'train', str(folder))


def keep(record, seed):
    return {'filename': record['filename'], 'boxes': record['boxes'], 'seed': seed}


def draw(dataset, batches, batch_size, seed=0, start=0, **options):
    """Names, seeds of so many batches of a new session that starts at a global step."""
    with tf.Graph().as_default(), tf.Session() as session:
        step = tf.train.create_global_step()
        batch = input_pipeline.training_batches(dataset, keep, batch_size, seed, step, **options)
        session.run(tf.global_variables_initializer())
        session.run(tf.assign(step, start))
        session.run(tf.tables_initializer())
        found = [session.run(batch) for _ in range(batches)]
    return [name.decode() for b in found for name in b['filename']], np.concatenate([b['seed'] for b in found])


def test_every_epoch_holds_every_record_once_in_another_order(tmp_path):
    names, seeds = draw(make_dataset(tmp_path), 7, 3)                 # 21 examples: three epochs of 7
    epochs = [names[i:i + 7] for i in (0, 7, 14)]
    assert [sorted(epoch) for epoch in epochs] == [list('0123456')] * 3
    assert len({tuple(epoch) for epoch in epochs}) == 3
    np.testing.assert_array_equal(seeds, [[0, k] for k in range(21)])


def test_a_start_in_the_middle_meets_what_it_would_have_met(tmp_path):
    dataset = make_dataset(tmp_path)
    assert draw(dataset, 10, 3)[0][4 * 3:] == draw(dataset, 6, 3, start=4)[0]


def test_order_depends_on_the_seed_and_on_nothing_else(tmp_path):
    dataset = make_dataset(tmp_path)
    names = draw(dataset, 5, 4)[0]
    assert names == draw(dataset, 5, 4, num_readers=1, num_threads=1)[0] == draw(dataset, 10, 2)[0]
    assert names != draw(dataset, 5, 4, seed=1)[0]


def test_a_data_set_smaller_than_a_batch(tmp_path):
    assert sorted(draw(make_dataset(tmp_path, 1, 1), 1, 4)[0]) == ['0'] * 4
    assert sorted(draw(make_dataset(tmp_path / 'b', 2, 1), 1, 4)[0]) == ['0', '0', '1', '1']


def test_the_order_is_spread_evenly():
    with tf.Session() as session:
        k = tf.placeholder(tf.int64, [])
        place = input_pipeline.shuffled_position(k, 5, 3)
        found = np.array([session.run(place, {k: i}) for i in range(5 * 400)]).reshape(400, 5)
    assert (np.sort(found, 1) == np.arange(5)).all()
    counts = [(found[:, 0] == record).sum() for record in range(5)]   # each first in about 80 of 400 epochs
    assert min(counts) > 50 and max(counts) < 115


def test_batches_are_padded_with_zeros(tmp_path):
    dataset = make_dataset(tmp_path, 3, 1)
    step = tf.train.create_global_step()
    batch = input_pipeline.training_batches(dataset, keep, 3, 0, step)
    with tf.Session() as session:
        session.run([tf.global_variables_initializer()])
        session.run(tf.tables_initializer())
        found = session.run(batch)
    assert found['boxes'].shape == (3, 2, 4)
    for name, boxes in zip(found['filename'], found['boxes'], strict=True):
        assert (boxes[:, 2] == 1).sum() == int(name)


def test_crowds_are_seen_in_evaluation_alone(tmp_path):
    picture = Annotation('a', b'', 9, 8, [(0, 0, 1, 1), (0, 0, .5, 1)], ['cat'] * 2, [False] * 2, [False] * 2,
                         [True, False], [7., 8.], '4711')
    with records.ShardWriter(str(tmp_path), 'pets', 'train', 1) as writer:
        writer.write(0, schema.serialize(picture, {'cat': 1}))
    facts.write_split(tmp_path, 'pets', ['cat'], 'train', writer.counts)
    dataset = dataset_factory.get_dataset('', 'train', str(tmp_path))
    step = tf.train.create_global_step()
    train = input_pipeline.training_batches(dataset, lambda record, _: record, 1, 0, step)
    evaluation = input_pipeline.evaluation_batches(dataset, lambda record: record, 1)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(tf.tables_initializer())
        learnt, seen = session.run([train, evaluation])
    assert learnt['boxes'].tolist() == [[[0, 0, .5, 1]]] and learnt['labels'].tolist() == [[1]]
    assert seen['iscrowd'].tolist() == [[True, False]] and seen['area'].tolist() == [[7, 8]]
    assert (seen['source_id'][0], seen['height'][0], seen['width'][0]) == (b'4711', 9, 8)


def test_a_label_that_the_data_set_does_not_have(tmp_path):
    dataset = make_dataset(tmp_path, 3, 1)._replace(class_names=[])
    with pytest.raises(tf.errors.InvalidArgumentError, match='holds a label that is not below 1'):
        draw(dataset, 1, 3)


@pytest.mark.parametrize('batch_size, sizes', [(3, [3, 3, 1]), (7, [7]), (10, [7])])
def test_evaluation_sees_every_record_once_in_order(tmp_path, batch_size, sizes):
    batch = input_pipeline.evaluation_batches(make_dataset(tmp_path), lambda record: keep(record, tf.zeros([2])),
                                              batch_size)
    begin = tf.tables_initializer()
    with tf.Session() as session:
        for _ in range(2):      # as often as it is begun
            session.run(begin)
            found = [session.run(batch['filename']) for _ in sizes]
            with pytest.raises(tf.errors.OutOfRangeError):
                session.run(batch)
            assert [len(f) for f in found] == sizes
            assert [name.decode() for name in np.concatenate(found)] == list('0123456')


@pytest.mark.parametrize('num_processes, batch_size', [(1, 6), (2, 3), (3, 2)])
def test_processes_share_every_global_batch(num_processes, batch_size):
    """Six examples a step: whoever reads them, in order the processes have the first six, then the next."""
    shares = [[input_pipeline.share_of(n, batch_size, rank, num_processes) for n in range(2 * batch_size)]
              for rank in range(num_processes)]
    for step in range(2):
        together = [k for share in shares for k in share[step * batch_size:(step + 1) * batch_size]]
        assert together == list(range(6 * step, 6 * step + 6))

import random

import pytest
import table_writer
import tensorflow.compat.v1 as tf
from small_checkpoints import write_checkpoints
from tensorflow.core.protobuf import tensor_bundle_pb2

from common.errors import UserError
from run_folder import checkpoint_index, saved_checkpoints, tables


@pytest.fixture
def prefix(tmp_path):
    """A checkpoint of `value`: a scalar float32, the only 4 bytes of its data file."""
    return str(write_checkpoints(tmp_path, 3) / 'model.ckpt-3')


def change_entry(prefix, change, name=b'value', message=tensor_bundle_pb2.BundleEntryProto):
    """Rewrite the index of a checkpoint after a change of one entry: function (message)."""
    entries = tables.read_table(f'{prefix}.index')
    content = message.FromString(entries[name])
    change(content)
    entries[name] = content.SerializeToString()
    with open(f'{prefix}.index', 'wb') as file:
        file.write(table_writer.table_of(entries))


def test_an_intact_index_is_accepted(prefix):
    checkpoint_index.check(prefix)
    change_entry(prefix, set_field('offset', 0))
    checkpoint_index.check(prefix)


def add_dims(*sizes):
    return lambda entry: [entry.shape.dim.add(size=size) for size in sizes]


def set_field(name, value):
    return lambda entry: setattr(entry, name, value)


@pytest.mark.parametrize('change, message', [
    (add_dims(-1), 'value has an invalid shape or dtype'),
    (add_dims(1 << 62, 2), 'value has an invalid shape or dtype'),
    (add_dims(0, 1 << 62, 2), 'value has an invalid shape or dtype'),
    (add_dims(*[1] * 255), 'value has an invalid shape or dtype'),
    (lambda entry: setattr(entry.shape, 'unknown_rank', True), 'an invalid shape or dtype'),
    (set_field('dtype', 0), 'value has an invalid shape or dtype'),
    (set_field('dtype', 101), 'value has an invalid shape or dtype'),   # a reference to float32
    (add_dims(10 ** 12), r'value of shape \[1000000000000\] has 4 bytes'),
    (set_field('dtype', tf.float64.as_datatype_enum), r'value of shape \[\] has 4 bytes'),
    (set_field('size', 3), r'value of shape \[\] has 3 bytes'),
    (set_field('size', 1 << 62), r'value of shape \[\] has 4611686018427387904 bytes'),
    (set_field('offset', 1), 'value lies outside of its data file'),
    (set_field('offset', -1), 'value lies outside of its data file'),
    (set_field('offset', (1 << 63) - 1), 'value lies outside of its data file'),
    (set_field('shard_id', 1), 'has 4 bytes of values, but the data files have 0'),
    (lambda entry: entry.slices.add(), 'value is partitioned, which is not supported')])
def test_entries_that_tensorflow_does_not_survive_are_rejected(prefix, change, message):
    change_entry(prefix, change)
    with pytest.raises(ValueError, match=message):
        checkpoint_index.check(prefix)
    with pytest.raises(UserError, match=f'the checkpoint {prefix} cannot be read .*{message}'):
        saved_checkpoints.read_shapes(prefix)


def test_the_header_is_checked(prefix):
    change_entry(prefix, set_field('num_shards', 7), b'', tensor_bundle_pb2.BundleHeaderProto)
    with pytest.raises(ValueError, match='has 4 bytes of values, but the data files have 0'):
        checkpoint_index.check(prefix)
    for content in ({b'value': b''}, {b'': b'\xff'}, {b'': b'', b'value': b'\xff'},
                    {b'': b'', b'\xff': b''}):
        with open(f'{prefix}.index', 'wb') as file:
            file.write(table_writer.table_of(content))
        with pytest.raises(ValueError):
            checkpoint_index.check(prefix)


def test_variables_that_share_bytes_of_a_file_are_rejected(prefix):
    entries = tables.read_table(f'{prefix}.index')
    entries[b'values'] = entries[b'value']
    with open(f'{prefix}.index', 'wb') as file:
        file.write(table_writer.table_of(entries))
    with pytest.raises(ValueError, match='has 8 bytes of values, but the data files have 4'):
        checkpoint_index.check(prefix)


def test_any_change_of_a_byte_is_accepted_or_one_kind_of_error(prefix):
    with open(f'{prefix}.index', 'rb') as file:
        intact = file.read()
    rng = random.Random(0)
    num_rejected = 0
    for _ in range(500):
        content = bytearray(intact)
        content[rng.randrange(len(content))] = rng.randrange(256)
        with open(f'{prefix}.index', 'wb') as file:
            file.write(content)
        try:
            checkpoint_index.check(prefix)
        except ValueError:
            num_rejected += 1
    assert 0 < num_rejected < 500


def test_variables_that_are_not_numeric_are_left_out(tmp_path):
    """TensorFlow trusts the sizes of strings in the data file."""
    tf.get_variable('text', initializer=['a', 'bc'])
    tf.get_variable('weights', initializer=[1., 2.])
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        prefix = tf.train.Saver().save(session, str(tmp_path / 'model.ckpt'))
    shapes, read = saved_checkpoints.open_variables(prefix)
    assert shapes == {'weights': [2]} and read('weights').tolist() == [1, 2]
    assert saved_checkpoints.corruption(prefix) == ''

import pytest
import table_writer
from small_checkpoints import write_checkpoints

from run_folder import tables


def read(folder, content):
    (folder / 'table').write_bytes(content)
    tables.check_table(folder / 'table')
    return tables.read_table(folder / 'table')


def test_keys_share_their_first_bytes_with_the_previous_key(tmp_path):
    """The third key is whole again: it begins at 3 + 5 + 1 + 3 + 3 + 1 = byte 16."""
    content = table_writer.block(
        table_writer.entry(b'conv1', b'a'), table_writer.entry(b'conv2/b', b'b', num_shared=4),
        table_writer.entry(b'x', b''), restarts=(0, 16))
    assert content[9:16] == b'\4\3\1' b'2/b' b'b'
    assert read(tmp_path, table_writer.table(content)) == {b'conv1': b'a', b'conv2/b': b'b',
                                                           b'x': b''}


def test_the_index_of_a_checkpoint(tmp_path):
    folder = write_checkpoints(tmp_path, 1)
    assert list(tables.read_table(folder / 'model.ckpt-1.index')) == [b'', b'value']


def test_numbers_have_seven_bits_per_byte(tmp_path):
    assert table_writer.varint(300) == b'\xac\x02'   # 300 = 2 * 128 + 44
    content = {b'a' * 300: b'b' * 20000}
    assert read(tmp_path, table_writer.table_of(content)) == content


ENTRY = table_writer.entry(b'key', b'value')


@pytest.mark.parametrize('content, message', [
    (b'', 'truncated or of another format'),
    (bytes(48), 'truncated or of another format'),
    (table_writer.table(b'')[:-8], 'truncated or of another format'),
    (b'\xff' * 40 + table_writer.MAGIC, 'damaged'),
    (table_writer.table(table_writer.block(ENTRY), handle=(0, 1 << 62)), 'after the end of the'),
    (table_writer.table(table_writer.block(ENTRY), handle=(1 << 63, 1)), 'after the end of the'),
    (table_writer.table(table_writer.block(ENTRY), compression=b'\1'), 'is compressed'),
    (table_writer.table(b'\0'), 'damaged'),                                   # no number
    (table_writer.table(table_writer.block(ENTRY, restarts=())), 'damaged'),
    (table_writer.table(table_writer.block(ENTRY, restarts=(0, 3))), 'damaged'),
    (table_writer.table(table_writer.block(ENTRY)[:-1] + b'\x7f'), 'damaged'),
    (table_writer.table(table_writer.block(b'\0\3')), 'damaged'),             # no second number
    (table_writer.table(table_writer.block(b'\0\4\0key')), 'damaged'),
    (table_writer.table(table_writer.block(b'\1\2\0ey')), 'damaged'),         # shared with no key
    (table_writer.table(table_writer.block(ENTRY, ENTRY)), 'damaged'),        # twice
    (table_writer.table(table_writer.block(ENTRY, table_writer.entry(b'a', b''))), 'damaged')])
def test_damaged_tables_are_rejected(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, content)


def test_memory_for_keys_and_blocks_is_limited(tmp_path, monkeypatch):
    content = table_writer.table(table_writer.block(
        table_writer.entry(b'12345', b''), table_writer.entry(b'123456', b'', num_shared=5)))
    monkeypatch.setattr(tables, '_MAX_KEY_BYTES', 11)
    assert len(read(tmp_path, content)) == 2
    monkeypatch.setattr(tables, '_MAX_KEY_BYTES', 10)
    with pytest.raises(ValueError, match='damaged'):
        read(tmp_path, content)
    monkeypatch.setattr(tables, '_MAX_BLOCK_BYTES', 7)
    with pytest.raises(ValueError, match='has a block of [0-9]+ bytes'):
        read(tmp_path, content)

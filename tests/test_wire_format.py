import pytest

from checkpoints.readers import wire_format


@pytest.fixture(autouse=True)
def _limit(monkeypatch):
    monkeypatch.setattr(wire_format, '_MAX_FIELDS', 4)


# A field is its number * 8 + wire type: 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes.
@pytest.mark.parametrize('content, schema', [
    (b'', {}),
    (b'\x08\x01' * 4, {}),
    (b'\x09' + bytes(8) + b'\x0d' + bytes(4) + b'\x10\xff\xff\x01', {}),
    (b'\x0a\x09' + b'\x08\x01' * 4 + b'\x08', {}),             # bytes, as far as the schema says
    (b'\x0a\x06' + b'\x08\x01' * 3, {1: {}}),                  # 1 + 3 fields
    (b'\x0a\x04\x0a\x02\x0a\x00', {1: {1: {}}})])
def test_messages_with_few_fields(content, schema):
    wire_format.check_number_of_fields(content, schema)


@pytest.mark.parametrize('content, schema, message', [
    (b'\x08\x01' * 5, {}, 'more than 4 fields'),
    (b'\x0a\x00' * 5, {}, 'more than 4 fields'),
    (b'\x0a\x08' + b'\x08\x01' * 4, {1: {}}, 'more than 4 fields'),
    (b'\x0a\x06\x12\x04' + b'\x0a\x00' * 2 + b'\x08\x01', {1: {2: {}}}, 'more than 4 fields'),
    (b'\x0a\x05', {}, 'it is truncated'),
    (b'\x0a\x05', {1: {}}, 'it is truncated'),
    (b'\x0d\x01', {}, 'it is truncated'),
    (b'\x0a\x02\x0a\x05' + bytes(4), {1: {}}, 'it is truncated'),   # ends behind its message
    (b'\x0b', {}, 'it is no protocol buffer'),                 # a group
    (b'\x08' + b'\xff' * 20, {}, 'it is no protocol buffer')])
def test_other_messages_are_rejected(content, schema, message):
    with pytest.raises(ValueError, match=message):
        wire_format.check_number_of_fields(content, schema)

"""Bound the work of parsing a protocol buffer: an empty message of two bytes takes a hundred."""
_MAX_FIELDS = 500_000   # a detector with 2,400 nodes has 50,000
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def check_number_of_fields(content, schema):
    """Check the number of fields in a message, before it is parsed.

    Args:
        content: the bytes of the message.
        schema: field number -> schema of the messages in it; {} counts their fields only.

    Raises:
        ValueError: If there are more than `_MAX_FIELDS`, or the bytes are no message.
    """
    count, pending = 0, [(0, len(content), schema)]
    while pending:
        position, end, fields = pending.pop()
        while position < end:
            count += 1
            if count > _MAX_FIELDS:
                raise ValueError(f'it has more than {_MAX_FIELDS:,} fields')
            key, position = _varint(content, position)
            wire_type = key & 7
            if wire_type == _VARINT:
                _, position = _varint(content, position)
            elif wire_type == _BYTES:
                size, position = _varint(content, position)
                if key >> 3 in fields and position + size <= end:
                    pending.append((position, position + size, fields[key >> 3]))
                position += size
            elif wire_type in (_FIXED64, _FIXED32):
                position += 8 if wire_type == _FIXED64 else 4
            else:
                raise ValueError('it is no protocol buffer')
        if position != end:
            raise ValueError('it is truncated')


def _varint(content, position):
    """Return the varint at a position, and the position behind it."""
    value = shift = 0
    while position < len(content):
        byte = content[position]
        value |= (byte & 127) << shift
        position += 1
        shift += 7
        if byte < 128:
            return value, position
        if shift > 63:
            raise ValueError('it is no protocol buffer')
    raise ValueError('it is truncated')

"""Structure of JPEG files, as TensorFlow's decoder reads it."""
import re

_END_OF_IMAGE, _TEMPORARY = 0xd9, 0x01
# Markers before a segment whose length follows: frames, tables, scans, application data, comments.
_SEGMENTS = {0xc0, 0xc1, 0xc2, 0xc4, 0xc9, 0xca, 0xcc, *range(0xda, 0xde), *range(0xe0, 0xf0), 0xfe}
# The bytes 0xff00 in the data of a scan are not a marker, and restart markers are part of it.
_MARKER = re.compile(rb'\xff([\x01-\xcf\xd8-\xfe])')


def find_error(content):
    """Return why TensorFlow does not decode a JPEG that Pillow decodes, or None.

    Pillow stops after the last row of pixels. TensorFlow reads on to the end marker, and fails on
    any marker that libjpeg does not know.

    Args:
        content: Bytes of the file.
    """
    position = 2   # after the start marker
    while match := _MARKER.search(content, position):
        marker, position = match[1][0], match.end()
        if marker == _END_OF_IMAGE:
            return None
        if marker in _SEGMENTS:
            position += max(2, int.from_bytes(content[position:position + 2], 'big'))
        elif marker != _TEMPORARY:
            return f'invalid marker 0x{marker:02x} at byte {match.start()}'
    return 'no end marker'

"""Parse JSON in files of weights."""
import json

MAX_BYTES = 1 << 24   # parsed, it takes up to 30 times its size


def parse(text):
    """Parse the bytes of a JSON text.

    Raises:
        ValueError: If it is longer than `MAX_BYTES`, or no JSON.
    """
    if len(text) > MAX_BYTES:
        raise ValueError(f'its JSON has {len(text):,} bytes')
    return json.loads(text)

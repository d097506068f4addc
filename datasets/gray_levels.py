"""Conversion of gray pixels with more than 8 bits to 8 bits."""
import numpy as np

_MAX_LEVEL = 255
_MIN_BITS, _MAX_BITS = 8, 16
# A largest value below a quarter of the range would give an image that is almost black.
_MIN_SHARE = .25


def to_uint8(values):
    """Scale gray values to 8 bits by the range that they use, so that no image becomes black.

    - Values from 0 that need 8, 10, 12, 14 or 16 bits: these bits become 8. So 12 bits that a
      camera stored in 16 keep their brightness.
    - Fractions from 0 to 1: multiplied by 255.
    - All others, for example negative values or fractions below 0.25: stretched from 0 to 255.

    Args:
        values: [h, w], integers or floats.

    Returns:
        [h, w] uint8.

    Raises:
        ValueError: If a value is not finite.
    """
    low, high = values.min().item(), values.max().item()
    if not np.isfinite([low, high]).all():
        raise ValueError('it has pixels that are not finite numbers')
    if low >= 0 and _MIN_SHARE * (1 << _MIN_BITS) <= high < 1 << _MAX_BITS:
        bits = max(_MIN_BITS, int(high).bit_length())
        bits += bits % 2
        return (values.astype(np.uint16) >> (bits - _MIN_BITS)).astype(np.uint8)
    if low >= 0 and _MIN_SHARE <= high <= 1 and np.issubdtype(values.dtype, np.floating):
        low, high = 0., 1.
    scale = _MAX_LEVEL / max(high - low, 1e-30)
    scaled = values.astype(np.float32) * np.float32(scale) - np.float32(low * scale)
    return np.clip(scaled + np.float32(.5), 0, _MAX_LEVEL).astype(np.uint8)

import numpy as np
import pytest

from datasets import gray_levels


@pytest.mark.parametrize('dtype, values, expected', [
    (np.uint16, [0, 0x8000, 0xffff], [0, 128, 255]),
    (np.uint16, [0, 2048, 4095], [0, 128, 255]),   # 12 bits
    (np.uint16, [0, 4096, 16383], [0, 64, 255]),   # 14 bits
    (np.uint16, [0, 512, 1023], [0, 128, 255]), (np.int32, [0, 77, 255], [0, 77, 255]),
    (np.int32, [0, 30000, 65535], [0, 117, 255]),
    (np.int32, [-100, 0, 100], [0, 128, 255]), (np.int32, [0, 50_000, 100_000], [0, 128, 255]),
    (np.int32, [0, 10, 20], [0, 128, 255]),        # would be almost black
    (np.float32, [0, .25, 1], [0, 64, 255]), (np.float32, [0, 99.5, 255], [0, 99, 255]),
    (np.float32, [20, 30, 40], [0, 128, 255]), (np.float32, [0, .005, .01], [0, 128, 255]),
    (np.float32, [-1, 0, 1], [0, 128, 255]), (np.float32, [-3e38, 0, 3e38], [0, 128, 255]),
    (np.float32, [.5, .5, .5], [128, 128, 128]), (np.uint16, [0, 0, 0], [0, 0, 0])])
def test_levels(dtype, values, expected):
    levels = gray_levels.to_uint8(np.array([values], dtype))
    assert levels.dtype == np.uint8 and levels.tolist() == [expected]


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_values_that_are_not_finite(value):
    with pytest.raises(ValueError, match='not finite'):
        gray_levels.to_uint8(np.array([[0, value]], np.float32))

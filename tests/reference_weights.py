"""Make weights and an image for reference programs: the same ones on every machine.

No detector that people own is part of this repository. Tests of loading use random weights in the
exact names and shapes of such a file, `detector_layouts/KIND.txt`, and the outputs that the
original program computes from them (see detector_references.py).

Only the raw bits of NumPy's PCG64 are used, as uniform numbers: their stream is stable, unlike that
of normal numbers.
"""
import math
import os
import re
import zlib

import numpy as np

SEED = 16
RELU_GAIN = math.sqrt(2)   # keeps the variance through a ReLU (He et al., arXiv 1502.01852)
_LAYOUTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'detector_layouts')
# Scale of the L2 normalization of conv4_3; 20 in the paper.
_L2_SCALE = re.compile(
    r'scale_weight$|l2_?norm\.weight$|conv4_3_norm_gamma$|conv4_3_scale/weights$', re.IGNORECASE)
# Pattern of the name of a vector -> lowest and highest value. The first match counts.
_VECTOR_RANGES = (
    (_L2_SCALE, (16., 24.)),
    (re.compile(r'(running_var|moving_variance)$'), (.5, 1.5)),
    (re.compile(r'(gamma|\.weight)$'), (.8, 1.2)),
    (re.compile(''), (-.2, .2)))   # biases, beta, moving means
_COUNTER = np.zeros((), np.int64)   # batches that batch norm has seen, steps


def read_layout(kind):
    """Read the names and shapes of the file of a detector.

    A line holds a name and its dimensions; `a.{b,c} 32` stands for `a.b 32` and `a.c 32`. PyTorch's
    batch norm also has a counter, `num_batches_tracked`, that the lines leave out.

    Returns:
        A dict name -> tuple of int.
    """
    layout = {}
    with open(os.path.join(_LAYOUTS, f'{kind}.txt'), encoding='utf-8') as lines:
        for line in lines:
            if line.startswith('#'):
                continue
            pattern, *dimensions = line.split()
            shape = tuple(map(int, dimensions))
            stem, _, leaves = pattern.partition('{')
            for name in [stem + leaf for leaf in leaves.rstrip('}').split(',')]:
                layout[name] = shape
                if name.endswith('.running_var'):
                    layout[name.replace('running_var', 'num_batches_tracked')] = ()
    return layout


def make_weights(layout, kernel_order, kernel_gain=RELU_GAIN, first_kernel_scale=1.):
    """Make one random array per name of a layout.

    An array depends only on its name, its shape and the arguments. With them, activations keep a
    magnitude of about 1 through the net, so that every layer counts.

    Args:
        layout: dict name -> shape, from `read_layout`.
        kernel_order: 'OIHW' (PyTorch, Caffe) or 'HWIO' (TensorFlow, Keras).
        kernel_gain: standard deviation of a kernel times the root of its fan-in. Linear bottlenecks
            need less than `RELU_GAIN`: with it, rounding errors grow from block to block.
        first_kernel_scale: factor of the kernel that sees the image. Pass about 1 / 64 for nets
            whose input is not scaled.

    Returns:
        A dict name -> array, float32; counters are int64 zeros.
    """
    arrays = {}
    for name, shape in layout.items():
        low, high = (_vector_range(name) if len(shape) < 2 else
                     _kernel_range(name, shape, kernel_order, kernel_gain, first_kernel_scale))
        values = _generator(name, shape).random(shape, np.float32)
        arrays[name] = values * np.float32(high - low) + np.float32(low) if shape else _COUNTER
    return arrays


def make_image(size):
    """Make an RGB image [size, size, 3] uint8: waves that differ per channel, and noise.

    It is not symmetric, and has a wide range of values at all borders. Integers only, so that no
    machine rounds differently.
    """
    y, x = np.mgrid[:size, :size] * 510 // size
    waves = [np.abs((fx * x + fy * y + phase) % 510 - 255)
             for fx, fy, phase in ((2, 1, 40), (1, 3, 170), (3, 2, 330))]
    noise = _generator('image', (size,)).random((size, size, 3)) * 64   # exact: a power of 2
    return (np.stack(waves, -1) * 3 // 4 + noise.astype(int)).astype(np.uint8)


def checksum(arrays):
    """Return the CRC-32 of arrays, to check that two machines made the same ones."""
    value = 0
    for array in arrays:
        value = zlib.crc32(np.ascontiguousarray(array).tobytes(), value)
    return value


def _generator(name, shape):
    return np.random.default_rng(zlib.crc32(f'{SEED} {name} {shape}'.encode()))


def _vector_range(name):
    return next(limits for pattern, limits in _VECTOR_RANGES if pattern.search(name))


def _kernel_range(name, shape, kernel_order, gain, first_kernel_scale):
    """Return the lowest and highest value of a kernel, from its number of inputs."""
    if kernel_order == 'OIHW':
        inputs, *window = shape[1:]
    else:
        *window, inputs, _ = shape
        inputs = 1 if name.endswith('depthwise_weights') else inputs
    high = gain * math.sqrt(3 / (inputs * math.prod(window)))   # sqrt(3): of a uniform distribution
    high *= first_kernel_scale if inputs == 3 else 1.
    return -high, high

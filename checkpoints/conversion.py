"""Convert the tensors of a convolution of another program to those of ours.

One function per kind of difference: kernel layout, batch norm or biases, input normalization, order
of the box coordinates, class channels. Our kernels are [kh, kw, in, out], those of depthwise
convolutions [kh, kw, channels, 1].
"""
from typing import NamedTuple

import numpy as np

EPSILON = .001   # of the batch norm of MobileNets


class InputNormalization(NamedTuple):
    """The input of a net: (image - mean) * scale, with pixel values from 0 to 255."""
    mean: tuple            # (R, G, B)
    scale: tuple           # (R, G, B)
    is_bgr: bool = False   # the channels of the input are in the order B, G, R


class Layer(NamedTuple):
    """The tensors of a convolution, float32; None if the file does not hold them.

    A layer has batch norm if `moving_mean` is not None: gamma * (kernel * x + biases - moving_mean)
    / sqrt(moving_variance + epsilon) + beta.
    """
    kernel: object = None
    biases: object = None
    gamma: object = None
    beta: object = None
    moving_mean: object = None
    moving_variance: object = None
    epsilon: float = EPSILON


_BATCH_NORM = ('gamma', 'beta', 'moving_mean', 'moving_variance')
_FC6_INPUTS = 7 * 7 * 512


def kernel_from_hwio(kernel, is_depthwise):
    """Return [kh, kw, in, out] and depthwise [kh, kw, channels, 1] unchanged.

    Dense kernels [in, out] become convolutions: over the 7x7 cells of pool5, channels last, for
    fc6 of VGG, otherwise 1x1.
    """
    if kernel.ndim == 2 and not is_depthwise:
        size = 7 if len(kernel) == _FC6_INPUTS else 1
        kernel = kernel.reshape(size, size, -1, kernel.shape[1])
    return kernel


def kernel_from_oihw(kernel, is_depthwise):
    """Transpose [out, in, kh, kw], or [channels, 1, kh, kw] if depthwise; keep vectors.

    Dense kernels [out, in], also as [1, 1, out, in] of Caffe before 2014, become convolutions: over
    the 7x7 cells of pool5, channels first, for fc6 of VGG, otherwise 1x1.
    """
    if kernel.ndim == 4 and kernel.shape[:2] == (1, 1) and kernel.shape[2:] != (1, 1) \
            and not is_depthwise:
        kernel = kernel[0, 0]
    if kernel.ndim == 2:
        size = 7 if kernel.shape[1] == _FC6_INPUTS else 1
        kernel = kernel.reshape(len(kernel), -1, size, size)
    if kernel.ndim != 4:
        return kernel
    return kernel.transpose(2, 3, 0, 1) if is_depthwise else kernel.transpose(2, 3, 1, 0)


def normalize_input(layer, normalization, params):
    """Convert the first layer of a net to the input normalization of ours.

    With our input x, the other net sees x * scale' / scale + (mean - mean') * scale', where the
    primes mark its normalization. The factor goes into the kernel, the constant into the biases or
    the mean of batch norm. The result is exact except at the border, where zero padding stands for
    our mean; it is exact there too if the means are equal.

    Args:
        layer: the first `Layer`.
        normalization: the `InputNormalization` of the other net.
        params: `SSDParams` of our net.

    Returns:
        The converted `Layer`; `layer` itself if its kernel does not have three input channels.
    """
    if layer.kernel is None or layer.kernel.ndim != 4 or layer.kernel.shape[2] != 3:
        return layer
    kernel = layer.kernel[:, :, ::-1] if normalization.is_bgr else layer.kernel
    scale = np.float32(normalization.scale)
    shift = np.einsum('hwio,i->o', kernel,
                      (np.float32(params.mean) - np.float32(normalization.mean)) * scale)
    layer = layer._replace(kernel=kernel * (scale / np.float32(params.scale))[:, np.newaxis])
    if layer.moving_mean is not None:
        return layer._replace(moving_mean=layer.moving_mean - shift)
    return layer if layer.biases is None else layer._replace(biases=layer.biases + shift)


def order_boxes(layer, order):
    """Reorder the outputs of a layer that predicts offsets to dx, dy, dw, dh per anchor.

    Args:
        layer: a `Layer` with 4 outputs per anchor.
        order: the position of dx, dy, dw and dh in the file, for example (1, 0, 3, 2).
    """
    return _map_outputs(layer, lambda array: _per_anchor(array, 4)[..., list(order)])


def keep_classes(layer, num_anchors, num_classes):
    """Keep the first outputs of each anchor of a layer that predicts classes.

    Args:
        layer: a `Layer`.
        num_anchors: anchors per cell.
        num_classes: outputs per anchor to keep.
    """
    return _map_outputs(layer, lambda array: _per_anchor(
        array, array.shape[-1] // num_anchors)[..., :num_classes])


def _map_outputs(layer, function):
    """Apply a function to the kernel and the biases; its result has the outputs of an anchor last.
    """
    kernel, biases = (None if array is None else
                      np.reshape(function(array), (*array.shape[:-1], -1))
                      for array in (layer.kernel, layer.biases))
    return layer._replace(kernel=kernel, biases=biases)


def _per_anchor(array, depth):
    """Reshape [..., anchors * depth] to [..., anchors, depth]."""
    return array.reshape(*array.shape[:-1], -1, depth)


def _float32(array):
    return np.asarray(array, np.float32)


def to_batch_norm(layer, epsilon=EPSILON):
    """Return a `Layer` without biases whose batch norm has our epsilon, with the same outputs.

    Biases alone become a batch norm with gamma 1, mean 0 and variance 1 - epsilon, whose beta they
    are. Biases before a batch norm are subtracted from its mean. Another epsilon changes gamma.
    """
    if layer.moving_mean is not None:
        if layer.biases is not None:
            layer = layer._replace(moving_mean=layer.moving_mean - layer.biases)
        variance = np.asarray(layer.moving_variance, np.float64)
        factor = np.sqrt((variance + epsilon) / (variance + layer.epsilon))
        return layer._replace(biases=None, gamma=_float32(layer.gamma * factor), epsilon=epsilon)
    if layer.biases is None:
        return layer
    ones = np.ones_like(layer.biases)
    return Layer(layer.kernel, gamma=ones, beta=layer.biases, moving_mean=0 * ones,
                 moving_variance=np.float32(1 - epsilon) * ones, epsilon=epsilon)


def to_biases(layer):
    """Return a `Layer` without batch norm and with the same outputs.

    The factor of batch norm goes into the kernel, which must not be depthwise.
    """
    if layer.moving_mean is None or layer.kernel is None:
        return layer
    factor = layer.gamma / np.sqrt(
        np.asarray(layer.moving_variance, np.float64) + layer.epsilon)
    shift = (0 if layer.biases is None else layer.biases) - layer.moving_mean
    return Layer(_float32(layer.kernel * factor), _float32(layer.beta + shift * factor))


def center_1x1(kernel, shape):
    """Put a 1x1 kernel into the center of one of another size, if only the size differs.

    Args:
        kernel: [1, 1, in, out].
        shape: [kh, kw, in, out] to reach.

    Returns:
        The larger kernel, which computes the same; the kernel itself in all other cases.
    """
    if kernel.shape[:2] != (1, 1) or len(shape) != 4 or list(kernel.shape[2:]) != list(shape[2:]):
        return kernel
    larger = np.zeros(shape, np.float32)
    larger[shape[0] // 2, shape[1] // 2] = kernel[0, 0]
    return larger


def variables_of(layer, is_depthwise):
    """Return the tensors of a `Layer` by our variable names, such as 'BatchNorm/gamma'."""
    tensors = {'depthwise_weights' if is_depthwise else 'weights': layer.kernel,
               'biases': layer.biases,
               **{f'BatchNorm/{name}': getattr(layer, name) for name in _BATCH_NORM}}
    return {name: np.ascontiguousarray(array, np.float32)
            for name, array in tensors.items() if array is not None}

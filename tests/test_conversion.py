import numpy as np
import pytest

from checkpoints import conversion
from checkpoints.conversion import InputNormalization, Layer
from nets.net_table import NETS

MOBILENET = NETS['ssd_300_mobilenet_v1']   # (image - 127.5) / 127.5


def vector(*values):
    return np.float32(values)


def outputs(layer, x):
    """Return the outputs of a 1x1 convolution with one input channel of value x."""
    y = x * layer.kernel[0, 0, 0] + (0 if layer.biases is None else layer.biases)
    if layer.moving_mean is not None:
        y = (y - layer.moving_mean) / np.sqrt(layer.moving_variance + layer.epsilon)
        y = y * layer.gamma + layer.beta
    return y.tolist()


def test_depthwise_kernels_of_pytorch_have_their_channels_first():
    kernel = np.arange(2 * 1 * 3 * 3).reshape(2, 1, 3, 3)
    ours = conversion.kernel_from_oihw(kernel, is_depthwise=True)
    assert ours.shape == (3, 3, 2, 1) and ours[0, 2, 1, 0] == kernel[1, 0, 0, 2]


def test_biases_become_a_batch_norm():
    layer = Layer(vector(2, 3).reshape(1, 1, 1, 2), biases=vector(5, -1))
    ours = conversion.to_batch_norm(layer)
    assert ours.biases is None and ours.gamma.tolist() == [1, 1] and ours.beta.tolist() == [5, -1]
    # 0.999 + 0.001 is 1.
    assert outputs(ours, 4) == pytest.approx([13, 11])


def test_another_epsilon_changes_gamma_only():
    layer = Layer(vector(1).reshape(1, 1, 1, 1), gamma=vector(3), beta=vector(.5),
                  moving_mean=vector(2), moving_variance=vector(.003), epsilon=.006)
    ours = conversion.to_batch_norm(layer)
    # sqrt(.003 + .001) / sqrt(.003 + .006) is 2 / 3.
    assert ours.gamma == pytest.approx([2]) and ours.epsilon == .001
    assert ours.moving_variance == vector(.003) and ours.moving_mean == vector(2)


def test_biases_before_a_batch_norm_are_subtracted_from_its_mean():
    layer = Layer(vector(1).reshape(1, 1, 1, 1), biases=vector(7), gamma=vector(1), beta=vector(0),
                  moving_mean=vector(2), moving_variance=vector(1))
    ours = conversion.to_batch_norm(layer)
    assert ours.biases is None and ours.moving_mean.tolist() == [-5]
    assert outputs(ours, 3) == pytest.approx(outputs(layer, 3))


def test_a_batch_norm_goes_into_kernel_and_biases():
    layer = Layer(vector(1, 2).reshape(1, 1, 1, 2), gamma=vector(2, 3), beta=vector(1, 0),
                  moving_mean=vector(5, 4), moving_variance=vector(3, 8), epsilon=1.)
    ours = conversion.to_biases(layer)
    assert ours.kernel.ravel().tolist() == [1, 2]     # factors 2 / sqrt(4) and 3 / sqrt(9)
    assert ours.biases.tolist() == [1 - 5, -4] and ours.moving_mean is None


def test_a_layer_without_biases_and_batch_norm_stays_incomplete():
    layer = Layer(vector(1).reshape(1, 1, 1, 1))
    assert conversion.to_batch_norm(layer) is layer and conversion.to_biases(layer) is layer
    assert list(conversion.variables_of(layer, is_depthwise=False)) == ['weights']


def test_the_mean_of_the_input_goes_into_the_mean_of_batch_norm():
    """qfgaohao's (image - 127) / 128: our -1, the pixel 0, is its -127 / 128."""
    layer = Layer(vector(1, 2, 3).reshape(1, 1, 3, 1), gamma=vector(1), beta=vector(0),
                  moving_mean=vector(10), moving_variance=vector(1))
    ours = conversion.normalize_input(
        layer, InputNormalization((127.,) * 3, (1 / 128,) * 3), MOBILENET)
    assert ours.kernel.ravel() == pytest.approx(np.float32([1, 2, 3]) * 127.5 / 128)
    theirs = (1 + 2 + 3) * -127 / 128 - 10
    assert ours.kernel.sum() * -1 - ours.moving_mean == pytest.approx([theirs])


def test_the_order_of_box_coordinates():
    layer = Layer(np.arange(8.).reshape(1, 1, 1, 8), biases=np.arange(8.))
    ours = conversion.order_boxes(layer, (1, 0, 3, 2))   # two anchors dy, dx, dh, dw
    assert ours.biases.tolist() == [1, 0, 3, 2, 5, 4, 7, 6]
    assert ours.kernel.ravel().tolist() == ours.biases.tolist() and ours.kernel.ndim == 4


def test_the_first_classes_of_each_anchor_are_kept():
    layer = Layer(np.arange(6.).reshape(1, 1, 1, 6), biases=np.arange(6.))
    ours = conversion.keep_classes(layer, num_anchors=2, num_classes=2)
    assert ours.biases.tolist() == [0, 1, 3, 4] == ours.kernel.ravel().tolist()


def test_a_1x1_kernel_is_the_center_of_a_3x3_kernel():
    kernel = np.float32([[[[1, 2]]]])
    larger = conversion.center_1x1(kernel, [3, 3, 1, 2])
    assert larger[1, 1, 0].tolist() == [1, 2] and larger.sum() == 3
    assert conversion.center_1x1(kernel, [3, 3, 1, 5]) is kernel    # other outputs
    assert conversion.center_1x1(larger, [3, 3, 1, 2]) is larger

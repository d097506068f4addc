import os

import detector_references
import numpy as np
import pytest
import reference_weights

from nets import anchors


def reference_in_full(name):
    """Load a reference; return it and outputs [A, ...] that hold its samples, zeros elsewhere."""
    reference = detector_references.load(name)
    outputs = []
    for samples in (reference.logits, reference.offsets):
        outputs.append(np.zeros((len(reference.anchors), samples.shape[1]), np.float32))
        outputs[-1][reference.indices] = samples
    return reference, *outputs


def test_every_layout_has_a_reference():
    layouts = {os.path.splitext(name)[0] for name in os.listdir(reference_weights._LAYOUTS)}
    assert layouts == set(detector_references.KINDS)


# Some of each order of kernels and of coordinates. load() compares all weights with a checksum.
@pytest.mark.parametrize('name', ['chuanqi_mobilenet_ssd', 'odapi_ssdlite_mobilenet_v2',
                                  'lufficc_mobilenet_v2_ssd320'])
def test_equal_outputs_are_accepted_in_any_order_of_the_anchors(name):
    reference, logits, offsets = reference_in_full(name)
    order = np.random.default_rng(0).permutation(len(reference.anchors))
    detector_references.assert_equal_outputs(
        reference, reference.anchors[order], logits[order], offsets[order])


def test_unequal_outputs_are_rejected():
    reference, logits, offsets = reference_in_full('chuanqi_mobilenet_ssd')

    def check(**changed):
        detector_references.assert_equal_outputs(**{
            'reference': reference, 'anchors': reference.anchors, 'logits': logits,
            'offsets': offsets, **changed})
    with pytest.raises(AssertionError, match='logits differ by 0.0002 of the largest'):
        check(logits=logits + 2e-4 * np.abs(logits).max())
    with pytest.raises(AssertionError, match='offsets differ'):
        check(offsets=offsets[:, [1, 0, 3, 2]])
    with pytest.raises(AssertionError, match='lacks an anchor'):
        check(anchors=reference.anchors * np.float32([1, 1, .999, 1]))


def test_anchors_are_those_of_the_papers_formula():
    # chuanqi: squares of 60, oblongs of ratio 2 and 1/2, and no extra square on the first layer.
    shapes = anchors.anchor_shapes(60, None, (2, 1 / 2))
    expected = anchors.layer_anchors(300, 19, 300 / 19, shapes)
    made = detector_references.load('chuanqi_mobilenet_ssd').anchors
    np.testing.assert_allclose(made[:len(expected)], expected, atol=1e-6)


def test_clamped_centers():
    # lufficc: 9.5 * 32 = 304 pixels are the last centers of the third layer, clamped to 300.
    made = detector_references.load('lufficc_vgg_ssd300').anchors
    first = 38 * 38 * 4 + 19 * 19 * 6
    np.testing.assert_allclose(made[first + 599, :2], 1.)
    np.testing.assert_allclose(made[first + 599 - 10 * 6, :2], [8.5 * 32 / 300, 1.], rtol=1e-6)


def test_kernels_keep_the_variance():
    weights = reference_weights.make_weights(
        {'a.weight': (64, 32, 3, 3), 'dw.weight': (999, 1, 3, 3), 'first.weight': (64, 3, 3, 3)},
        'OIHW', first_kernel_scale=.5)
    for name, fan_in, factor in (('a', 288, 1.), ('dw', 9, 1.), ('first', 27, .5)):
        np.testing.assert_allclose(weights[f'{name}.weight'].std(), factor * (2 / fan_in) ** .5,
                                   rtol=.05)
    same = reference_weights.make_weights({'x/depthwise_weights': (3, 3, 999, 1)}, 'HWIO')
    np.testing.assert_allclose(same['x/depthwise_weights'].std(), (2 / 9) ** .5, rtol=.05)

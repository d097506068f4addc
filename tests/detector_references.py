"""Outputs of the original programs of detectors, to test that loaded files give the same ones.

`detector_references/KIND.npz` holds the outputs for `reference_weights.make_image` with the weights
`reference_weights.make_weights`; make_detector_references.py wrote them. A test of loading:

    reference = detector_references.load('amdegroot_ssd300')
    # Write reference.weights to a file of this kind (torch.save, .npz, .h5, a checkpoint), load it,
    # and run the net on reference.image: anchors [A, 4], logits [A, C], offsets [A, 4].
    detector_references.assert_equal_outputs(reference, anchors, logits, offsets)
"""
import os
from typing import NamedTuple

import numpy as np
import reference_weights

_FOLDER = os.path.splitext(os.path.abspath(__file__))[0]
TOLERANCE = 1e-4          # of logits and offsets, relative to the largest of the reference
_ANCHOR_TOLERANCE = 1e-5  # of relative coordinates: .003 pixels


class Kind(NamedTuple):
    """Facts of a kind of detector that its weights do not tell."""
    image_size: int
    kernel_order: str         # 'OIHW' or 'HWIO'
    coordinates: str          # order of offsets: 'xywh' (dx, dy, dw, dh) or 'yxhw' (dy, dx, dh, dw)
    channels: str             # order in which the net takes the image, 'RGB' or 'BGR'
    mean: tuple               # subtracted from the pixels, in RGB order
    scale: float              # factor after the subtraction
    classes: str              # 'voc' or 'coco' (ids with gaps, 91); class 0 is background
    scores: str               # 'softmax' or 'sigmoid'
    cells: tuple              # per side of each feature map
    anchors_per_cell: tuple   # of each feature map
    kernel_gain: float = reference_weights.RELU_GAIN   # of `reference_weights.make_weights`


class Outputs(NamedTuple):
    """Outputs of a reference program for one image, before scores and non-maximum suppression.

    Anchors are in the order of the channels of the heads: feature maps from the finest on, rows,
    columns, anchors of the cell.
    """
    logits: np.ndarray    # [A, C], background first
    offsets: np.ndarray   # [A, 4] in the order `Kind.coordinates`, divided by .1 .1 .2 .2
    anchors: np.ndarray   # [A, 4] center and size in the same order, relative to the image


class Reference(NamedTuple):
    """A file of a kind of detector, an image, and the expected outputs in the order of `nets`."""
    kind: Kind
    weights: dict         # name in the file -> array
    image: np.ndarray     # [S, S, 3] RGB uint8, of the input size of the net
    anchors: np.ndarray   # [A, 4] float32 [cy, cx, h, w], relative
    indices: np.ndarray   # [N] sampled anchors, whole cells of all feature maps
    logits: np.ndarray    # [N, C] float32 of the sampled anchors
    offsets: np.ndarray   # [N, 4] float32 [dx, dy, dw, dh] of the sampled anchors


_VGG = Kind(
    image_size=300, kernel_order='OIHW', coordinates='xywh', channels='RGB',
    mean=(123., 117., 104.), scale=1., classes='voc', scores='softmax',
    cells=(38, 19, 10, 5, 3, 1), anchors_per_cell=(4, 6, 6, 6, 4, 4))
_MOBILENET = _VGG._replace(
    mean=(127.,) * 3, scale=1 / 128, cells=(19, 10, 5, 3, 2, 1), anchors_per_cell=(6,) * 6)
_ODAPI = _MOBILENET._replace(
    kernel_order='HWIO', coordinates='yxhw', mean=(127.5,) * 3, scale=1 / 127.5, classes='coco',
    scores='sigmoid', anchors_per_cell=(3, 6, 6, 6, 6, 6))
_BOTTLENECK_GAIN = 1.2

KINDS = {
    'torchvision_ssd300_vgg16': _VGG._replace(
        mean=(122.99925, 116.9991, 103.9992), classes='coco'),
    'torchvision_ssdlite320_mobilenet_v3_large': _MOBILENET._replace(
        image_size=320, mean=(127.5,) * 3, scale=1 / 127.5, classes='coco',
        cells=(20, 10, 5, 3, 2, 1), kernel_gain=_BOTTLENECK_GAIN),
    'lufficc_vgg_ssd300': _VGG,
    'lufficc_vgg_ssd512': _VGG._replace(
        image_size=512, cells=(64, 32, 16, 8, 4, 2, 1), anchors_per_cell=(4, 6, 6, 6, 6, 4, 4)),
    'lufficc_mobilenet_v2_ssd320': _MOBILENET._replace(
        image_size=320, mean=_VGG.mean, scale=1., cells=(20, 10, 5, 3, 2, 1),
        kernel_gain=_BOTTLENECK_GAIN),
    'amdegroot_ssd300': _VGG,
    'qfgaohao_vgg16_ssd': _VGG,
    'qfgaohao_mobilenet_v1_ssd': _MOBILENET,
    'qfgaohao_mb2_ssd_lite': _MOBILENET._replace(kernel_gain=_BOTTLENECK_GAIN),
    'pierluigiferrari_ssd300': _VGG._replace(kernel_order='HWIO', channels='BGR'),
    'hikapok_ssd300': _VGG._replace(
        kernel_order='HWIO', coordinates='yxhw', channels='BGR', mean=(123.68, 116.78, 103.94)),
    'chuanqi_mobilenet_ssd': _MOBILENET._replace(
        channels='BGR', mean=(127.5,) * 3, scale=.007843, anchors_per_cell=(3, 6, 6, 6, 6, 6)),
    'odapi_ssd_mobilenet_v1': _ODAPI,
    'odapi_ssd_mobilenet_v2': _ODAPI._replace(kernel_gain=_BOTTLENECK_GAIN),
    'odapi_ssd_mobilenet_v2_full_extras': _ODAPI._replace(kernel_gain=_BOTTLENECK_GAIN),
    'odapi_ssdlite_mobilenet_v2': _ODAPI._replace(kernel_gain=_BOTTLENECK_GAIN)}


def make_inputs(name):
    """Make the weights and the image of a kind: (dict name -> array, [S, S, 3] uint8)."""
    kind = KINDS[name]
    weights = reference_weights.make_weights(
        reference_weights.read_layout(name), kind.kernel_order, kind.kernel_gain,
        first_kernel_scale=1 / 64 if kind.scale == 1 else 1.)
    return weights, reference_weights.make_image(kind.image_size)


def fixture_path(name):
    """Return the path of the stored outputs of a kind."""
    return os.path.join(_FOLDER, f'{name}.npz')


def load(name):
    """Load a `Reference` by the name of its kind, a key of `KINDS`.

    Raises:
        AssertionError: If this machine makes other weights or another image than the fixture has.
    """
    kind = KINDS[name]
    weights, image = make_inputs(name)
    with np.load(fixture_path(name)) as stored:
        checksum = reference_weights.checksum([*weights.values(), image])
        assert checksum == stored['checksum'], (
            f'{name}: weights or image differ from those of the fixture. Run '
            f'make_detector_references.py')
        anchors, offsets = stored['anchors'], stored['offsets']
        if kind.coordinates == 'xywh':
            anchors = anchors[:, [1, 0, 3, 2]]
        else:
            offsets = offsets[:, [1, 0, 3, 2]]
        return Reference(kind, weights, image, anchors, stored['indices'], stored['logits'],
                         offsets)


def assert_equal_outputs(reference, anchors, logits, offsets):
    """Assert that a net has the anchors of a reference and gives its outputs for them.

    Anchors are matched by their boxes, so that the net may have them in another order.

    Args:
        reference: `Reference`.
        anchors: [A, 4] `[cy, cx, h, w]` of the net.
        logits: [A, C].
        offsets: [A, 4] `[dx, dy, dw, dh]`.
    """
    assert anchors.shape == reference.anchors.shape
    sampled = reference.anchors[reference.indices]
    distances = np.array([np.abs(anchors - anchor).max(1) for anchor in sampled])
    assert distances.min(1).max() < _ANCHOR_TOLERANCE, 'the net lacks an anchor of the reference'
    matches = distances.argmin(1)
    for title, values, expected in (('logits', logits, reference.logits),
                                    ('offsets', offsets, reference.offsets)):
        difference = np.abs(values[matches] - expected).max() / np.abs(expected).max()
        assert difference < TOLERANCE, f'{title} differ by {difference:.2g} of the largest'

"""Input normalizations and anchors that several kinds of files share."""
from checkpoints.conversion import InputNormalization

_ONES = (1., 1., 1.)

OXFORD = InputNormalization((123.68, 116.779, 103.939), _ONES)
"""Of Simonyan and Zisserman, and also of Keras and tf-slim."""

SSD_AUTHORS = InputNormalization((123., 117., 104.), _ONES)

TORCHVISION = InputNormalization(
    (.485 * 255, .456 * 255, .406 * 255), (1 / (.229 * 255), 1 / (.224 * 255), 1 / (.225 * 255)))
"""Of torchvision's classifiers, which also divide by the standard deviation."""

QFGAOHAO_INPUT = InputNormalization((127.,) * 3, (1 / 128,) * 3)
QFGAOHAO_FIELDS = {'mean': QFGAOHAO_INPUT.mean, 'scale': 1 / 128}


def mobilenet_anchors(steps):
    """Return the anchors of the PyTorch programs for MobileNets, limited to the image.

    Args:
        steps: distance of anchor centers of the six layers, in pixels.
    """
    return ' '.join(f'{size},{size + 45}:2,1/2,3,1/3@{step}'
                    for size, step in zip(range(60, 286, 45), steps, strict=True)) + ' clip'


QFGAOHAO_ANCHORS = mobilenet_anchors((16, 32, 64, 100, 150, 300))

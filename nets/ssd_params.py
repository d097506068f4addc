"""`SSDParams`, the definition of a net, and the facts that follow from it.

Nets differ only in the data of their immutable `SSDParams`: see `nets.net_table`.
"""
import math
from typing import NamedTuple

from nets.backbones import BACKBONES


class ExtraBlock(NamedTuple):
    """An extra feature layer: a 1x1 convolution, then one that shrinks the feature map."""
    name: str
    squeeze: int   # channels of the 1x1 convolution
    depth: int     # channels of the second convolution
    kernel: int    # kernel size of the second convolution
    stride: int    # its stride
    pad: object    # zeros on each side before it, or 'SAME': TensorFlow's, more after than before


class SSDParams(NamedTuple):
    """Definition of a net. Sizes and steps are in pixels of the net's input.

    Tuples with a value per layer are in the order of `feat_layers`. The fields with defaults exist
    for nets that other programs have trained.
    """
    name: str
    image_size: int
    backbone: str             # key of `BACKBONES`
    depth_multiplier: float   # scales the channels of MobileNet and of its extra blocks
    extra_blocks: tuple       # of `ExtraBlock`, added after the backbone
    feat_layers: tuple        # names of the feature layers, finest first
    anchor_presets: dict      # preset name -> per layer (s_k, s_k+1), see `nets.anchor_presets`
    anchor_ratios: tuple      # per layer, width / height of the anchors that are not squares
    anchor_steps: tuple       # per layer, distance of anchor centers; None: image_size / cells
    normalizations: tuple     # per layer, initial scale of L2 normalization, 'batch_norm' or None
    variances: tuple          # divisors of the offsets dx, dy, dw, dh
    mean: tuple               # RGB, subtracted from the image
    scale: float              # factor after the subtraction
    heads: tuple = ()         # per layer, key of `nets.heads.HEADS`; (): all 'conv3x3'
    padding: str = 'SAME'     # of the backbone's layers with a stride; 'symmetric': as in Caffe
    activation: str = ''      # of the backbone; '': its own. A name in `layers.ACTIVATIONS`
    extra_activation: str = 'relu'   # of the extra blocks and of separable prediction layers
    separable_extra: bool = False    # extra blocks shrink by a depthwise convolution (SSDLite)
    linear_extra: bool = False       # extra blocks have no activation after their last convolution
    stride_unit: str = 'last'        # unit of ResNet with the stride, see `nets.resnet_v1.build`
    reduced_tail: bool = False       # MobileNet v3: half the channels behind the last stride
    scores: str = 'softmax'   # function of the logits; 'sigmoid': independent of the other classes
    # The anchors in use, from `anchor_presets.with_preset`.
    anchor_preset: str = ''     # canonical text of the preset
    anchor_shapes: tuple = ()   # per layer, (height, width) of the anchors of each cell
    clip_anchors: bool = False  # their centers and sides are limited to the image's


def feature_sizes(params):
    """Return the cells per side of each (square) feature map, for example [38, 19, 10, 5, 3, 1]."""
    cells = {layer: -(-params.image_size // 2 ** halvings)   # 'SAME' padding rounds each halving up
             for layer, halvings in BACKBONES[params.backbone].halvings.items()}
    size = min(cells.values())
    for block in params.extra_blocks:
        size = (math.ceil(size / block.stride) if block.pad == 'SAME' else
                (size + 2 * block.pad - block.kernel) // block.stride + 1)
        cells[block.name] = size
    return [cells[layer] for layer in params.feat_layers]


def step_sizes(params):
    """Return the distance of neighboring anchor centers of each feature layer in pixels."""
    return [step or params.image_size / cells
            for step, cells in zip(params.anchor_steps, feature_sizes(params), strict=True)]


def anchors_per_cell(params):
    """Return the anchors per cell of each feature layer, for example [4, 6, 6, 6, 4, 4]."""
    return [len(shapes) for shapes in params.anchor_shapes]

"""Names, anchors and scores that the detectors of the Object Detection API have in common."""
import re

import numpy as np

from checkpoints import class_names
from checkpoints.kind_tables import anchor_texts

SCOPE = 'FeatureExtractor/'
# Fields of `Kind` and of `SSDParams`: offsets y, x, h, w, independent scores of the classes.
BOX_ORDER = (1, 0, 3, 2)
DIFFERENCES = {'extra_activation': 'relu6', 'scores': 'sigmoid'}
CLASS_NAMES = {2: ('person',), **class_names.VOC_OR_COCO_IDS, **class_names.VOC_OR_COCO}
# Constants of a graph that hold all anchors, [A, 4] or [1, A, 4] `[ymin, xmin, ymax, xmax]`.
_ANCHOR_LISTS = ('Output/extra_dim', 'Concatenate/concat')
_GENERATOR = re.compile(r'MultipleGridAnchorGenerator/(Sqrt|mul)_?(\d*)/x')
_SCALES = (.2, .35, .5, .65, .8, .95, 1.)   # of the public configurations, s_min .2 to s_max .95


def slim_layer(name):
    """Return the names of a convolution and its batch norm in tf-slim."""
    return name, f'{name}/BatchNorm'


def same_padding(blocks):
    """Return the extra blocks with TensorFlow's padding."""
    return tuple(block._replace(pad='SAME') for block in blocks)


def anchors(source, params, heads):
    """Return the anchors that a graph lists or generates; a checkpoint has the default ones.

    The default: s, then 2, 1/2, 3, .3333 and sqrt(s s'); the finest of six layers has a square of
    half its size, then 2 and 1/2. Files of 2017 have the second square after the first.
    """
    for name in _ANCHOR_LISTS:
        if name in source.shapes:
            return anchor_texts.text_of_boxes(
                source.read(name).reshape(-1, 4), heads.anchors_per_cell, params)
    scales, ratios = _generated(source)
    if not len(scales) == len(ratios) == len(params.feat_layers):
        scales, ratios = _default_shapes(heads.anchors_per_cell[0] == 3)
    return anchor_texts.text([
        [anchor_texts.box(scale * params.image_size, ratio)
         for scale, ratio in zip(*layer, strict=True)]
        for layer in zip(scales, ratios, strict=True)])


def _generated(source):
    """Return scales and aspect ratios of the anchors of each layer from the constants of a graph.
    """
    constants = {'mul': {}, 'Sqrt': {}}
    for name, shape in source.shapes.items():
        match = _GENERATOR.fullmatch(name)
        if match and shape and shape[0] > 1:
            # The shortest decimal of a float32 is that of the configuration.
            constants[match[1]][int(match[2] or 0)] = [
                float(str(value)) for value in np.float32(source.read(name))]
    return [[by_index[index] for index in sorted(by_index)] for by_index in constants.values()]


def _default_shapes(is_first_reduced):
    """Return scales and aspect ratios of the anchors of each layer in the public configurations."""
    ratios = [[1., 2., .5, 3., .3333, 1.]] * 6
    scales = [[scale] * 5 + [float(np.sqrt(scale * next_scale))]
              for scale, next_scale in zip(_SCALES, _SCALES[1:], strict=False)]
    if is_first_reduced:
        scales[0], ratios[0] = [.1, .2, .2], [1., 2., .5]
    return scales, ratios

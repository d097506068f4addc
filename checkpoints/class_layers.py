"""Fine-tuning onto other classes: keep what a detector knows of the classes of the same name."""
from typing import NamedTuple

import numpy as np

from datasets import class_names


class Channels(NamedTuple):
    """Outputs of a class layer that are restored; the others keep their initial values."""
    indices: list       # of the outputs in our net
    values: object      # array [..., len(indices)]


def matching_labels(source_classes, target_classes):
    """Return {label in our net: label in the source} of the classes of the same name.

    The background, label 0, is among them. Spelling differences of VOC and COCO do not count, see
    `datasets.class_names`.

    Args:
        source_classes, target_classes: class names without the background; label 1 first.
    """
    return {0: 0, **{target + 1: source + 1
                     for target, source in class_names.match(target_classes, source_classes)}}


def select_channels(array, num_anchors, labels, num_source_classes, num_target_classes):
    """Return the `Channels` of a class layer in our net.

    Args:
        array: kernel or biases of the source, [..., anchors * source classes].
        num_anchors: anchors per cell, the same in both.
        labels: {label in our net: label in the source}.
        num_source_classes, num_target_classes: with the background.

    Returns:
        `Channels`; None if the array does not have this number of outputs.
    """
    if array.shape[-1] != num_anchors * num_source_classes:
        return None
    pairs = [(anchor * num_target_classes + target, anchor * num_source_classes + source)
             for anchor in range(num_anchors) for target, source in labels.items()]
    indices, source_indices = zip(*pairs, strict=True)
    return Channels(list(indices), np.ascontiguousarray(array[..., list(source_indices)]))


def merge(current, channels):
    """Return a copy of the current value of a variable with the restored outputs."""
    merged = np.array(current)
    merged[..., channels.indices] = channels.values
    return merged

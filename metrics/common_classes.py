"""Evaluate a detector on a dataset with other classes: on those that both have."""
from typing import NamedTuple

import numpy as np

from common.errors import UserError
from common.text import one_line
from datasets import class_names


class CommonClasses(NamedTuple):
    """The classes of a dataset that a detector knows, with labels 1, 2, ... in the dataset's order.

    The arrays have an element for each label, 0 for the background and for other classes.
    """
    names: list                    # names in the dataset
    truth_labels: np.ndarray       # label in the dataset -> label here
    detected_labels: np.ndarray    # label of the detector -> label here

    def select(self, image):
        """Return an `EvaluatedImage` with the ground truths and detections of these classes."""
        labels, detected = self.truth_labels[image.labels], self.detected_labels[
            image.detected_labels]
        is_object, is_detection = labels > 0, detected > 0
        objects = ('boxes', 'difficult', 'iscrowd', 'area')
        return image._replace(
            labels=labels[is_object], detected_labels=detected[is_detection],
            detected_boxes=image.detected_boxes[is_detection], scores=image.scores[is_detection],
            **{name: getattr(image, name)[is_object] for name in objects})


def find(detector_names, dataset_names):
    """Return the `CommonClasses` of a detector and a dataset.

    Args:
        detector_names: class names of the detector, label 1 first.
        dataset_names: class names of the dataset, label 1 first.

    Raises:
        UserError: If they have no class in common.
    """
    pairs = class_names.match(dataset_names, detector_names)
    if not pairs:
        raise UserError(f'the detector has no class of the dataset. It has '
                        f'{_first(detector_names)}, and the dataset {_first(dataset_names)}. Pass '
                        f'data with its classes, or train it on these first')
    truth_labels = np.zeros(len(dataset_names) + 1, int)
    detected_labels = np.zeros(len(detector_names) + 1, int)
    for label, (in_dataset, in_detector) in enumerate(pairs, 1):
        truth_labels[in_dataset + 1] = detected_labels[in_detector + 1] = label
    return CommonClasses([dataset_names[index] for index, _ in pairs], truth_labels,
                         detected_labels)


def restrict(dataset, detector_names):
    """Return a dataset with only the classes that a detector has, and the `CommonClasses`.

    The result describes an evaluation; its records hold the labels of all classes.

    Args:
        dataset: `Dataset`.
        detector_names: class names of the detector, label 1 first.

    Raises:
        UserError: If they have no class in common.
    """
    common = find(detector_names, dataset.class_names)
    source_ids = dataset.source_ids and [
        dataset.source_ids[dataset.class_names.index(name)] for name in common.names]
    return dataset._replace(class_names=common.names, source_ids=source_ids), common


def _first(names):
    return one_line(', '.join(names[:3]) + (', …' if len(names) > 3 else ''))

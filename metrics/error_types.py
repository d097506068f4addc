"""Types of errors and the average precision that each costs (TIDE: Bolya et al., arXiv 2008.08115).

The types of false positives, in the order in which they are tested; `min_iou` is that of a true
positive:

- localization: the IoU with an object of the same class is too low, but at least `MIN_OVERLAP`;
- classification: the IoU with an object of another class is at least `min_iou`;
- duplicate: the object of the same class has a true positive already;
- background: no IoU reaches `MIN_OVERLAP`;
- both: the rest, with the wrong class and too low an IoU.

An object is missed if it has no true positive, and no localization or classification error either.
"""
import numpy as np

from metrics import voc
from nets import boxes as box_lib

TYPES = ('classification', 'localization', 'both', 'duplicate', 'background', 'missed')
MIN_OVERLAP = .1   # smallest IoU with an object for an error that is not background
_CLASSIFICATION, _LOCALIZATION, _BOTH, _DUPLICATE, _BACKGROUND, _MISSED = range(len(TYPES))
_NO_ERROR = -1


def classify(image, min_iou):
    """Return the type of each detection and of each ground truth of an image.

    Args:
        image: `EvaluatedImage` with its detections sorted by score, highest first.
        min_iou: smallest IoU of a true positive.

    Returns:
        types: [D] int, index in `TYPES`, or -1 for true positives and ignored detections.
        target: [D] int, the ground truth that a detection would find without its localization or
            classification error; -1 for other errors, for objects that have a true positive, and
            for all but the first of several detections with the same target.
        missed: [M] bool.
    """
    outcome, matched = voc.match(image, min_iou)
    is_false = outcome == voc.FALSE_POSITIVE
    iou = box_lib.iou(np.asarray(image.detected_boxes, float), np.asarray(image.boxes, float), np)
    iou = np.where(image.ignored, 0., iou)
    same_class = image.detected_labels[:, None] == image.labels
    own, other = np.where(same_class, iou, 0.), np.where(same_class, 0., iou)
    own_iou, other_iou = (values.max(1, initial=0.) for values in (own, other))
    types = np.select(
        [~is_false, (own_iou >= MIN_OVERLAP) & (own_iou < min_iou), other_iou >= min_iou,
         own_iou >= min_iou, other_iou < MIN_OVERLAP],
        [_NO_ERROR, _LOCALIZATION, _CLASSIFICATION, _DUPLICATE, _BACKGROUND], _BOTH)
    target, missed = np.full(len(types), -1), ~image.ignored
    missed[matched[matched >= 0]] = False
    unmatched = missed.copy()
    for detection in np.flatnonzero((types == _LOCALIZATION) | (types == _CLASSIFICATION)):
        candidate = (own if types[detection] == _LOCALIZATION else other)[detection].argmax()
        if unmatched[candidate] and missed[candidate]:
            target[detection], missed[candidate] = candidate, False
    return types, target, missed


class ErrorTypes:
    """Accumulates images, and computes the average precision that each type of error costs."""

    def __init__(self, num_classes, min_iou=.5):
        """Create a metric for C = `num_classes` classes, background (0) included."""
        self._min_iou = min_iou
        self._num_objects, self._num_missed = np.zeros([2, num_classes], int)
        # Per image, [4, D]: label, score, type, label of the target or 0. No ignored detections.
        self._detections = [np.zeros([4, 0])]
        self._is_true = [np.zeros(0, bool)]

    def add(self, image):
        """Add an `EvaluatedImage`."""
        image = image.sort_by_score()
        outcome, _ = voc.match(image, self._min_iou)
        types, target, missed = classify(image, self._min_iou)
        target_labels = np.zeros(len(types), int)
        target_labels[target >= 0] = image.labels[target[target >= 0]]
        counted = outcome != voc.IGNORED
        self._detections.append(np.stack(
            [image.detected_labels, image.scores, types, target_labels])[:, counted])
        self._is_true.append((outcome == voc.TRUE_POSITIVE)[counted])
        np.add.at(self._num_objects, image.labels[~image.ignored], 1)
        np.add.at(self._num_missed, image.labels[missed], 1)

    def lost_ap(self):
        """Return {type of error: gain of the mAP (VOC12) if all its errors were corrected}.

        A detection with a target becomes its true positive, other errors are removed, and so are
        missed objects; a class without objects left has an AP of 1. A gain is at least 0. The sum
        is not the distance from 1, because a type is corrected while the others remain. Empty
        without ground truth.
        """
        if not self._num_objects.any():
            return {}
        labels, scores, types, targets = np.concatenate(self._detections, 1)
        is_true = np.concatenate(self._is_true)
        original = self._mean_ap(labels, scores, is_true, self._num_objects)
        lost = {}
        for index, name in enumerate(TYPES):
            is_fixed = types == index
            keep = ~is_fixed | (targets > 0)
            num_objects = self._num_objects - (self._num_missed if index == _MISSED else 0)
            fixed = self._mean_ap(np.where(is_fixed, targets, labels)[keep], scores[keep],
                                  (is_true | is_fixed)[keep], num_objects)
            lost[name] = max(fixed - original, 0.)
        return lost

    def _mean_ap(self, labels, scores, is_true, num_objects):
        """Return the mean AP of the classes that have objects in the data."""
        aps = []
        for label in np.flatnonzero(self._num_objects):
            of_class = labels == label
            recall, precision, _ = voc.precision_recall_curve(
                scores[of_class], is_true[of_class], num_objects[label])
            aps.append(voc.all_points_ap(recall, precision) if num_objects[label] else 1.)
        return float(np.mean(aps))

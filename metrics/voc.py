"""Average precision as in Pascal VOC's development kit (`VOCevaldet.m`), versions 2007 and 2012."""
from typing import NamedTuple

import numpy as np

from nets import boxes as box_lib

TRUE_POSITIVE, FALSE_POSITIVE, IGNORED = 1, 0, -1   # outcomes of a detection


class Match(NamedTuple):
    """Result of matching the detections of one image to its ground truths."""
    outcome: np.ndarray              # [D] int: TRUE_POSITIVE, FALSE_POSITIVE or IGNORED
    ground_truth_index: np.ndarray   # [D] int: the ground truth of a true positive; otherwise -1


def match(image, min_iou):
    """Match the detections of an image to its ground truths, class by class, by VOC's rules.

    Each detection is compared with the ground truth of its class that it overlaps most. If their
    IoU is at least `min_iou`, the first (highest-scoring) detection of that ground truth is a true
    positive, and later ones are false positives. Detections of a difficult ground truth are
    ignored. As in COCO, a detection that would be a false positive is ignored if at least the
    share `min_iou` of its own area lies in a crowd region of its class.

    Args:
        image: `EvaluatedImage` with its detections sorted by score, highest first.
        min_iou: smallest IoU of a true positive.

    Returns:
        A `Match`.
    """
    outcome, index = (np.full(len(image.scores), value) for value in (FALSE_POSITIVE, -1))
    if not len(image.labels) or not len(outcome):
        return Match(outcome, index)
    detected, boxes = (np.asarray(array, float) for array in (image.detected_boxes, image.boxes))
    same_class = image.detected_labels[:, None] == image.labels[None, :]
    iou = np.where(same_class & ~image.iscrowd, box_lib.iou(detected, boxes, np), -1.)
    best = iou.argmax(1)
    is_matched = iou.max(1) >= min_iou
    outcome[is_matched & image.difficult[best]] = IGNORED
    candidates = np.flatnonzero(is_matched & ~image.difficult[best])
    _, first = np.unique(best[candidates], return_index=True)
    true_positives = candidates[first]
    outcome[true_positives], index[true_positives] = TRUE_POSITIVE, best[true_positives]
    in_crowd = _share_inside(detected, boxes[image.iscrowd]) >= min_iou
    in_crowd = (in_crowd & same_class[:, image.iscrowd]).any(1)
    outcome[(outcome == FALSE_POSITIVE) & in_crowd] = IGNORED
    return Match(outcome, index)


def _share_inside(boxes, regions):
    """[N, R] share of the area of each box [N, 4] that lies in each region [R, 4]; 0 if empty."""
    shared = box_lib.intersection(boxes, regions, np)
    areas = np.broadcast_to(box_lib.area(boxes)[:, None], shared.shape)
    return np.divide(shared, areas, out=np.zeros_like(shared), where=areas > 0)


def eleven_point_ap(recall, precision):
    """VOC 2007: mean over recall 0, 0.1, ..., 1 of the best precision at that recall or above."""
    # Compare as the development kit and its Python ports do: the level 0.6 is 0.6000000000000001,
    # which a recall of 9/15 does not reach. A tolerance would change the published numbers.
    return np.mean([precision[recall >= level].max(initial=0.) for level in np.linspace(0, 1, 11)])


def all_points_ap(recall, precision):
    """VOC 2010 and later: area under the precision-recall curve made monotonically decreasing."""
    recall = np.concatenate([[0.], recall, [1.]])
    precision = np.concatenate([[0.], precision, [0.]])
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return np.sum(np.diff(recall) * precision[1:])


def precision_recall_curve(scores, is_true, num_objects):
    """Return recall, precision and score, [D] each, highest score first.

    Args:
        scores: [D].
        is_true: [D] bool, whether a detection is a true positive.
        num_objects: number of ground truths.
    """
    order = np.argsort(-scores, kind='stable')
    true, false = np.cumsum(is_true[order]), np.cumsum(~is_true[order])
    return true / max(num_objects, 1), true / np.maximum(true + false, 1), scores[order]


_AP_FUNCTIONS = {'VOC07': eleven_point_ap, 'VOC12': all_points_ap}


class VocMetric:
    """Accumulates images and computes VOC's average precision, with both interpolations."""

    def __init__(self, num_classes, min_iou=.5):
        """Create a metric for C = `num_classes` classes, background (0) included.

        min_iou: smallest IoU of a true positive.
        """
        self._min_iou = min_iou
        self._num_objects = np.zeros(num_classes, int)
        self._detections = [np.zeros([3, 0])]   # per image: label, score, outcome

    def add(self, image):
        """Add an `EvaluatedImage`."""
        image = image.sort_by_score()
        np.add.at(self._num_objects, image.labels[~image.ignored], 1)
        self._detections.append(np.stack([image.detected_labels, image.scores,
                                          match(image, self._min_iou).outcome]))

    def precision_recall_curve(self, label):
        """Return recall, precision and score, [D] each, of one class, highest score first.

        Ignored detections are left out.
        """
        self._detections = [np.concatenate(self._detections, 1)]
        labels, scores, outcomes = self._detections[0]
        is_counted = (labels == label) & (outcomes != IGNORED)
        return precision_recall_curve(scores[is_counted], outcomes[is_counted] == TRUE_POSITIVE,
                                      self._num_objects[label])

    def average_precisions(self):
        """Return {'VOC07': [C], 'VOC12': [C]}: AP per class, NaN for classes without objects."""
        curves = [self.precision_recall_curve(label)[:2] if num_objects else None
                  for label, num_objects in enumerate(self._num_objects)]
        return {name: np.array([np.nan if curve is None else average_precision(*curve)
                                for curve in curves])
                for name, average_precision in _AP_FUNCTIONS.items()}

    def mean_average_precisions(self):
        """Return {'VOC07': mAP, 'VOC12': mAP}: mean over classes with objects, NaN if none has."""
        return {name: float(values[~np.isnan(values)].mean()) if not np.isnan(values).all()
                else float('nan') for name, values in self.average_precisions().items()}

    def num_objects(self, label):
        """Return the number of ground truths of a class, without difficult ones and crowds."""
        return int(self._num_objects[label])

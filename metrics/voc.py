"""Average precision as Pascal VOC's development kit computes it (`VOCevaldet.m`), 2007 and 2012."""
import numpy as np

from nets import boxes as box_lib

_MATCHED, _FALSE, _IGNORED = 1, 0, -1


def match_picture(truths, difficult, detected, min_overlap):
    """What each detection of one class in one picture is worth: [D] int, 1 true, 0 false, -1 not counted.

    truths: [M, 4]. difficult: [M] bool. detected: [D, 4], best score first. A detection belongs to the ground
    truth that it overlaps most, if by `min_overlap` or more; the first at a ground truth is true, each later
    one false; at a difficult one it is not counted, however many there are.
    """
    worth = np.full(len(detected), _FALSE)
    if not len(truths) or not len(detected):
        return worth
    overlaps = box_lib.iou(np.asarray(detected, float), np.asarray(truths, float), np)
    taken = np.zeros(len(truths), bool)
    for index, row in enumerate(overlaps):
        best = row.argmax()
        if row[best] < min_overlap:
            continue
        if difficult[best]:
            worth[index] = _IGNORED
        elif not taken[best]:
            worth[index] = _MATCHED
            taken[best] = True
    return worth


def eleven_point_area(recall, precision):
    """VOC 2007: mean over recall 0, 0.1, ..., 1 of the best precision at that recall or a higher one."""
    # Compared as the kit and its Python versions do: the level 0.6 is 0.6000000000000001, and a recall of 9/15
    # does not reach it. A kinder comparison would give other numbers than everybody's.
    return np.mean([precision[recall >= level].max(initial=0.) for level in np.linspace(0, 1, 11)])


def every_point_area(recall, precision):
    """VOC 2010 and later: area under precision made falling, at every recall that occurs."""
    recall = np.concatenate([[0.], recall, [1.]])
    precision = np.concatenate([[0.], precision, [0.]])
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return np.sum(np.diff(recall) * precision[1:])


AREAS = {'VOC07': eleven_point_area, 'VOC12': every_point_area}


class VocMetric:
    """Gathers pictures one by one."""

    def __init__(self, num_classes, min_overlap=.5):
        """num_classes: C, background (0) included."""
        self._min_overlap = min_overlap
        self._worths = [[] for _ in range(num_classes)]
        self._scores = [[] for _ in range(num_classes)]
        self._truths = np.zeros(num_classes, int)

    def add(self, truths, truth_labels, difficult, detected, detected_labels, scores):
        """One picture: truths [M, 4], labels [M], difficult [M] bool; detected [D, 4], labels [D], scores [D]."""
        order = np.argsort(-np.asarray(scores), kind='stable')
        detected, detected_labels, scores = (np.asarray(a)[order] for a in (detected, detected_labels, scores))
        truths, truth_labels, difficult = (np.asarray(a) for a in (truths, truth_labels, difficult))
        for label in range(1, len(self._truths)):
            true, found = truth_labels == label, detected_labels == label
            if not true.any() and not found.any():
                continue
            self._truths[label] += np.sum(~difficult[true].astype(bool))
            self._worths[label].extend(match_picture(truths[true], difficult[true], detected[found],
                                                     self._min_overlap))
            self._scores[label].extend(scores[found])

    def curve(self, label):
        """Recall and precision [n] of a class over its counted detections, best score first."""
        order = np.argsort(-np.array(self._scores[label]), kind='stable')
        worth = np.array(self._worths[label], int)[order]
        worth = worth[worth != _IGNORED]
        true, false = np.cumsum(worth == _MATCHED), np.cumsum(worth == _FALSE)
        return true / max(self._truths[label], 1), true / np.maximum(true + false, 1)

    def average_precisions(self, year):
        """[C] AP of every class by 'VOC07' or 'VOC12'; NaN for the background and for classes without truths."""
        return np.array([AREAS[year](*self.curve(label)) if self._truths[label] else np.nan
                         for label in range(len(self._truths))])

    def mean_average_precision(self, year):
        """Mean over the classes that have ground truths; NaN if none has."""
        found = self.average_precisions(year)
        return float(np.mean(found[~np.isnan(found)])) if not np.isnan(found).all() else float('nan')

    def num_truths(self, label):
        """Ground truths of a class that are not difficult."""
        return int(self._truths[label])

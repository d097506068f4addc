"""Average precision as Pascal VOC's development kit computes it (`VOCevaldet.m`), 2007 and 2012."""
from typing import NamedTuple

import numpy as np

from nets import boxes as box_lib

MATCHED, FALSE, IGNORED = 1, 0, -1
_TINY = 1e-35   # stands for an area of nothing, so that it can be divided by


class Match(NamedTuple):
    """What the detections of a picture are worth."""
    worth: np.ndarray   # [D] int: MATCHED, FALSE or IGNORED
    truth: np.ndarray   # [D] int: the ground truth that a matched one found; -1 for all others


def match(picture, min_overlap):
    """The `Match` of a `Picture` whose detections come best first.

    A detection belongs to the ground truth of its class that it overlaps most, if by `min_overlap` or more; the first
    at a ground truth is true, each later one false; at a difficult one it is not counted, however many there are. One
    that is false, but lies within a crowd of its class with `min_overlap` of itself or more, is not counted either, as
    COCO has it.
    """
    worth, truth = (np.full(len(picture.scores), value) for value in (FALSE, -1))
    if not len(picture.labels) or not len(worth):
        return Match(worth, truth)
    detected, truths = (np.asarray(boxes, float) for boxes in (picture.detected, picture.boxes))
    same = picture.detected_labels[:, None] == picture.labels[None, :]
    overlaps = np.where(same & ~picture.iscrowd, box_lib.iou(detected, truths, np), -1.)
    best = overlaps.argmax(1)
    near = overlaps.max(1) >= min_overlap
    worth[near & picture.difficult[best]] = IGNORED
    counted = np.flatnonzero(near & ~picture.difficult[best])
    _, first = np.unique(best[counted], return_index=True)
    found = counted[first]
    worth[found], truth[found] = MATCHED, best[found]
    shared = box_lib.intersection(detected, truths[picture.iscrowd], np)
    inside = shared / np.maximum(box_lib.area(detected), _TINY)[:, None] >= min_overlap
    worth[(worth == FALSE) & (inside & same[:, picture.iscrowd]).any(1)] = IGNORED
    return Match(worth, truth)


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
    names = tuple(AREAS)

    def __init__(self, num_classes, min_overlap=.5):
        """num_classes: C, background (0) included."""
        self._min_overlap = min_overlap
        self._truths = np.zeros(num_classes, int)
        self._detections = [np.zeros([3, 0])]   # of each picture: label, score, worth

    def add(self, picture):
        """One `Picture`."""
        picture = picture.best_first()
        np.add.at(self._truths, picture.labels[~picture.ignored], 1)
        self._detections.append(np.stack([picture.detected_labels, picture.scores,
                                          match(picture, self._min_overlap).worth]))

    def curve(self, label):
        """Recall, precision and score [n] of a class over its counted detections, best score first."""
        self._detections = [np.concatenate(self._detections, 1)]
        labels, scores, worth = self._detections[0]
        mine = (labels == label) & (worth != IGNORED)
        order = np.argsort(-scores[mine], kind='stable')
        scores, worth = scores[mine][order], worth[mine][order]
        true, false = np.cumsum(worth == MATCHED), np.cumsum(worth == FALSE)
        return true / max(self._truths[label], 1), true / np.maximum(true + false, 1), scores

    def average_precisions(self, name):
        """[C] AP of every class by 'VOC07' or 'VOC12'; NaN for the background and for classes without truths."""
        return np.array([AREAS[name](*self.curve(label)[:2]) if self._truths[label] else np.nan
                         for label in range(len(self._truths))])

    def mean_average_precision(self, name):
        """Mean over the classes that have ground truths; NaN if none has."""
        found = self.average_precisions(name)
        return float(np.mean(found[~np.isnan(found)])) if not np.isnan(found).all() else float('nan')

    def num_truths(self, label):
        """Ground truths of a class that are counted: neither difficult nor crowds."""
        return int(self._truths[label])

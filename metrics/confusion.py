"""What goes wrong at one score: which objects are missed, taken for others, or seen where there are none."""
import heapq
from typing import NamedTuple

import numpy as np

from metrics import voc
from metrics.picture import Picture
from nets import boxes as box_lib


class Judgement(NamedTuple):
    """A `Picture` with its detections from a score on, best first, and what each box of it is."""
    picture: Picture
    worth: np.ndarray    # [D] int, of `voc`: MATCHED, FALSE or IGNORED
    truth: np.ndarray    # [D] int: the ground truth that it found, or took for another class; else -1
    missed: np.ndarray   # [M] bool: counted ground truths that no detection found, of whatever class

    @property
    def confused(self):
        """[D] bool: detections of an object of another class."""
        return (self.worth == voc.FALSE) & (self.truth >= 0)

    @property
    def false(self):
        """[D] bool: detections of nothing, and second ones of an object."""
        return (self.worth == voc.FALSE) & (self.truth < 0)

    @property
    def num_wrong(self):
        """Mistakes in the picture."""
        return int(self.missed.sum() + self.confused.sum() + self.false.sum())


def judge(picture, min_score, min_overlap):
    """The `Judgement` of a `Picture`.

    Detections find objects of their own class first, as VOC matches them. Then the best of those that are false go
    first, each to the ground truth that nothing has found and that it overlaps most: of its own class it has found it
    after all, which VOC does not allow; of another class it takes it for its own.
    """
    picture = picture.best_first(min_score)
    worth, truth = voc.match(picture, min_overlap)
    free = ~picture.ignored
    free[truth[truth >= 0]] = False
    overlaps = box_lib.iou(np.asarray(picture.detected, float), np.asarray(picture.boxes, float), np)
    for index in np.flatnonzero(worth == voc.FALSE) if free.any() else ():
        row = np.where(free, overlaps[index], -1.)
        best = row.argmax()
        if row[best] >= min_overlap:
            truth[index], free[best] = best, False
            if picture.labels[best] == picture.detected_labels[index]:
                worth[index] = voc.MATCHED
    return Judgement(picture, worth, truth, free)


class Confusion:
    """Gathers judgements one by one, and keeps those of the worst pictures."""

    def __init__(self, num_classes, num_worst=0):
        """num_classes: C, background (0) included. num_worst: pictures to keep."""
        self.counts = np.zeros([num_classes, num_classes], int)   # [truth, detection]; 0: none
        self._num_worst, self._num_judged = num_worst, 0
        self._worst = []   # heap of (mistakes, -index, judgement)

    def add(self, judgement):
        """One `Judgement`."""
        labels, found = judgement.picture.labels, judgement.picture.detected_labels
        of_object = judgement.truth >= 0
        np.add.at(self.counts, (labels[judgement.truth[of_object]], found[of_object]), 1)
        np.add.at(self.counts, (0, found[judgement.false]), 1)
        np.add.at(self.counts, (labels[judgement.missed], 0), 1)
        if judgement.num_wrong and self._num_worst:
            entry = (judgement.num_wrong, -self._num_judged, judgement)
            (heapq.heappush if len(self._worst) < self._num_worst else heapq.heappushpop)(self._worst, entry)
        self._num_judged += 1

    def worst(self):
        """[(index of the picture, judgement), ...]: those with the most mistakes first."""
        return [(-index, judgement) for _, index, judgement in sorted(self._worst, reverse=True)]

    def found(self, label=None):
        """Objects, of one class or of all, that were found as what they are."""
        return int(np.trace(self.counts) if label is None else self.counts[label, label])

    def missed(self, label=None):
        """Objects, of one class or of all, that no detection overlaps."""
        return int(self.counts[1:, 0].sum() if label is None else self.counts[label, 0])

    def false(self, label=None):
        """Detections, of one class or of all, of no object."""
        return int(self.counts[0, 1:].sum() if label is None else self.counts[0, label])

    def confused(self):
        """[(truth, detection, times), ...]: the classes that are taken for each other, the most frequent first."""
        among = self.counts[1:, 1:] * ~np.eye(len(self.counts) - 1, dtype=bool)
        pairs = [(int(truth) + 1, int(found) + 1, int(among[truth, found])) for truth, found in np.argwhere(among)]
        return sorted(pairs, key=lambda pair: (-pair[2], pair))

    def table(self, class_names):
        """Rows of text for a file: ground truths down, detections across."""
        head = ['ground truth \\ detected as', *class_names, 'missed']
        rows = [[name, *map(int, [*self.counts[label, 1:], self.counts[label, 0]])]
                for label, name in enumerate(class_names, 1)]
        return [head, *rows, ['no object', *map(int, self.counts[0, 1:]), '']]

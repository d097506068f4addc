"""Error analysis at one score threshold: missed objects, class confusions and false positives."""
import heapq
from typing import NamedTuple

import numpy as np

from metrics import voc
from metrics.evaluated_image import EvaluatedImage
from nets import boxes as box_lib


class ImageErrors(NamedTuple):
    """An image with the outcome of each of its detections (D) and ground truths (M)."""
    image: EvaluatedImage            # its detections above the score threshold, sorted by score
    outcome: np.ndarray              # [D] int: TRUE_POSITIVE, FALSE_POSITIVE or IGNORED of `voc`
    ground_truth_index: np.ndarray   # [D] int: the object detected or confused; -1 if none
    missed: np.ndarray               # [M] bool: objects that no detection matches, of any class

    @property
    def confusions(self):
        """[D] bool: detections of an object of another class."""
        return (self.outcome == voc.FALSE_POSITIVE) & (self.ground_truth_index >= 0)

    @property
    def false_positives(self):
        """[D] bool: detections without an object, and repeated detections of one object."""
        return (self.outcome == voc.FALSE_POSITIVE) & (self.ground_truth_index < 0)

    @property
    def num_errors(self):
        """Missed objects, confusions and false positives in total."""
        return int(self.missed.sum() + self.confusions.sum() + self.false_positives.sum())


def find_errors(image, min_score, min_iou):
    """Classify the detections and ground truths of an image at one score threshold.

    First, detections are matched within their class, by VOC's rules. Then the false positives, in
    the order of their scores, are compared with the remaining objects of all classes: each is
    matched to the one it overlaps most, if their IoU is at least `min_iou`. With an object of its
    own class, it becomes a true positive (VOC counts it as false, because it overlaps another
    object more). With an object of another class, it is a confusion.

    Args:
        image: `EvaluatedImage`.
        min_score: smallest score of a detection that counts.
        min_iou: smallest IoU of a match.

    Returns:
        `ImageErrors`.
    """
    image = image.sort_by_score(min_score)
    outcome, index = voc.match(image, min_iou)
    unmatched = ~image.ignored
    unmatched[index[index >= 0]] = False
    iou = box_lib.iou(np.asarray(image.detected_boxes, float), np.asarray(image.boxes, float), np)
    for detection in np.flatnonzero(outcome == voc.FALSE_POSITIVE) if unmatched.any() else ():
        candidates = np.where(unmatched, iou[detection], -1.)
        best = candidates.argmax()
        if candidates[best] >= min_iou:
            index[detection], unmatched[best] = best, False
            if image.labels[best] == image.detected_labels[detection]:
                outcome[detection] = voc.TRUE_POSITIVE
    return ImageErrors(image, outcome, index, missed=unmatched)


class ConfusionMatrix:
    """Accumulates the errors of images, and keeps the images with the most errors."""

    def __init__(self, num_classes, num_worst=0):
        """Create a matrix of C = `num_classes` classes, background (0) included.

        num_worst: number of images to keep.
        """
        # [C, C]: ground-truth label, detected label. Row 0: no object; column 0: no detection.
        self.counts = np.zeros([num_classes, num_classes], int)
        self._num_worst, self._num_images = num_worst, 0
        self._worst = []   # heap of (number of errors, -image index, errors)

    def add(self, errors):
        """Add the `ImageErrors` of one image."""
        labels, detected_labels = errors.image.labels, errors.image.detected_labels
        has_object = errors.ground_truth_index >= 0
        np.add.at(self.counts, (labels[errors.ground_truth_index[has_object]],
                                detected_labels[has_object]), 1)
        np.add.at(self.counts, (0, detected_labels[errors.false_positives]), 1)
        np.add.at(self.counts, (labels[errors.missed], 0), 1)
        if errors.num_errors and self._num_worst:
            push = heapq.heappush if len(self._worst) < self._num_worst else heapq.heappushpop
            push(self._worst, (errors.num_errors, -self._num_images, errors))
        self._num_images += 1

    def worst_images(self):
        """Return [(image index, `ImageErrors`), ...], the images with the most errors first."""
        return [(-index, errors) for _, index, errors in sorted(self._worst, reverse=True)]

    def num_detected(self, label=None):
        """Return the number of objects detected with their class: of one class, or of all."""
        return int(np.trace(self.counts) if label is None else self.counts[label, label])

    def num_missed(self, label=None):
        """Return the number of objects without any detection: of one class, or of all."""
        return int(self.counts[1:, 0].sum() if label is None else self.counts[label, 0])

    def num_false_positives(self, label=None):
        """Return the number of detections without an object: of one class, or of all."""
        return int(self.counts[0, 1:].sum() if label is None else self.counts[0, label])

    def confused_classes(self):
        """Return [(ground-truth label, detected label, count), ...], most frequent pairs first."""
        counts = self.counts[1:, 1:] * ~np.eye(len(self.counts) - 1, dtype=bool)
        pairs = [(int(label) + 1, int(detected) + 1, int(counts[label, detected]))
                 for label, detected in np.argwhere(counts)]
        return sorted(pairs, key=lambda pair: (-pair[2], pair))

    def to_rows(self, class_names):
        """Return the rows of a CSV file: ground-truth classes down, detected classes across."""
        header = ['ground truth \\ detected as', *class_names, 'missed']
        rows = [[name, *map(int, [*self.counts[label, 1:], self.counts[label, 0]])]
                for label, name in enumerate(class_names, 1)]
        return [header, *rows, ['no object', *map(int, self.counts[0, 1:]), '']]

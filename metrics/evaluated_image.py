"""One evaluated picture, as all metrics take it."""
from typing import NamedTuple

import numpy as np

_OF_TRUTHS = ('boxes', 'labels', 'difficult', 'iscrowd', 'area')


class Picture(NamedTuple):
    """What is in a picture, and what was found there. Boxes are relative to it."""
    boxes: np.ndarray             # [M, 4] of the ground truths
    labels: np.ndarray            # [M] int
    difficult: np.ndarray         # [M] bool
    iscrowd: np.ndarray           # [M] bool
    area: np.ndarray              # [M] pixels that the object itself covers; 0 where the source does not say
    detected: np.ndarray          # [D, 4]
    detected_labels: np.ndarray   # [D] int
    scores: np.ndarray            # [D]
    height: int                   # pixels of the picture as it is stored
    width: int
    filename: str = ''
    source_id: str = ''           # what its source calls it

    @property
    def ignored(self):
        """[M] bool: ground truths that are neither found nor missed."""
        return self.difficult | self.iscrowd

    def chosen(self, detections):
        """The `Picture` with these of its detections alone, in this order: indices or bools."""
        return self._replace(detected=self.detected[detections], detected_labels=self.detected_labels[detections],
                             scores=self.scores[detections])

    def best_first(self, min_score=0.):
        """The `Picture` with its detections of this score and more, the best first."""
        order = np.argsort(-self.scores, kind='stable')
        return self.chosen(order[self.scores[order] >= min_score])

    def corner_and_sides(self, boxes):
        """Boxes [n, 4] -> [n, 4] float64 x, y, width, height in pixels, as COCO writes them."""
        ymin, xmin, ymax, xmax = np.transpose(np.asarray(boxes, float) * ((self.height, self.width) * 2))
        return np.stack([xmin, ymin, xmax - xmin, ymax - ymin], -1)


def of_batch(truths, found):
    """The `Picture`s of a batch.

    truths: name -> array [B, ...], as `preprocess_for_eval` makes it, padded with label 0. found: `Detections` of
    arrays.
    """
    for i, count in enumerate(found.count):
        real = truths['labels'][i] > 0
        yield Picture(
            **{name: truths[name][i][real] for name in _OF_TRUTHS}, detected=found.boxes[i, :count],
            detected_labels=found.labels[i, :count], scores=found.scores[i, :count],
            **{name: int(truths[name][i]) for name in ('height', 'width')},
            **{name: truths[name][i].decode(errors='replace') for name in ('filename', 'source_id')})

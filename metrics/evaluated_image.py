"""Ground truth and detections of one image: the input of every metric."""
from typing import NamedTuple

import numpy as np

_GROUND_TRUTH_FIELDS = ('boxes', 'labels', 'difficult', 'iscrowd', 'area')


class EvaluatedImage(NamedTuple):
    """Ground truth (M objects) and detections (D) of one image.

    Boxes are [ymin, xmin, ymax, xmax], relative to the image. Labels are 1..C-1.
    """
    boxes: np.ndarray             # [M, 4] ground-truth boxes
    labels: np.ndarray            # [M] int
    difficult: np.ndarray         # [M] bool: marked as difficult (VOC)
    iscrowd: np.ndarray           # [M] bool: one box around many objects (COCO)
    area: np.ndarray              # [M] area of the object's mask in pixels; 0 if unknown
    detected_boxes: np.ndarray    # [D, 4]
    detected_labels: np.ndarray   # [D] int
    scores: np.ndarray            # [D]
    height: int                   # of the stored image, in pixels
    width: int
    filename: str = ''
    source_id: str = ''           # id of the image in the source dataset

    @property
    def ignored(self):
        """[M] bool: ground truths that count neither as detected nor as missed."""
        return self.difficult | self.iscrowd

    def sort_by_score(self, min_score=0.):
        """Return a copy with the detections of at least `min_score`, highest score first.

        Detections of equal score keep their order.
        """
        order = np.argsort(-self.scores, kind='stable')
        order = order[self.scores[order] >= min_score]
        return self._replace(detected_boxes=self.detected_boxes[order],
                             detected_labels=self.detected_labels[order],
                             scores=self.scores[order])

    def to_coco_boxes(self, boxes):
        """Convert relative boxes [N, 4] to COCO's [x, y, width, height] in pixels, float64."""
        scale = (self.height, self.width) * 2
        ymin, xmin, ymax, xmax = np.transpose(np.asarray(boxes, float) * scale)
        return np.stack([xmin, ymin, xmax - xmin, ymax - ymin], -1)


def split_batch(ground_truth, detections):
    """Yield an `EvaluatedImage` for each image of a batch, without the padding.

    Args:
        ground_truth: dict of name -> array [B, ...], as `preprocess_for_eval` returns it. Boxes
            with label 0 are padding.
        detections: `Detections` of NumPy arrays [B, K, ...].
    """
    for i, count in enumerate(detections.count):
        is_object = ground_truth['labels'][i] > 0
        yield EvaluatedImage(
            **{name: ground_truth[name][i][is_object] for name in _GROUND_TRUTH_FIELDS},
            detected_boxes=detections.boxes[i, :count],
            detected_labels=detections.labels[i, :count],
            scores=detections.scores[i, :count],
            **{name: int(ground_truth[name][i]) for name in ('height', 'width')},
            **{name: ground_truth[name][i].decode(errors='replace')
               for name in ('filename', 'source_id')})

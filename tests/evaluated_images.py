"""Evaluated images for the tests of metrics."""
import numpy as np

from metrics.evaluated_image import EvaluatedImage

SQUARE, FAR_SQUARE = [0, 0, .4, .4], [.6, .6, 1, 1]   # boxes that do not overlap


def make_image(boxes=(), labels=(), detections=(), size=(100, 100), **fields):
    """Return an `EvaluatedImage`.

    Args:
        boxes, labels: ground truths.
        detections: list of (box, label, score).
        size: height and width in pixels.
        fields: other fields. `difficult`, `iscrowd` and `area` are zeros by default.
    """
    detected, detected_labels, scores = zip(*detections, strict=True) if detections else ((),) * 3
    attributes = {name: np.array(fields.pop(name, [0] * len(labels)), dtype)
                  for name, dtype in (('difficult', bool), ('iscrowd', bool), ('area', float))}
    return EvaluatedImage(
        _box_array(boxes), np.array(labels, int), **attributes,
        detected_boxes=_box_array(detected), detected_labels=np.array(detected_labels, int),
        scores=np.array(scores, float), height=size[0], width=size[1],
        **{'filename': 'a.jpg', 'source_id': '7', **fields})


def _box_array(boxes):
    return np.reshape(np.array(boxes, float), (-1, 4))


def add_all(metric, *images):
    """Add images to a metric, and return the metric."""
    for image in images:
        metric.add(image)
    return metric

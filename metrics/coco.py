"""COCO's average precision and recall, computed by faster-coco-eval (equal to pycocotools)."""
from typing import NamedTuple

import numpy as np

# Sizes of objects: small ones cover up to 32x32 pixels, medium ones up to 96x96.
AREA_RANGES = ('all', 'small', 'medium', 'large')
_MAX_DETECTIONS = (1, 10, 100)   # per class and image
_IOU_THRESHOLDS = np.linspace(.5, .95, 10)


class Metric(NamedTuple):
    """Definition of one of COCO's metrics."""
    measure: str                # 'precision' or 'recall'
    iou: float | None = None    # one of the IoU thresholds; None: mean over .50, .55, ..., .95
    area: str = 'all'           # one of AREA_RANGES
    max_detections: int = 100   # 1, 10 or 100 for recall; always 100 for precision


# The twelve metrics that COCO's evaluation reports, in its order.
SUMMARY_METRICS = {
    'AP': Metric('precision'),
    'AP50': Metric('precision', iou=.5),
    'AP75': Metric('precision', iou=.75),
    'APs': Metric('precision', area='small'),
    'APm': Metric('precision', area='medium'),
    'APl': Metric('precision', area='large'),
    'AR1': Metric('recall', max_detections=1),
    'AR10': Metric('recall', max_detections=10),
    'AR100': Metric('recall', max_detections=100),
    'ARs': Metric('recall', area='small'),
    'ARm': Metric('recall', area='medium'),
    'ARl': Metric('recall', area='large')}


class CocoMetric:
    """Accumulates images and computes COCO's metrics.

    Crowd regions are treated as in COCO. Difficult ground truths (VOC) are ignored: they count
    neither as detected nor as missed. If the mask area of an object is unknown, the area of its
    box decides its size.
    """

    def __init__(self, num_classes):
        """Create a metric for C = `num_classes` classes, background (0) included."""
        self._num_classes = num_classes
        self._num_images = 0
        # Columns: image, label, x, y, width, height, area, crowd, difficult.
        self._ground_truths = [np.zeros([0, 9])]
        # Columns: image, label, x, y, width, height, score.
        self._detections = [np.zeros([0, 7])]
        self._results = None   # cache of `_evaluate`; None after `add`

    def add(self, image):
        """Add an `EvaluatedImage`."""
        self._num_images += 1
        # COCO stores hundredths of a pixel. Rounding to thousandths undoes the error of float32.
        boxes, detected = (np.round(image.to_coco_boxes(boxes), 3)
                           for boxes in (image.boxes, image.detected_boxes))
        area = np.where(image.area > 0, image.area, boxes[:, 2] * boxes[:, 3])
        self._ground_truths.append(np.column_stack([
            np.full(len(boxes), self._num_images), image.labels, boxes, area, image.iscrowd,
            image.difficult]))
        self._detections.append(np.column_stack([
            np.full(len(detected), self._num_images), image.detected_labels, detected,
            image.scores]))
        self._results = None

    def value(self, metric, label=None):
        """Return the value of a `Metric`; NaN without objects of that size and class.

        label: a class; None for the mean over all classes that have such objects.
        """
        values = self._evaluate()[metric.measure][..., AREA_RANGES.index(metric.area)]
        if metric.measure == 'recall':
            values = values[:, :, _MAX_DETECTIONS.index(metric.max_detections)]
        values = values[1:] if label is None else values[label:label + 1]
        if metric.iou is not None:
            values = values[:, np.isclose(_IOU_THRESHOLDS, metric.iou)]
        known = values[~np.isnan(values)]
        return float(known.mean()) if known.size else float('nan')

    def average_precisions(self):
        """Return {'COCO': [C]}: AP per class, NaN for classes without objects."""
        metric = SUMMARY_METRICS['AP']
        return {'COCO': np.array([self.value(metric, label) for label in range(self._num_classes)])}

    def mean_average_precisions(self):
        """Return {'COCO': mAP}: the mean over classes with objects, NaN if none has."""
        return {'COCO': self.value(SUMMARY_METRICS['AP'])}

    def num_objects(self, area):
        """Return the number of ground truths in an area range, without difficult and crowds."""
        ground_truths = np.concatenate(self._ground_truths)
        low, high = _area_bounds(area)
        in_range = (ground_truths[:, 6] >= low) & (ground_truths[:, 6] <= high)
        return int((in_range & ~ground_truths[:, 7:].any(1)).sum())

    def _evaluate(self):
        """Return {'precision': [C, IoUs, areas], 'recall': [C, IoUs, max detections, areas]}.

        Values without objects are NaN. Classes are independent of each other, so evaluating them
        one by one gives the same result in less memory.
        """
        if self._results is None:
            ground_truths = np.concatenate(self._ground_truths)
            detections = np.concatenate(self._detections)
            precision, recall = zip(*(
                _evaluate_class(ground_truths[ground_truths[:, 1] == label],
                                detections[detections[:, 1] == label])
                for label in range(self._num_classes)), strict=True)
            self._results = {'precision': np.stack(precision), 'recall': np.stack(recall)}
        return self._results


def _area_bounds(area):
    """Return the smallest and the largest area of an area range, in pixels."""
    sides = {'all': (0, 1e5), 'small': (0, 32), 'medium': (32, 96), 'large': (96, 1e5)}[area]
    return [side ** 2 for side in sides]


def _evaluate_class(ground_truths, detections):
    """Return precision [IoUs, areas] and recall [IoUs, max detections, areas] of one class.

    ground_truths, detections: rows of the class, with the columns of `CocoMetric`.
    """
    if not len(ground_truths):
        return np.full([10, 4], np.nan), np.full([10, 3, 4], np.nan)
    image_ids = np.unique(np.concatenate([ground_truths[:, 0], detections[:, 0]])).astype(int)
    evaluation = _make_evaluation(
        _make_coco(image_ids, [
            {**_annotation(row), 'area': row[6], 'iscrowd': int(row[7]), 'difficult': int(row[8])}
            for row in ground_truths.tolist()]),
        _make_coco(image_ids, [
            {**_annotation(row), 'area': row[4] * row[5], 'iscrowd': 0, 'score': row[6]}
            for row in detections.tolist()]))
    evaluation.evaluate()
    evaluation.accumulate()
    # The library marks missing values by -1.
    precision, recall = (np.where(values < 0, np.nan, values)
                         for values in (evaluation.eval['precision'], evaluation.eval['recall']))
    return precision[:, :, 0, :, -1].mean(1), recall[:, 0].swapaxes(1, 2)


def _annotation(row):
    """Return the fields that COCO's ground truths and detections have in common."""
    return {'image_id': int(row[0]), 'category_id': 1, 'bbox': row[2:6]}


def _make_coco(image_ids, annotations):
    """Return a `faster_coco_eval.COCO` of annotations of one category."""
    from faster_coco_eval import COCO
    coco = COCO()
    coco.dataset = {
        'images': [{'id': int(image_id)} for image_id in image_ids],
        'categories': [{'id': 1}],
        'annotations': [{'id': number, **annotation}
                        for number, annotation in enumerate(annotations, 1)]}
    coco.createIndex()
    return coco


def _make_evaluation(ground_truths, detections):
    """Return COCO's evaluation of boxes that also ignores difficult ground truths."""
    from faster_coco_eval import COCOeval_faster

    class Evaluation(COCOeval_faster):
        """Evaluation that ignores difficult ground truths."""

        def _prepare(self):
            super()._prepare()
            for annotation in self.cocoGt.dataset['annotations']:
                annotation['ignore'] = int(annotation['iscrowd'] or annotation['difficult'])
    return Evaluation(ground_truths, detections, 'bbox')

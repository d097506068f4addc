"""Average precision and recall as COCO counts them, by faster-coco-eval: pycocotools' numbers in less time."""
import numpy as np

AREAS = ('all', 'small', 'medium', 'large')   # objects up to 32x32 pixels, up to 96x96, and larger ones
MOST = (1, 10, 100)                           # detections of a class in a picture
# COCO's twelve, in its order: name -> (kind, overlap or None for the mean over .50, .55, ..., .95, area, most).
NUMBERS = {
    'AP': ('precision', None, 'all', 100), 'AP50': ('precision', .5, 'all', 100),
    'AP75': ('precision', .75, 'all', 100), 'APs': ('precision', None, 'small', 100),
    'APm': ('precision', None, 'medium', 100), 'APl': ('precision', None, 'large', 100),
    'AR1': ('recall', None, 'all', 1), 'AR10': ('recall', None, 'all', 10), 'AR100': ('recall', None, 'all', 100),
    'ARs': ('recall', None, 'small', 100), 'ARm': ('recall', None, 'medium', 100),
    'ARl': ('recall', None, 'large', 100)}
_OVERLAPS = np.linspace(.5, .95, 10)


class CocoMetric:
    """Gathers pictures one by one.

    Crowds are COCO's; difficult ground truths, which COCO does not have, are neither found nor missed. Where a source
    does not say how many pixels an object covers, those of its box count.
    """
    names = ('COCO',)

    def __init__(self, num_classes):
        """num_classes: C, background (0) included."""
        self._num_classes = num_classes
        self._num_pictures = 0
        self._truths = [np.zeros([0, 9])]       # picture, label, x, y, width, height, area, crowd, difficult
        self._detections = [np.zeros([0, 7])]   # picture, label, x, y, width, height, score
        self._values = None                     # of all that `add` has been given, once they were asked for

    def add(self, picture):
        """One `Picture`."""
        self._num_pictures += 1
        # COCO writes hundredths of a pixel: rounded to thousandths, what float32 has lost of them comes back.
        boxes, found = (np.round(picture.corner_and_sides(boxes), 3) for boxes in (picture.boxes, picture.detected))
        area = np.where(picture.area > 0, picture.area, boxes[:, 2] * boxes[:, 3])
        self._truths.append(np.column_stack([
            np.full(len(boxes), self._num_pictures), picture.labels, boxes, area, picture.iscrowd, picture.difficult]))
        self._detections.append(np.column_stack([
            np.full(len(found), self._num_pictures), picture.detected_labels, found, picture.scores]))
        self._values = None

    def number(self, kind, overlap=None, area='all', most=100, label=None):
        """One of COCO's numbers over all classes or of one, NaN where it has no ground truth; see `NUMBERS`.

        kind: 'precision' or 'recall'. area: of `AREAS`. most: of `MOST`; precision knows 100 alone.
        """
        values = self._evaluated()[kind][..., AREAS.index(area)]
        values = values[:, :, MOST.index(most)] if kind == 'recall' else values
        values = values[1:] if label is None else values[label:label + 1]
        if overlap is not None:
            values = values[:, np.isclose(_OVERLAPS, overlap)]
        known = values[~np.isnan(values)]
        return float(known.mean()) if known.size else float('nan')

    def average_precisions(self, name='COCO'):
        """[C] AP of every class; NaN for the background and for classes without truths."""
        del name
        return np.array([self.number('precision', label=label) for label in range(self._num_classes)])

    def mean_average_precision(self, name='COCO'):
        """Mean over the classes that have ground truths; NaN if none has."""
        del name
        return self.number('precision')

    def num_truths(self, area):
        """Ground truths of a size (of `AREAS`) that are counted: neither difficult nor crowds."""
        truths = np.concatenate(self._truths)
        low, high = _bounds(area)
        return int(((truths[:, 6] >= low) & (truths[:, 6] <= high) & ~truths[:, 7:].any(1)).sum())

    def _evaluated(self):
        """{'precision': [C, overlaps, areas], 'recall': [C, overlaps, most, areas]}, NaN where there is nothing.

        Classes are independent of each other; to take them one by one bounds the memory.
        """
        if self._values is None:
            truths, detections = np.concatenate(self._truths), np.concatenate(self._detections)
            found = [_evaluate_class(truths[truths[:, 1] == label], detections[detections[:, 1] == label])
                     for label in range(self._num_classes)]
            self._values = {kind: np.stack(values)
                            for kind, values in zip(('precision', 'recall'), zip(*found, strict=True), strict=True)}
        return self._values


def _bounds(area):
    """The least and the largest area in pixels that belong to a size."""
    sides = {'all': (0, 1e5), 'small': (0, 32), 'medium': (32, 96), 'large': (96, 1e5)}[area]
    return [side ** 2 for side in sides]


def _evaluate_class(truths, detections):
    """Rows of one class -> precision [overlaps, areas], recall [overlaps, most, areas], NaN where there is nothing."""
    if not len(truths):
        return np.full([10, 4], np.nan), np.full([10, 3, 4], np.nan)
    images = [{'id': int(image)} for image in np.unique(np.concatenate([truths[:, 0], detections[:, 0]]))]
    evaluation = _evaluation(
        _content(images, [{**_annotation(row), 'area': row[6], 'iscrowd': int(row[7]), 'difficult': int(row[8])}
                          for row in truths.tolist()]),
        _content(images, [{**_annotation(row), 'area': row[4] * row[5], 'iscrowd': 0, 'score': row[6]}
                          for row in detections.tolist()]))
    evaluation.evaluate()
    evaluation.accumulate()
    precision, recall = (np.where(values < 0, np.nan, values)
                         for values in (evaluation.eval['precision'], evaluation.eval['recall']))
    return precision[:, :, 0, :, -1].mean(1), recall[:, 0].swapaxes(1, 2)


def _annotation(row):
    """What COCO has of a truth and of a detection alike."""
    return {'image_id': int(row[0]), 'category_id': 1, 'bbox': row[2:6]}


def _content(images, annotations):
    """The library's view of a COCO JSON."""
    from faster_coco_eval import COCO
    content = COCO()
    content.dataset = {'images': images, 'categories': [{'id': 1}], 'annotations': [
        {'id': number, **annotation} for number, annotation in enumerate(annotations, 1)]}
    content.createIndex()
    return content


def _evaluation(truths, detections):
    """COCO's evaluation of boxes, in which difficult ground truths do not count."""
    from faster_coco_eval import COCOeval_faster

    class Evaluation(COCOeval_faster):
        """One of which the library knows nothing but that a ground truth may be ignored."""

        def _prepare(self):
            super()._prepare()
            for annotation in self.cocoGt.dataset['annotations']:
                annotation['ignore'] = int(annotation['iscrowd'] or annotation['difficult'])
    return Evaluation(truths, detections, 'bbox')

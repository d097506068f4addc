"""All metrics of one split, as numbers and as a report."""
from metrics import coco, confusion, error_types, voc

_NUM_CONFUSIONS = 5   # pairs of classes in the report
# Row of the report -> COCO's metric, evaluated per area range.
_COCO_ROWS = {'AP, IoU 0.50:0.95': coco.Metric('precision'),
              'AP, IoU 0.50': coco.Metric('precision', iou=.5),
              'AP, IoU 0.75': coco.Metric('precision', iou=.75),
              'AR, IoU 0.50:0.95': coco.Metric('recall')}


class Evaluation:
    """Accumulates the images of a split and computes all metrics.

    Attributes:
        kept: dict of image index -> `ImageErrors`, of the images with `kept_indices`.
        max_score: highest score of all detections; 0 without detections.
    """

    def __init__(self, class_names, min_iou=.5, min_score=.5, num_worst=0, kept_indices=(),
                 extra_metrics=()):
        """Create an evaluation without images.

        Args:
            class_names: names of the classes, label 1 first.
            min_iou: smallest IoU of a true positive, for VOC's AP and the error analysis.
            min_score: smallest score of a detection in the error analysis.
            num_worst: number of images with the most errors to keep for `confusion`.
            kept_indices: indices of images to keep in `kept`.
            extra_metrics: objects with an `add` method, which is called with every image.
        """
        self._class_names, self._min_iou, self.min_score = class_names, min_iou, min_score
        self.voc = voc.VocMetric(len(class_names) + 1, min_iou)
        self.coco = coco.CocoMetric(len(class_names) + 1)
        self.confusion = confusion.ConfusionMatrix(len(class_names) + 1, num_worst)
        self.kept = dict.fromkeys(kept_indices)
        self.num_images, self.max_score = 0, 0.
        self.error_types = error_types.ErrorTypes(len(class_names) + 1, min_iou)
        self._metrics = (self.voc, self.coco, self.error_types, *extra_metrics)

    def add(self, image):
        """Add an `EvaluatedImage`."""
        for metric in self._metrics:
            metric.add(image)
        errors = confusion.find_errors(image, self.min_score, self._min_iou)
        self.confusion.add(errors)
        if self.num_images in self.kept:
            self.kept[self.num_images] = errors
        self.num_images += 1
        self.max_score = max(self.max_score, float(image.scores.max(initial=0.)))

    def has_ground_truth(self):
        """Return whether the images have any object that counts."""
        return any(self.voc.num_objects(label) for label in range(1, len(self._class_names) + 1))

    def result(self):
        """Return all numbers as a dict for JSON. Numbers without ground truth are None."""
        class_aps = {**self.voc.average_precisions(), **self.coco.average_precisions()}
        mean_aps = {**self.voc.mean_average_precisions(), **self.coco.mean_average_precisions()}
        errors = self.confusion
        # The keys 'pictures', 'truths' and 'found' are part of the file format of earlier versions.
        return {
            'pictures': self.num_images,
            'mAP': {name: _to_json(value) for name, value in mean_aps.items()},
            'COCO': {name: _to_json(self.coco.value(metric))
                     for name, metric in coco.SUMMARY_METRICS.items()},
            'truths': {area: self.coco.num_objects(area) for area in coco.AREA_RANGES},
            'confusion': {'min_score': self.min_score, 'found': errors.num_detected(),
                          'missed': errors.num_missed(), 'false': errors.num_false_positives(),
                          'confused': sum(count for *_, count in errors.confused_classes())},
            'lost_ap': self.error_types.lost_ap(),
            'classes': {name: {'truths': self.voc.num_objects(label),
                               **{ap: _to_json(values[label]) for ap, values in class_aps.items()},
                               'found': errors.num_detected(label),
                               'missed': errors.num_missed(label),
                               'false': errors.num_false_positives(label)}
                        for label, name in enumerate(self._class_names, 1)}}

    def report(self):
        """Return the lines of a report for the user. The last line has the mAP."""
        if not self.has_ground_truth():
            return ['the split has no ground truth, so average precision cannot be computed; '
                    'the ground truth of VOC2012 test and COCO test is not public, but their '
                    'servers evaluate the files of --write_detections']
        result = self.result()
        means = ', '.join(f'{name} {_format(value)}' for name, value in result['mAP'].items())
        return [*_class_table(result), '', *self._size_table(result['truths']), '',
                *self._error_lines(result), '',
                f'mAP over classes with ground truth: {means}']

    def _size_table(self, num_objects):
        """Return the lines of COCO's metrics, one column per area range."""
        header = f'{"COCO, by object size":24}' + ''.join(f'{area:>9}' for area in coco.AREA_RANGES)
        counts = f'{"objects":24}' + ''.join(f'{num_objects[area]:9}' for area in coco.AREA_RANGES)
        rows = [f'{name:24}' + ''.join(f'{_format(self.coco.value(metric._replace(area=area))):>9}'
                                       for area in coco.AREA_RANGES)
                for name, metric in _COCO_ROWS.items()]
        return [header, counts, *rows]

    def _error_lines(self, result):
        """Return the totals of the error analysis, frequent confusions and costs of errors."""
        counts, lost = result['confusion'], result['lost_ap']
        lines = [f'at score {self.min_score:g} and IoU {self._min_iou:g}: '
                 f'{counts["found"]} objects detected, {counts["missed"]} missed, '
                 f'{counts["confused"]} detected as another class, '
                 f'{counts["false"]} false positives']
        names = self._class_names
        pairs = [f'{names[label - 1]} as {names[detected - 1]} ({count})' for
                 label, detected, count in self.confusion.confused_classes()[:_NUM_CONFUSIONS]]
        lines += [f'most frequent confusions: {", ".join(pairs)}'] if pairs else []
        costs = [f'{name} {lost[name]:.3f}' for name in sorted(lost, key=lost.get, reverse=True)]
        return [*lines, f'mAP (VOC12) lost by type of error: {", ".join(costs)}']


def _class_table(result):
    """Return the lines of the table with one row per class."""
    width = max(map(len, [*result['classes'], 'class']))
    names = '  '.join(f'{"AP " + name:>8}' for name in result['mAP'])
    lines = [f'{"class":{width}}  objects  {names}  detected  missed  false']
    for class_name, row in result['classes'].items():
        values = '  '.join(f'{_format(row[name]):>8}' for name in result['mAP'])
        lines.append(f'{class_name:{width}}  {row["truths"]:7}  {values}  {row["found"]:8}  '
                     f'{row["missed"]:6}  {row["false"]:5}')
    return lines


def _to_json(value):
    """Return a float, or None for NaN, which JSON does not have."""
    return None if value != value else float(value)


def _format(value):
    return '-' if value is None or value != value else f'{value:.3f}'

"""All metrics of a split, and what is said and kept of them."""
from metrics import coco, confusion, voc

_CONFUSED = 5   # pairs of classes that are named


class Evaluation:
    """Gathers pictures one by one. `kept`: index -> `Judgement` of the pictures that were asked for."""

    def __init__(self, class_names, min_overlap=.5, min_score=.5, num_worst=0, keep=(), more=()):
        """class_names: label 1 first. min_overlap: from which a detection is right, for VOC and the confusion.

        min_score: of detections that count in the confusion. num_worst: pictures whose mistakes it keeps. keep: indices
        of pictures to keep too. more: further metrics to which every picture is added.
        """
        self._class_names, self._min_overlap, self.min_score = class_names, min_overlap, min_score
        self.voc = voc.VocMetric(len(class_names) + 1, min_overlap)
        self.coco = coco.CocoMetric(len(class_names) + 1)
        self.confusion = confusion.Confusion(len(class_names) + 1, num_worst)
        self.kept = dict.fromkeys(keep)
        self.num_pictures = 0
        self._metrics = (self.voc, self.coco, *more)

    def add(self, picture):
        """One `Picture`."""
        for metric in self._metrics:
            metric.add(picture)
        judgement = confusion.judge(picture, self.min_score, self._min_overlap)
        self.confusion.add(judgement)
        if self.num_pictures in self.kept:
            self.kept[self.num_pictures] = judgement
        self.num_pictures += 1

    def has_truths(self):
        """Whether there was anything to find."""
        return any(self.voc.num_truths(label) for label in range(1, len(self._class_names) + 1))

    def result(self):
        """The numbers for a file, None where there is none."""
        scored = {name: metric for metric in (self.voc, self.coco) for name in metric.names}
        classes = {name: metric.average_precisions(name) for name, metric in scored.items()}
        return {
            'pictures': self.num_pictures,
            'mAP': {name: _number(metric.mean_average_precision(name)) for name, metric in scored.items()},
            'COCO': {name: _number(self.coco.number(*what)) for name, what in coco.NUMBERS.items()},
            'truths': {area: self.coco.num_truths(area) for area in coco.AREAS},
            'confusion': {'min_score': self.min_score, 'found': self.confusion.found(),
                          'missed': self.confusion.missed(), 'false': self.confusion.false(),
                          'confused': sum(times for *_, times in self.confusion.confused())},
            'classes': {name: {'truths': self.voc.num_truths(label),
                               **{column: _number(found[label]) for column, found in classes.items()},
                               'found': self.confusion.found(label), 'missed': self.confusion.missed(label),
                               'false': self.confusion.false(label)}
                        for label, name in enumerate(self._class_names, 1)}}

    def lines(self):
        """What a person reads of it, a list; the mean average precisions stand in its last line."""
        if not self.has_truths():
            return ['there is no ground truth (that of VOC2012 test and COCO test is not public), so no average '
                    'precision can be computed; their servers take what --write_detections writes']
        result = self.result()
        return [*_class_lines(result), '', *self._size_lines(result['truths']), '', *self._confusion_lines(result), '',
                'mAP over the classes that occur: '
                + ', '.join(f'{name} {_shown(value)}' for name, value in result['mAP'].items())]

    def _size_lines(self, truths):
        """COCO's numbers, a column for each size of objects."""
        lines = [f'{"objects by size (COCO)":32}' + ''.join(f'{area:>9}' for area in coco.AREAS),
                 f'{"truths":32}' + ''.join(f'{truths[area]:9}' for area in coco.AREAS)]
        rows = {'precision, overlaps .50 to .95': ('precision', None), 'precision, overlap .50': ('precision', .5),
                'precision, overlap .75': ('precision', .75), 'recall, overlaps .50 to .95': ('recall', None)}
        return lines + [f'{name:32}' + ''.join(f'{_shown(self.coco.number(*what, area)):>9}' for area in coco.AREAS)
                        for name, what in rows.items()]

    def _confusion_lines(self, result):
        counts = result['confusion']
        lines = [f'found, missed, false: detections from a score of {self.min_score:g} on; all classes: '
                 f'{counts["found"]} found, {counts["missed"]} missed, {counts["confused"]} taken for another class, '
                 f'{counts["false"]} false']
        pairs = [f'{self._class_names[truth - 1]} for {self._class_names[found - 1]} ({times})'
                 for truth, found, times in self.confusion.confused()[:_CONFUSED]]
        return lines + ([f'most often taken: {", ".join(pairs)}'] if pairs else [])


def _class_lines(result):
    """The table of classes."""
    width = max(map(len, [*result['classes'], 'class']))
    lines = [f'{"class":{width}}  truths  ' + '  '.join(f'{"AP " + name:>8}' for name in result['mAP'])
             + '   found  missed   false']
    for name, row in result['classes'].items():
        values = '  '.join(f'{_shown(row[column]):>8}' for column in result['mAP'])
        lines.append(f'{name:{width}}  {row["truths"]:6}  {values}  {row["found"]:6}  {row["missed"]:6}  '
                     f'{row["false"]:6}')
    return lines


def _number(value):
    """A float for JSON, which has no NaN: None where there was nothing to find."""
    return None if value != value else float(value)


def _shown(value):
    return '-' if value is None or value != value else f'{value:.3f}'

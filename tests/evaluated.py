"""Evaluated pictures for tests of metrics."""
import numpy as np

from metrics.picture import Picture

SQUARE, APART = [0, 0, .4, .4], [.6, .6, 1, 1]


def picture(truths=(), labels=(), difficult=(), detected=(), detected_labels=(), scores=(), iscrowd=(), area=(),
            size=(100, 100), filename='a.jpg', source_id='7'):
    """A `Picture` from lists; what is left out is False, or 0. size: height and width."""
    def filled(values, dtype):
        return np.array(list(values) or [0] * len(labels), dtype)
    return Picture(np.reshape(np.array(truths, float), (-1, 4)), np.array(labels, int), filled(difficult, bool),
                   filled(iscrowd, bool), filled(area, float), np.reshape(np.array(detected, float), (-1, 4)),
                   np.array(detected_labels, int), np.array(scores, float), *size, filename, source_id)


def gathered(metric, *pictures):
    """The metric, after these pictures."""
    for one in pictures:
        metric.add(one)
    return metric

"""Draw the detections of an image against its ground truth, colored by outcome."""
import collections
import io

from PIL import Image

from metrics import voc
from visualization.drawing import draw_boxes

# Outcome -> RGB color, in the order of the legend. Also distinct for color-blind readers.
COLORS = {
    'ground truth, detected': (0, 158, 115),
    'ground truth, missed': (240, 228, 66),
    'ground truth, ignored (difficult or crowd)': (153, 153, 153),
    'correct detection': (86, 180, 233),
    'detection of an object of another class': (204, 121, 167),
    'false positive': (213, 94, 0),
    'ignored detection': (119, 119, 119)}
(_DETECTED, _MISSED, _IGNORED_OBJECT,
 _CORRECT, _CONFUSED, _FALSE_POSITIVE, _IGNORED_DETECTION) = COLORS.values()
_OUTCOME_COLORS = {voc.TRUE_POSITIVE: _CORRECT, voc.FALSE_POSITIVE: _FALSE_POSITIVE,
                   voc.IGNORED: _IGNORED_DETECTION}


def draw(encoded, errors, class_names, side=560):
    """Return a PIL image with the ground truths and detections of an image drawn.

    Args:
        encoded: bytes of the image file.
        errors: `ImageErrors` of the image.
        class_names: names of the classes, label 1 first.
        side: longer side of the result in pixels.
    """
    image = Image.open(io.BytesIO(encoded)).convert('RGB')
    scale = side / max(image.size)
    image = image.resize([max(1, round(edge * scale)) for edge in image.size], Image.LANCZOS)
    drawn = [*_detections(errors, class_names), *_ground_truths(errors, class_names)]
    return draw_boxes(image, *([box[column] for box in drawn] for column in range(3)))


def describe_errors(errors, class_names):
    """Return the errors as text: '2 cat missed; dog detected as cat; 3 false dog'."""
    def name(label):
        return class_names[label - 1]
    labels, detected_labels = errors.image.labels, errors.image.detected_labels
    texts = [f'{name(label)} missed' for label in labels[errors.missed]]
    texts += [f'{name(labels[index])} detected as {name(detected)}' for detected, index in
              zip(detected_labels[errors.confusions], errors.ground_truth_index[errors.confusions],
                  strict=True)]
    texts += [f'false {name(label)}' for label in detected_labels[errors.false_positives]]
    return '; '.join(f'{count} {text}' if count > 1 else text
                     for text, count in collections.Counter(texts).items())


def _detections(errors, class_names):
    """Yield (box, caption, color) of each detection, best first."""
    image = errors.image
    for box, label, score, outcome, index in zip(
            image.detected_boxes, image.detected_labels, image.scores, errors.outcome,
            errors.ground_truth_index, strict=True):
        caption = f'{class_names[label - 1]} {score:.2f}'
        if outcome == voc.FALSE_POSITIVE and index >= 0:
            yield box, f'{caption}, is {class_names[image.labels[index] - 1]}', _CONFUSED
        else:
            yield box, caption, _OUTCOME_COLORS[outcome]


def _ground_truths(errors, class_names):
    """Yield (box, caption, color) of each ground truth."""
    image = errors.image
    for box, label, missed, difficult, crowd in zip(
            image.boxes, image.labels, errors.missed, image.difficult, image.iscrowd, strict=True):
        name = class_names[label - 1]
        if crowd or difficult:
            yield box, f'{name}, {"crowd" if crowd else "difficult"}', _IGNORED_OBJECT
        elif missed:
            yield box, f'{name} missed', _MISSED
        else:
            yield box, '', _DETECTED

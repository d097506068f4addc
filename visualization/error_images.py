"""What was found in a picture against what is there, for people."""
import collections
import io

from PIL import Image

from metrics import voc
from visualization.drawing import draw_boxes

# What a box is -> its colour; these seven stay apart for colour-blind eyes too.
COLOURS = {'ground truth, found': (0, 158, 115), 'ground truth, missed': (240, 228, 66),
           'difficult or crowd, not counted': (153, 153, 153), 'right detection': (86, 180, 233),
           'detection of an object of another class': (204, 121, 167), 'false detection': (213, 94, 0),
           'detection that does not count': (119, 119, 119)}
(_FOUND, _MISSED, _IGNORED, _RIGHT, _CONFUSED, _FALSE, _NOT_COUNTED) = COLOURS.values()


def draw(encoded, judgement, class_names, side=560):
    """A PIL image, its longer side so many pixels, of an encoded picture with the boxes of its `Judgement`."""
    image = Image.open(io.BytesIO(encoded)).convert('RGB')
    scale = side / max(image.size)
    image = image.resize([max(1, round(edge * scale)) for edge in image.size], Image.LANCZOS)
    drawn = [*_detections(judgement, class_names), *_truths(judgement, class_names)]
    return draw_boxes(image, *([box[part] for box in drawn] for part in range(3)))


def why(judgement, class_names):
    """What is wrong, in words: '2 cat missed; dog taken for cat; 3 false dog'."""
    def name(label):
        return class_names[label - 1]
    labels, found = judgement.picture.labels, judgement.picture.detected_labels
    mistakes = [f'{name(label)} missed' for label in labels[judgement.missed]]
    mistakes += [f'{name(labels[truth])} taken for {name(label)}' for label, truth in
                 zip(found[judgement.confused], judgement.truth[judgement.confused], strict=True)]
    mistakes += [f'false {name(label)}' for label in found[judgement.false]]
    return '; '.join(f'{times} {what}' if times > 1 else what
                     for what, times in collections.Counter(mistakes).items())


def _detections(judgement, class_names):
    """(box, caption, colour) of each detection, best first."""
    picture = judgement.picture
    for box, label, score, worth, truth in zip(picture.detected, picture.detected_labels, picture.scores,
                                               judgement.worth, judgement.truth, strict=True):
        caption = f'{class_names[label - 1]} {score:.2f}'
        if worth == voc.FALSE and truth >= 0:
            yield box, f'{caption}, is {class_names[picture.labels[truth] - 1]}', _CONFUSED
        else:
            yield box, caption, {voc.MATCHED: _RIGHT, voc.FALSE: _FALSE, voc.IGNORED: _NOT_COUNTED}[worth]


def _truths(judgement, class_names):
    """(box, caption, colour) of each ground truth."""
    picture = judgement.picture
    for box, label, missed, difficult, crowd in zip(picture.boxes, picture.labels, judgement.missed,
                                                    picture.difficult, picture.iscrowd, strict=True):
        name = class_names[label - 1]
        if crowd or difficult:
            yield box, f'{name}, {"crowd" if crowd else "difficult"}', _IGNORED
        else:
            yield (box, f'{name} missed', _MISSED) if missed else (box, '', _FOUND)

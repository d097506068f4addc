"""What is wrong with a data set, before any training: all of it at once, with the names of the files.

Errors are what conversion refuses; notes are legal, but seldom meant.
"""
import functools
import hashlib
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from datasets import broken_records, images, parallel_reading, records, schema
from datasets.annotation import BadBox

ERROR, NOTE = 'error', 'note'
# Kind of finding -> how grave it is, and its headline.
KINDS = {
    'undecodable': (ERROR, 'pictures or records that do not decode'),
    'unreadable': (ERROR, 'annotations that cannot be read'),
    'outside': (ERROR, 'boxes outside their picture'),
    'inverted': (ERROR, 'boxes that are empty or inverted'),
    'unknown': (ERROR, 'labels that are not in the list'),
    'duplicate': (NOTE, 'pictures that are in two splits'),
    'tiny': (NOTE, 'boxes with a side under 4 pixels after the resize'),
    'empty': (NOTE, 'pictures without any usable box'),
}
TINY = 4.            # pixels of the net's input: half a cell of its finest map
_TOLERANCE = 1e-3    # of the picture's side: what converters lose by rounding


class Finding(NamedTuple):
    """One thing that is wrong."""
    kind: str
    split: str
    text: str   # with the name of the file


class Picture(NamedTuple):
    """One picture as it was found, without crowds, which are not learnt."""
    name: str          # of its file, or of its record
    content: bytes     # encoded
    boxes: np.ndarray  # [M, 4] float32, those that are good
    labels: list       # M class names
    difficult: list    # M bools


class Examination:
    """What was found in the pictures that `add` was given, split by split."""

    def __init__(self, class_names, image_size):
        """class_names: those that are allowed, or None for all. image_size: side of the net's input in pixels."""
        self._findings = []
        self.pictures, self.boxes = {}, {}      # split -> number of pictures, split -> list of [M, 4]
        self.classes = {}                       # class name -> split -> [boxes, pictures, difficult boxes]
        self._class_names, self._image_size = class_names, image_size
        self._first = {}                        # digest of a picture -> (split, name) that had it first
        self._twice = {}                        # (split, split before it) -> what to say of each picture of both

    def note(self, kind, split, text):
        """Adds a finding."""
        self._findings.append(Finding(kind, split, text))

    def add(self, split, picture):
        """Looks at a `Picture` of a split."""
        self.pictures[split] = self.pictures.get(split, 0) + 1
        self.boxes.setdefault(split, []).append(picture.boxes)
        digest = hashlib.sha256(picture.content).digest()
        other, name = self._first.setdefault(digest, (split, picture.name))
        if other != split:
            self._twice.setdefault((split, other), []).append(
                f'{picture.name} is the same picture as {name} of {other}')
        if not picture.labels:
            self.note('empty', split, picture.name)
        sides = (picture.boxes[:, 2:] - picture.boxes[:, :2]) * self._image_size
        for label, (height, width) in zip(picture.labels, sides, strict=True):
            if min(height, width) < TINY:
                self.note('tiny', split, f"{picture.name}: a '{label}' of {width:.1f}x{height:.1f} pixels")
        for label in sorted(set(picture.labels)):
            count = self.classes.setdefault(label, {}).setdefault(split, [0, 0, 0])
            hard = [d for name, d in zip(picture.labels, picture.difficult, strict=True) if name == label]
            count[:] = count[0] + len(hard), count[1] + 1, count[2] + sum(hard)
            if self._class_names is not None and label not in self._class_names:
                self.note('unknown', split, f"{picture.name} holds a '{label}'")

    def all_boxes(self):
        """Boxes [M, 4] of all splits."""
        found = [boxes for split in self.boxes.values() for boxes in split]
        return np.concatenate([np.zeros([0, 4], np.float32), *found])

    def findings(self):
        """All that was found, a list. That one split lies within another, as train does in trainval, is said once."""
        twice = []
        for (split, other), texts in self._twice.items():
            for inner, outer in ((split, other), (other, split)):
                if len(texts) == self.pictures[inner]:
                    texts = [f'all {len(texts)} pictures of {inner} are in {outer} too']
                    break
            twice += [Finding('duplicate', split, text) for text in texts]
        return self._findings + twice

    def has_errors(self):
        """Whether conversion would refuse something."""
        return any(KINDS[finding.kind][0] == ERROR for finding in self._findings)


def class_table(examination):
    """Lines: the boxes of each class in each split, the pictures that hold it, and how many boxes are difficult."""
    splits = list(examination.pictures)
    width = max(map(len, [*examination.classes, 'class']))
    lines = [f'{"class":{width}}  ' + '  '.join(f'{split + ": boxes":>16} pictures difficult' for split in splits)]
    for name in sorted(examination.classes):
        counts = (examination.classes[name].get(split, (0, 0, 0)) for split in splits)
        lines.append(f'{name:{width}}  ' + '  '.join('{:16} {:8} {:9}'.format(*count) for count in counts))
    return lines


def finding_lines(examination, most):
    """Lines: the findings by kind, the gravest first, at most so many of a kind in full."""
    lines, findings = [], examination.findings()
    for kind, (gravity, headline) in KINDS.items():
        found = [finding for finding in findings if finding.kind == kind]
        if found:
            lines.append(f'{gravity}: {len(found)} {headline}')
            lines += [f'  {finding.split}: {finding.text}' for finding in found[:most]]
            if len(found) > most:
                lines.append(f'  and {len(found) - most} more')
    return lines


def examine(examination, split, outcome):
    """Looks at what came of reading one picture, a `parallel_reading.Outcome`."""
    for error in outcome.bad_boxes:
        examination.note(error.kind, split, str(error))
    if outcome.error:
        kind = 'undecodable' if isinstance(outcome.error, images.BadImage) else 'unreadable'
        return examination.note(kind, split, str(outcome.error))
    found = outcome.annotation
    boxes = np.array(found.boxes, np.float32).reshape(-1, 4)
    return examination.add(split, _without_crowds(Picture(
        found.image_path, found.encoded, boxes, found.names, found.difficult), found.iscrowd))


def _without_crowds(picture, iscrowd):
    """The `Picture` as training sees it; iscrowd: M bools, or nothing."""
    if not any(iscrowd):
        return picture
    chosen = [i for i, crowd in enumerate(iscrowd) if not crowd]
    return picture._replace(boxes=picture.boxes[chosen], labels=[picture.labels[i] for i in chosen],
                            difficult=[picture.difficult[i] for i in chosen])


def examine_folders(examination, readers, num_workers):
    """Looks at annotated pictures. readers: {split: list of functions as of `parallel_reading.outcomes`}."""
    flat = [(split, read) for split, reads in readers.items() for read in reads]
    outcomes = parallel_reading.outcomes([read for _, read in flat], num_workers)
    for (split, _), outcome in zip(flat, tqdm(outcomes, 'check', len(flat), unit=' pictures'), strict=True):
        examine(examination, split, outcome)


def examine_datasets(examination, datasets):
    """Looks at the records of `Dataset`s."""
    looks = [look for dataset in datasets for look in examine_records(examination, dataset)]
    for look in tqdm(looks, 'check', unit=' pictures'):
        look()


def examine_records(examination, dataset):
    """Notes the records of a `Dataset` that training cannot read; functions () that look at the others, one each."""
    broken = {(record.path, record.number): record for record in broken_records.find_broken_records(dataset)}
    for record in broken.values():
        examination.note('undecodable', dataset.split, str(record))
    return [functools.partial(_examine_record, examination, dataset, path, number, offset)
            for path, offsets in zip(dataset.files, dataset.offsets, strict=True)
            for number, offset in enumerate(offsets) if (path, number) not in broken]


def _examine_record(examination, dataset, path, number, offset):
    raw = schema.parse_raw(records.read_record(path, offset))
    name = f'record {number} of {path}' + (f" ('{raw.filename}')" if raw.filename else '')
    labels, sides = raw.labels, raw.sides
    if len({*map(len, sides), len(labels)}) > 1:
        return examination.note('unreadable', dataset.split, f'{name}: it has {len(labels)} labels, but '
                                f'{", ".join(str(len(side)) for side in sides)} ymin, xmin, ymax, xmax')
    good, (hards, crowds) = [], ((said + [0] * len(labels))[:len(labels)] for said in (raw.difficult, raw.iscrowd))
    for label, hard, crowd, *box in zip(labels, hards, crowds, *sides, strict=True):
        known = 0 < label < dataset.num_classes
        class_name = dataset.class_names[label - 1] if known else str(label)
        try:
            good.append((_checked(box, f"{name}: the box of a '{class_name}'"), class_name, bool(hard), crowd))
        except BadBox as error:
            examination.note(error.kind, dataset.split, str(error))
    boxes, names, hards, crowds = zip(*good, strict=True) if good else ((), (), (), ())
    return examination.add(dataset.split, _without_crowds(Picture(
        name, raw.encoded, np.array(boxes, np.float32).reshape(-1, 4), list(names), list(hards)), crowds))


def _checked(box, what):
    """A relative box, cut to the picture; BadBox where that is more than rounding."""
    what += ' (ymin {:g}, xmin {:g}, ymax {:g}, xmax {:g})'.format(*box)
    if not (box[0] < box[2] and box[1] < box[3]):   # also catches NaN
        raise BadBox('inverted', f'{what} is empty or inverted')
    if min(box) < -_TOLERANCE or max(box) > 1 + _TOLERANCE:
        raise BadBox('outside', f'{what} lies outside its picture; coordinates are relative, from 0 to 1')
    return np.clip(box, 0, 1)


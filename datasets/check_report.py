"""Statistics and problems of a dataset, for `tf_convert_data.py --check`.

Errors are problems that make conversion or training fail. Notes are valid, but usually not
intended.
"""
import hashlib
from typing import NamedTuple

import numpy as np

from common.errors import UserError
from common.text import counted
from datasets.class_names import mirrored_pairs

ERROR, NOTE = 'error', 'note'
# Problem -> severity and headline. The errors come first.
PROBLEMS = {
    'undecodable': (ERROR, 'images or records that do not decode'),
    'unreadable': (ERROR, 'invalid annotations'),
    'outside': (ERROR, 'boxes outside their image'),
    'inverted': (ERROR, 'empty or inverted boxes'),
    'unknown': (ERROR, 'labels that are not in the list of classes'),
    'size': (ERROR, 'images whose size is not that of their annotation'),
    'relative': (ERROR, 'images whose boxes seem to be relative, not in pixels'),
    'unused': (NOTE, 'files or annotations that are not used'),
    'shared': (NOTE, 'annotation files that several images share'),
    'renumbered': (NOTE, 'classes with other ids in another split, matched by name'),
    'rotated': (NOTE, 'images with an EXIF orientation'),
    'plain': (NOTE, 'images of nearly one color'),
    'large': (NOTE, 'images of more than 50 million pixels, which are slow to read'),
    'repeated': (NOTE, 'boxes that occur twice in an image'),
    'duplicate': (NOTE, 'images in more than one split'),
    'doubtful': (NOTE, 'annotations that name another image'),
    'mirrored': (NOTE, 'pairs of classes that a horizontal flip exchanges'),
    'tiny': (NOTE, 'boxes with a side below 4 pixels after the resize'),
    'empty': (NOTE, 'images without valid boxes'),
}
TINY_PIXELS = 4.   # of the net's input: half a cell of the finest feature map


class Finding(NamedTuple):
    """One occurrence of a problem."""
    problem: str   # key of PROBLEMS
    split: str
    text: str      # with the name of the file


class ExaminedImage(NamedTuple):
    """An image and its valid boxes, without crowds."""
    name: str          # of its file or record, for the report
    encoded: bytes
    boxes: np.ndarray  # [M, 4] float32, relative
    labels: list       # M class names
    difficult: list    # M bools

    def select(self, keep):
        """Return the image with only the boxes selected by keep: M bools."""
        indices = np.flatnonzero(keep)
        return self._replace(boxes=self.boxes[indices], labels=[self.labels[i] for i in indices],
                             difficult=[self.difficult[i] for i in indices])


class CheckReport:
    """Statistics and problems of the images of all splits.

    Args:
        class_names: Known classes, or None if all are allowed.
        image_size: Height and width of the net's input in pixels.

    Attributes:
        num_images: {split: number of images}.
        boxes: {split: list of [M, 4] arrays, one per image}.
        class_counts: {class name: {split: [boxes, images, difficult boxes]}}.
    """

    def __init__(self, class_names, image_size):
        self.num_images, self.boxes, self.class_counts = {}, {}, {}
        self._class_names, self._image_size = class_names, image_size
        self._findings = []
        self._first_with_digest = {}   # hash of an image -> (split, name) of its first occurrence
        self._duplicates = {}          # (split, earlier split) -> texts, one per image in both
        self._shared_digests = set()   # of images in more than one split

    def add_finding(self, problem, split, text):
        """Add an occurrence of a problem."""
        self._findings.append(Finding(problem, split, text))

    def add_image(self, split, image):
        """Add an `ExaminedImage` to the statistics, and check it for problems."""
        self.num_images[split] = self.num_images.get(split, 0) + 1
        self.boxes.setdefault(split, []).append(image.boxes)
        self._check_duplicate(split, image)
        if not image.labels:
            self.add_finding('empty', split, image.name)
        sizes = (image.boxes[:, 2:] - image.boxes[:, :2]) * self._image_size
        for label, (height, width) in zip(image.labels, sizes, strict=True):
            if min(height, width) < TINY_PIXELS:
                self.add_finding('tiny', split, f"{image.name}: a box of class '{label}' has "
                                                f'{width:.1f}x{height:.1f} pixels')
        for label in sorted(set(image.labels)):
            self._count_class(split, image, label)

    def _check_duplicate(self, split, image):
        digest = hashlib.sha256(image.encoded).digest()
        first_split, name = self._first_with_digest.setdefault(digest, (split, image.name))
        if first_split != split:
            self._shared_digests.add(digest)
            self._duplicates.setdefault((split, first_split), []).append(
                f'{image.name} is the same image as {name} of {first_split}')

    def _count_class(self, split, image, label):
        difficult = [flag for name, flag in zip(image.labels, image.difficult, strict=True)
                     if name == label]
        counts = self.class_counts.setdefault(label, {}).setdefault(split, [0, 0, 0])
        for i, number in enumerate((len(difficult), 1, sum(difficult))):
            counts[i] += number
        if self._class_names is not None and label not in self._class_names:
            self.add_finding('unknown', split, f"{image.name} has a box of class '{label}'")

    def num_distinct_images(self):
        """Return the number of images with different content."""
        return len(self._first_with_digest)

    def all_boxes(self):
        """Return the boxes of all splits: [M, 4] float32."""
        arrays = [boxes for split in self.boxes.values() for boxes in split]
        return np.concatenate([np.zeros([0, 4], np.float32), *arrays])

    def findings(self):
        """Return a list of all findings.

        If all images of a split are in another one too, as those of VOC's train are in trainval,
        this is one finding.
        """
        duplicates = []
        for (split, first_split), texts in self._duplicates.items():
            for part, whole in ((split, first_split), (first_split, split)):
                if len(texts) == self.num_images[part]:
                    texts = [f'all of {part} ({counted(len(texts), "image")}) is in {whole} too']
                    break
            duplicates += [Finding('duplicate', split, text) for text in texts]
        mirrored = [Finding('mirrored', 'all splits', f"'{left}' and '{right}': a flipped image of "
                            f'one shows the other. Train with --horizontal_flip=false')
                    for left, right in mirrored_pairs(self.class_counts)]
        return self._findings + duplicates + mirrored

    def count(self, problem):
        """Return the number of images or boxes with a problem; an image in two splits is one."""
        if problem == 'duplicate':
            return len(self._shared_digests)
        return sum(finding.problem == problem for finding in self.findings())

    def has_errors(self):
        """Return whether conversion or training would fail."""
        return any(PROBLEMS[finding.problem][0] == ERROR for finding in self._findings)


def class_table(report):
    """Return the lines of a table with one row per class: boxes, images, difficult boxes."""
    splits = list(report.num_images)
    width = max(map(len, [*report.class_counts, 'class']))
    headers = [f'{split + ": boxes":>16} {"images":>8} difficult' for split in splits]
    lines = [f'{"class":{width}}  ' + '  '.join(headers)]
    for name in sorted(report.class_counts):
        counts = (report.class_counts[name].get(split, (0, 0, 0)) for split in splits)
        cells = ['{:16} {:8} {:9}'.format(*count) for count in counts]
        lines.append(f'{name:{width}}  ' + '  '.join(cells))
    return lines


def note_lines(split, notes):
    """Return a line per problem for notes of the conversion of a split.

    Args:
        split: Name of the split.
        notes: List of (key of `PROBLEMS`, text with the name of the file).

    Raises:
        UserError: If one of the problems is an error.
    """
    texts = {}
    for problem, text in notes:
        if PROBLEMS[problem][0] == ERROR:
            raise UserError(text)
        texts.setdefault(problem, []).append(text)
    return [f'{split}: note: {PROBLEMS[problem][1]}: {len(texts[problem])}, for example: '
            f'{"; ".join(texts[problem][:3])} (run with --check to list them)'
            for problem in PROBLEMS if problem in texts]


def finding_lines(report, max_per_problem):
    """Return the lines of a list of the findings by problem, errors first.

    Args:
        report: `CheckReport`.
        max_per_problem: Findings that are listed per problem; the others are counted.
    """
    lines, findings = [], report.findings()
    for problem, (severity, headline) in PROBLEMS.items():
        matching = [finding for finding in findings if finding.problem == problem]
        if matching:
            lines.append(f'{severity}: {headline}: {report.count(problem)}')
            lines += [f'  {finding.split}: {finding.text}'
                      for finding in matching[:max_per_problem]]
            if len(matching) > max_per_problem:
                lines.append(f'  and {len(matching) - max_per_problem} more')
    return lines

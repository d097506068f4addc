"""VOC-layout folders: `Annotations/*.xml`, `JPEGImages/*`, `ImageSets/Main/<split>.txt`.

Coordinates in the files count pixels from 1 and include both ends (the VOC development kit), so a box covers
the edges from xmin - 1 to xmax: a box with xmin = xmax is one pixel wide.
"""
import functools
import os
import xml.etree.ElementTree as ElementTree

from tqdm import tqdm

from common.errors import UserError
from datasets import images
from datasets.annotation import BadBox, annotate, relative_box

CLASSES = ('aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair', 'cow',
           'diningtable', 'dog', 'horse', 'motorbike', 'person', 'pottedplant', 'sheep', 'sofa', 'train',
           'tvmonitor')


class VocSource:
    """A folder in VOC layout, as a source; see `datasets.formats.Source`."""
    layout = 'VOC (Annotations/*.xml, JPEGImages/)'
    ordered = False

    def __init__(self, folder):
        self._folder = folder

    @staticmethod
    def recognises(path):
        """Whether it is a folder with Annotations; the name counts, and not `annotations`."""
        return os.path.isdir(path) and 'Annotations' in os.listdir(path)

    def split_names(self):
        """Lists like VOC's `cat_train.txt`, which only flag a class, are left out."""
        there = split_names(self._folder)
        return [name for name in there if '_' not in name or name.rpartition('_')[2] not in there]

    def pictures(self, split):
        """Identifier -> function (on_bad_box=None) -> `Annotation`."""
        identifiers = read_split(self._folder, split) if split else self._all()
        return {name: functools.partial(read_annotation, self._folder, name) for name in identifiers}

    def unlabelled(self, split):
        """Likewise, without their boxes: no XML file is read."""
        return {name: functools.partial(read_unlabeled, self._folder, name) for name in read_split(self._folder, split)}

    def class_names(self, splits):
        """Classes that stand in the XML files of these splits, sorted."""
        identifiers = [name for split in splits for name in self.pictures(split)]
        return class_names(self._folder, tqdm(identifiers, 'classes', unit=' pictures', delay=2))

    def source_ids(self, splits):
        """VOC has none."""
        del splits
        return {}

    def _all(self):
        names = sorted(os.listdir(os.path.join(self._folder, 'Annotations')))
        found = [name[:-4] for name in names if name.endswith('.xml') and not name.startswith('.')]
        if not found:
            raise UserError(f"{os.path.join(self._folder, 'Annotations')} holds no XML file")
        return found


def split_names(folder):
    """Names of the split lists of a folder, sorted, none where it is not divided."""
    for needed in ('Annotations', 'JPEGImages'):
        if not os.path.isdir(os.path.join(folder, needed)):
            raise UserError(f'{folder} has no folder {needed}; a VOC-layout folder holds Annotations, '
                            f'JPEGImages and ImageSets/Main')
    lists = os.path.join(folder, 'ImageSets', 'Main')
    there = os.listdir(lists) if os.path.isdir(lists) else []
    return sorted(name[:-4] for name in there if name.endswith('.txt'))


def read_split(folder, split):
    """Identifiers of the pictures of a split, in the order of its list."""
    path = os.path.join(folder, 'ImageSets', 'Main', f'{split}.txt')
    if split not in split_names(folder):
        raise UserError(f"{folder} has no split '{split}' (no file {path}); "
                        f"its splits are: {', '.join(split_names(folder)) or 'none'}")
    try:
        with open(path, encoding='utf-8-sig') as file:
            lines = [line.strip() for line in file if line.strip()]
    except UnicodeDecodeError as error:
        raise UserError(f'{path} is not UTF-8 text; save it as such') from error
    if not lines:
        raise UserError(f'{path} lists no pictures')
    identifiers = [_identifier(folder, line) for line in lines]
    if len(set(identifiers)) < len(identifiers):
        twice = next(name for name in identifiers if identifiers.count(name) > 1)
        raise UserError(f"{path} lists '{twice}' more than once; remove what is double")
    return identifiers


def _identifier(folder, line):
    """A line is an identifier, which may hold spaces, or one followed by VOC's 1, 0 or -1 of a class list."""
    first, _, rest = line.rpartition(' ')
    if first and rest in ('-1', '0', '1') and not os.path.exists(_xml_path(folder, line)):
        return first.strip()
    return line


def _xml_path(folder, identifier):
    return os.path.join(folder, 'Annotations', f'{identifier}.xml')


def class_names(folder, identifiers):
    """Names of the classes that the XML files of these pictures hold, sorted."""
    found = set()
    for identifier in identifiers:
        root = _parse(_xml_path(folder, identifier))
        found.update((item.findtext('name') or '').strip() for item in root.iter('object'))
    return sorted(found - {''})


def read_annotation(folder, identifier, on_bad_box=None):
    """The `Annotation` of one picture.

    on_bad_box: function (BadBox) that is told of each box that is left out; without it the first one is raised.
    """
    path = _xml_path(folder, identifier)
    root = _parse(path)
    named = os.path.basename((root.findtext('filename') or '').strip().replace('\\', '/'))
    image_path = _image_path(folder, identifier, named)
    jpeg = images.read_jpeg(image_path)

    def to_truth(item):
        return _box(item, path, jpeg), _name(item, path), *(_flag(item, tag) for tag in ('difficult', 'truncated'))
    return annotate(image_path, jpeg, root.iter('object'), to_truth, on_bad_box)


def read_unlabeled(folder, identifier, on_bad_box=None):
    """The `Annotation` of one picture without its boxes, of which nothing is read."""
    del on_bad_box
    image_path = _image_path(folder, identifier)
    return annotate(image_path, images.read_jpeg(image_path), (), None)


def _parse(path):
    if not os.path.exists(path):
        raise UserError(f'{path} is missing, but a split lists its picture; where labels are not public, as those of '
                        f'VOC2012 test, --without_labels converts the pictures alone')
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise UserError(f'{path} is not well-formed XML ({error})') from error
    if root.tag != 'annotation':
        raise UserError(f'{path} is no annotation of VOC: its outermost element is <{root.tag}>')
    return root


def _image_path(folder, identifier, named=''):
    """JPEGImages/<identifier>.jpg, another extension, or the name that the XML gives."""
    base = os.path.join(folder, 'JPEGImages', identifier)
    candidates = [base + end for extension in images.EXTENSIONS for end in (extension, extension.upper())]
    if named:
        candidates.append(os.path.join(folder, 'JPEGImages', named))
    for candidate in candidates:
        if os.path.isfile(candidate):
            return candidate
    raise UserError(f"{_xml_path(folder, identifier)} has no picture: looked for {base}.jpg, other extensions"
                    + (f", and the file name '{named}' that it gives" if named else ''))


def _name(item, path):
    text = (item.findtext('name') or '').strip()
    if not text:
        raise BadBox('unreadable', f'{path}: an object has no <name>')
    return text


def _flag(item, tag):
    """difficult and truncated: absent or empty means no; some tools write 'true' or a share from 0 to 1."""
    text = (item.findtext(tag) or '').strip().lower()
    try:
        return float(text) > 0
    except ValueError:
        return text in ('true', 'yes')


def _box(item, path, jpeg):
    """(ymin, xmin, ymax, xmax) relative to the picture."""
    name = _name(item, path)
    try:
        xmin, ymin, xmax, ymax = (float(item.findtext(f'bndbox/{tag}')) for tag in
                                  ('xmin', 'ymin', 'xmax', 'ymax'))
    except (TypeError, ValueError) as error:
        raise BadBox('unreadable', f"{path}: the box of a '{name}' has a missing or unreadable coordinate") from error
    what = f"{path}: the box of a '{name}' (xmin {xmin:g}, ymin {ymin:g}, xmax {xmax:g}, ymax {ymax:g})"
    if not (xmin <= xmax and ymin <= ymax):   # both ends are included, so equal ones are a pixel
        raise BadBox('inverted', f'{what} is inverted; correct it')
    return relative_box(what, (xmin - 1, ymin - 1, xmax, ymax), jpeg)

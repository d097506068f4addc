"""VOC-layout folders: `Annotations/*.xml`, `JPEGImages/*`, `ImageSets/Main/<split>.txt`.

Coordinates in the files count pixels from 1 and include both ends (the VOC development kit), so a box covers
the edges from xmin - 1 to xmax: a box with xmin = xmax is one pixel wide.

python -m datasets.voc FOLDER SPLIT N      prints the paths of the first N pictures of a split
"""
import os
import sys
import xml.etree.ElementTree as ElementTree

from datasets import images
from datasets.annotation import Annotation, BadBox
from deployment.errors import UserError

CLASSES = ('aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair', 'cow',
           'diningtable', 'dog', 'horse', 'motorbike', 'person', 'pottedplant', 'sheep', 'sofa', 'train',
           'tvmonitor')
# Tools round in their own ways: a box may stand out of its picture by this many pixels, and is cut.
TOLERANCE = 2.


def split_names(folder):
    """Names of the splits of a folder, sorted; UserError where it has none."""
    lists = os.path.join(folder, 'ImageSets', 'Main')
    for needed in ('Annotations', 'JPEGImages', os.path.join('ImageSets', 'Main')):
        if not os.path.isdir(os.path.join(folder, needed)):
            raise UserError(f'{folder} has no folder {needed}; a VOC-layout folder holds Annotations, '
                            f'JPEGImages and ImageSets/Main')
    return sorted(name[:-4] for name in os.listdir(lists) if name.endswith('.txt'))


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
    image_path = _image_path(folder, identifier, root)
    jpeg = images.read_jpeg(image_path)
    found = []
    for item in root.iter('object'):
        try:
            found.append((_box(item, path, jpeg), _name(item, path),
                          *(_flag(item, tag) for tag in ('difficult', 'truncated'))))
        except BadBox as error:
            if on_bad_box is None:
                raise
            on_bad_box(error)
    boxes, names, difficult, truncated = map(list, zip(*found, strict=True)) if found else ([], [], [], [])
    return Annotation(image_path, jpeg.encoded, jpeg.height, jpeg.width, boxes, names, difficult, truncated)


def image_paths(folder, identifiers):
    """Paths of the pictures."""
    return [_image_path(folder, identifier, _parse(_xml_path(folder, identifier))) for identifier in identifiers]


def _parse(path):
    if not os.path.exists(path):
        raise UserError(f'{path} is missing, but a split lists its picture')
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise UserError(f'{path} is not well-formed XML ({error})') from error
    if root.tag != 'annotation':
        raise UserError(f'{path} is no annotation of VOC: its outermost element is <{root.tag}>')
    return root


def _image_path(folder, identifier, root):
    """JPEGImages/<identifier>.jpg, another extension, or the name that the XML gives."""
    base = os.path.join(folder, 'JPEGImages', identifier)
    named = os.path.basename((root.findtext('filename') or '').strip().replace('\\', '/'))
    candidates = [base + end for extension in images.EXTENSIONS for end in (extension, extension.upper())]
    if named:
        candidates.append(os.path.join(folder, 'JPEGImages', named))
    for candidate in candidates:
        if os.path.isfile(candidate):
            return candidate
    raise UserError(f'{_xml_path(folder, identifier)} has no picture: looked for {base}.jpg, other '
                    f"extensions, and the file name '{named}' that it gives")


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
    if not (xmin <= xmax and ymin <= ymax):   # also catches NaN
        raise BadBox('inverted', f'{what} is inverted; correct it')
    if (min(xmin, ymin) < 1 - TOLERANCE or xmax > jpeg.width + TOLERANCE or ymax > jpeg.height + TOLERANCE
            or xmin > jpeg.width or ymin > jpeg.height):
        raise BadBox('outside', f'{what} lies outside its picture of {jpeg.width}x{jpeg.height} pixels; correct it')

    def edge(value, side):
        return min(max(value / side, 0.), 1.)
    top, left = edge(ymin - 1, jpeg.height), edge(xmin - 1, jpeg.width)
    return top, left, max(edge(ymax, jpeg.height), top), max(edge(xmax, jpeg.width), left)


if __name__ == '__main__':
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    print('\n'.join(image_paths(sys.argv[1], read_split(*sys.argv[1:3])[:int(sys.argv[3])])))

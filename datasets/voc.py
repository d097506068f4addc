"""Pascal VOC layout: `Annotations/*.xml`, `JPEGImages/*`, `ImageSets/Main/<split>.txt`.

Coordinates count pixels from 1 and include both ends, as in the VOC development kit. A box
therefore covers the range from xmin - 1 to xmax, and a box with xmin = xmax is one pixel wide.
"""
import functools
import os
import xml.etree.ElementTree as ElementTree

from tqdm import tqdm

from common.errors import UserError
from datasets import images
from datasets.annotation import BadBox, make_annotation, relative_box
from datasets.annotation_source import AnnotationSource

CLASSES = ('aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair', 'cow',
           'diningtable', 'dog', 'horse', 'motorbike', 'person', 'pottedplant', 'sheep', 'sofa',
           'train', 'tvmonitor')


class VocSource(AnnotationSource):
    """A folder in VOC layout."""
    layout = 'VOC (Annotations/*.xml, JPEGImages/)'

    @staticmethod
    def matches(path):
        """Return whether the path is a folder with a subfolder `Annotations` (case-sensitive)."""
        return os.path.isdir(path) and 'Annotations' in os.listdir(path)

    def split_names(self):
        """Return the names of the splits, without per-class lists such as `cat_train.txt`."""
        names = _split_lists(self._folder)
        return [name for name in names
                if '_' not in name or name.rpartition('_')[2] not in names]

    def image_readers(self, split):
        """Return the images of a split: identifier -> image reader."""
        return {identifier: functools.partial(
            read_annotation, self._folder, identifier, read_image=self.read_image)
                for identifier in self._identifiers(split)}

    def unlabeled_readers(self, split):
        """Return the images of a split; their XML files are not read."""
        return {identifier: functools.partial(
            read_unlabeled, self._folder, identifier, read_image=self.read_image)
                for identifier in self._identifiers(split)}

    def categories(self, split):
        """Return the classes of the objects in the XML files of a split, without ids."""
        identifiers = tqdm(self._identifiers(split), 'classes', unit=' images', delay=2,
                           disable=None)
        names = set()
        for identifier in identifiers:
            root = _parse_xml(_xml_path(self._folder, identifier))
            names.update((item.findtext('name') or '').strip() for item in root.iter('object'))
        return dict.fromkeys(sorted(names - {''}))

    def _identifiers(self, split):
        """Return the identifiers of a split, or those of all XML files if the split is None."""
        if split:
            return read_split(self._folder, split)
        folder = os.path.join(self._folder, 'Annotations')
        identifiers = [name.removesuffix('.xml') for name in sorted(os.listdir(folder))
                       if name.endswith('.xml') and not name.startswith('.')]
        if not identifiers:
            raise UserError(f'{folder} has no XML files')
        return identifiers


def _split_lists(folder):
    """Return the sorted names of all split lists, per-class lists included; [] without lists.

    Raises:
        UserError: If the folder is not in VOC layout.
    """
    for name in ('Annotations', 'JPEGImages'):
        if not os.path.isdir(os.path.join(folder, name)):
            raise UserError(f'{folder} has no folder {name}; a folder in VOC layout contains '
                            f'Annotations, JPEGImages and ImageSets/Main')
    lists = os.path.join(folder, 'ImageSets', 'Main')
    names = os.listdir(lists) if os.path.isdir(lists) else []
    return sorted(name.removesuffix('.txt') for name in names if name.endswith('.txt'))


def read_split(folder, split):
    """Return the image identifiers of a split list, in its order.

    Raises:
        UserError: If the list does not exist, is empty, cannot be decoded or has duplicates.
    """
    path = os.path.join(folder, 'ImageSets', 'Main', f'{split}.txt')
    if split not in _split_lists(folder):
        raise UserError(f"{folder} has no split '{split}' (no file {path}); "
                        f"its splits are: {', '.join(_split_lists(folder)) or 'none'}")
    try:
        with open(path, encoding='utf-8-sig') as file:
            lines = [line.strip() for line in file if line.strip()]
    except UnicodeDecodeError as error:
        raise UserError(f'{path} is not UTF-8 text. Save it as UTF-8') from error
    if not lines:
        raise UserError(f'{path} lists no images. Add the name of an image per line')
    identifiers = [_parse_identifier(folder, line) for line in lines]
    if len(set(identifiers)) < len(identifiers):
        duplicate = next(name for name in identifiers if identifiers.count(name) > 1)
        raise UserError(f"{path} lists '{duplicate}' more than once. Remove the duplicates")
    return identifiers


def read_annotation(folder, identifier, on_bad_box=None, read_image=images.read_jpeg):
    """Read one image and its XML file as `Annotation`.

    Args:
        folder: Folder in VOC layout.
        identifier: Name of the XML file without its extension.
        on_bad_box: Function (BadBox), called for each box that is skipped. None: raise the error.
        read_image: Function from a path to an `images.EncodedImage`.

    Raises:
        UserError: If the XML file or the image is missing or invalid.
    """
    xml_path = _xml_path(folder, identifier)
    root = _parse_xml(xml_path)
    filename = os.path.basename((root.findtext('filename') or '').strip().replace('\\', '/'))
    image_path = _image_path(folder, identifier, filename)
    jpeg = read_image(image_path)

    def parse_object(item):
        return (_parse_box(item, xml_path, jpeg), _parse_name(item, xml_path),
                _parse_flag(item, 'difficult'), _parse_flag(item, 'truncated'))
    return make_annotation(image_path, jpeg, root.iter('object'), parse_object, on_bad_box)


def read_unlabeled(folder, identifier, on_bad_box=None, read_image=images.read_jpeg):
    """Read one image as an `Annotation` without boxes; its XML file is not read."""
    image_path = _image_path(folder, identifier)
    return make_annotation(image_path, read_image(image_path), (), None, on_bad_box)


def _parse_identifier(folder, line):
    """Parse a line of a split list.

    The line is an identifier, which may contain spaces. In a per-class list of VOC it is followed
    by 1, 0 or -1.
    """
    identifier, _, flag = line.rpartition(' ')
    if identifier and flag in ('-1', '0', '1') and not os.path.exists(_xml_path(folder, line)):
        return identifier.strip()
    return line


def _xml_path(folder, identifier):
    return os.path.join(folder, 'Annotations', f'{identifier}.xml')


def _parse_xml(path):
    """Return the root element of an annotation file."""
    if not os.path.exists(path):
        raise UserError(f'{path} is missing, but a split list contains its image. Pass '
                        f'--without_labels if the labels are not public, like those of VOC2012 '
                        f'test')
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise UserError(f'{path} is not well-formed XML ({error})') from error
    if root.tag != 'annotation':
        raise UserError(f'{path} is not a VOC annotation: its root element is <{root.tag}>')
    return root


def _image_path(folder, identifier, filename=''):
    """Return the path of an image in JPEGImages, named by its identifier or by `filename`."""
    base = os.path.join(folder, 'JPEGImages', identifier)
    candidates = [base + suffix for extension in images.EXTENSIONS
                  for suffix in (extension, extension.upper())]
    if filename:
        candidates.append(os.path.join(folder, 'JPEGImages', filename))
    for candidate in candidates:
        if os.path.isfile(candidate):
            return candidate
    raise UserError(f'{_xml_path(folder, identifier)}: its image is missing. Add {base}.jpg '
                    f'(or another extension)' + (f" or '{filename}'" if filename else ''))


def _parse_name(item, path):
    name = (item.findtext('name') or '').strip()
    if not name:
        raise BadBox('unreadable', f'{path}: an object has no <name>')
    return name


def _parse_flag(item, tag):
    """Parse `difficult` or `truncated`; a missing or empty element means False.

    Some tools write 'true', or a fraction from 0 to 1.
    """
    text = (item.findtext(tag) or '').strip().lower()
    try:
        return float(text) > 0
    except ValueError:
        return text in ('true', 'yes')


def _parse_box(item, path, jpeg):
    """Return (ymin, xmin, ymax, xmax) of an object, relative to the image."""
    name = _parse_name(item, path)
    try:
        xmin, ymin, xmax, ymax = (float(item.findtext(f'bndbox/{tag}'))
                                  for tag in ('xmin', 'ymin', 'xmax', 'ymax'))
    except (TypeError, ValueError) as error:
        raise BadBox('unreadable', f"{path}: the box of a '{name}' has a missing or invalid "
                                   f'coordinate') from error
    description = (f"{path}: the box of a '{name}' "
                   f'(xmin {xmin:g}, ymin {ymin:g}, xmax {xmax:g}, ymax {ymax:g})')
    if not (xmin <= xmax and ymin <= ymax):   # equal ends are valid: a box of one pixel
        raise BadBox('inverted', f'{description} is inverted. Correct it')
    return relative_box(description, (xmin - 1, ymin - 1, xmax, ymax), jpeg)

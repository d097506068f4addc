"""Pascal VOC: one XML file per image, and split lists or folders.

The layout of VOC itself is `Annotations/*.xml`, `JPEGImages/*`, `ImageSets/Main/<split>.txt`. Other
tools use other names of folders, or one folder per split, with the XML files beside the images.

Coordinates count pixels from 1 and include both ends, as in the VOC development kit. A box
therefore covers the range from xmin - 1 to xmax, and a box with xmin = xmax is one pixel wide.
"""
import functools
import os

from common.errors import UserError
from datasets import images, voc_lists
from datasets.annotation import (
    BadBox,
    check_pixels,
    check_size,
    format_corners,
    make_annotation,
    relative_box,
    rotated_box,
)
from datasets.annotation_folder import AnnotationFolder, note_other_image, raise_error
from datasets.annotation_xml import read_xml, stripped
from datasets.image_index import path_key

CLASSES = ('aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair', 'cow',
           'diningtable', 'dog', 'horse', 'motorbike', 'person', 'pottedplant', 'sheep', 'sofa',
           'train', 'tvmonitor')
_CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')
_MAX_NAME_LENGTH = 200


class VocSource(AnnotationFolder):
    """A folder with VOC XML."""
    layout = 'VOC (Annotations/*.xml and JPEGImages/, or XML files beside the images)'
    extension = '.xml'

    @staticmethod
    def matches(path):
        """Return whether the path is a folder with a subfolder `Annotations` (case-sensitive)."""
        return os.path.isdir(path) and 'Annotations' in os.listdir(path)

    @staticmethod
    def is_annotation(path):
        """Return whether a file is VOC XML."""
        try:
            return read_xml(path).tag == 'annotation'
        except UserError:
            return False

    @staticmethod
    def read_annotation(path, image_path, on_bad_box=None, read_image=images.read_jpeg):
        """Read one image and its XML file as `Annotation`.

        Args:
            path: Path of the XML file.
            image_path: Path of the image.
            on_bad_box: Function (BadBox), called for each box that is skipped. None: raise the
                error.
            read_image: Function from a path to an `images.EncodedImage`.

        Raises:
            UserError: If the XML file or the image is invalid, or they contradict each other.
        """
        root = _read_root(path)
        image = read_image(image_path)
        size = [root.findtext(f'size/{side}') for side in ('width', 'height')]
        check_size(image_path, size, image, path)
        # An <object> may have several boxes; without any, its error names it.
        boxes = [(item, box) for item in root.iter('object') if not _parse_flag(item, 'deleted')
                 for box in item.findall('bndbox') or [None]]
        check_pixels([corners for _, box in boxes if (corners := _corners(box))], image, path)

        def parse_object(item_and_box):
            item, box = item_and_box
            return (_parse_box(item, box, path, image), _parse_name(item, path),
                    _parse_flag(item, 'difficult'), _parse_flag(item, 'truncated'))
        annotation = make_annotation(image_path, image, boxes, parse_object, on_bad_box)
        return annotation.with_notes(_notes(path, root, image_path))

    @staticmethod
    def read_image_name(path):
        """Return the path of its image that an XML file has, or ''."""
        return _image_name(path, _read_root(path))

    @staticmethod
    def read_class_names(path):
        """Return the class names of the objects in an XML file."""
        return {stripped(item.findtext('name')) for item in _read_root(path).iter('object')
                if not _parse_flag(item, 'deleted')}

    def split_names(self):
        """Return the names of the split lists, or else of the folders of the splits."""
        return voc_lists.split_names(self._lists) if self._lists else super().split_names()

    def identifiers(self, split):
        """Return the identifiers of a split, in the order of its list."""
        name = split or voc_lists.UNDIVIDED
        if name in self._lists:
            identifiers = [identifier for prefix, path in self._lists[name]
                           for identifier in self._known.read_list(self._folder, prefix, path)]
            return list(dict.fromkeys(identifiers))
        return super().identifiers(split)

    def image_reader(self, identifier):
        """Return the image reader of an identifier; it raises an error if a file is missing."""
        if identifier in self.annotation_paths:
            return super().image_reader(identifier)
        path = os.path.join(self._folder, self.searched_folders[0], identifier)
        return functools.partial(raise_error, UserError(
            f'{path}.xml is missing, but a split list contains its image. Pass --without_labels if '
            f'the labels are not public, like those of VOC2012 test'))

    def unlabeled_readers(self, split):
        """Return the images of a split; their XML files are not read."""
        return {identifier: self._unlabeled_reader(identifier)
                for identifier in self.identifiers(split)}

    def notes(self, split):
        """Return XML files and images that are not used."""
        if not self._lists:
            return super().notes(split)
        listed = set()
        for name in voc_lists.split_names(self._lists) or [voc_lists.UNDIVIDED]:
            listed.update(self._listed(name))
        unlisted = [path for identifier, path in self.annotation_paths.items()
                    if identifier not in listed]
        without_use = [path for path in self.image_files if path not in self.used_images and not (
            path_key(path) in listed and path_key(path) not in self.annotation_paths)]
        return [('unused', os.path.join(self._folder, text)) for text in (
            *(f'{path} is in no split list' for path in unlisted),
            *(f'{path} has no annotation file' for path in without_use))]

    @functools.cached_property
    def searched_folders(self):
        """The folders of VOC's own layout if there are any, or else the whole folder."""
        return tuple(name if any(path.startswith(name) for path in self.files) else ''
                     for name in ('Annotations/', 'JPEGImages/'))

    @functools.cached_property
    def _lists(self):
        return voc_lists.find_lists(self.files)

    @functools.cached_property
    def _known(self):
        return voc_lists.Identifiers([*self.annotation_paths, *map(path_key, self.image_files)])

    def _listed(self, name):
        """Return the identifiers of a split list; [] if it is invalid or does not exist."""
        try:
            return self.identifiers(name)
        except UserError:
            return []

    def _unlabeled_reader(self, identifier):
        try:
            path = self.annotation_paths.get(identifier, f'{identifier}.xml')
            image = self.image_index.find(path)
        except UserError as error:
            return functools.partial(raise_error, self.with_folder(error))
        return functools.partial(
            read_unlabeled, os.path.join(self._folder, image), read_image=self.read_image)



def read_unlabeled(image_path, on_bad_box=None, read_image=images.read_jpeg):
    """Read one image as an `Annotation` without boxes."""
    return make_annotation(image_path, read_image(image_path), (), None, on_bad_box)


def _read_root(path):
    """Return the root element of an XML file."""
    root = read_xml(path)
    if root.tag != 'annotation':
        raise UserError(f'{path} is not a VOC annotation: its root element is <{root.tag}>')
    return root


def _image_name(path, root):
    """Return the path of the image as the XML file has it, with its folder if it has one."""
    folder, name = (_only_text(root, tag, path) for tag in ('folder', 'filename'))
    return f'{folder}/{name}' if folder and name and '/' not in name else name


def _notes(path, root, image_path):
    """Return notes of boxes outside objects, deleted objects, and the name of another image."""
    num_boxes = sum(len(item.findall('bndbox')) for tag in ('object', 'part')
                    for item in root.iter(tag))
    unused = len(list(root.iter('bndbox'))) - num_boxes
    notes = [('unused', f'{path}: {unused} <bndbox> outside an <object>')] if unused else []
    notes += [('unused', f"{path}: a deleted "
               f"'{stripped(item.findtext('name'))[:_MAX_NAME_LENGTH]}'")
              for item in root.iter('object') if _parse_flag(item, 'deleted')]
    return notes + note_other_image(path, _image_name(path, root), image_path)


def _only_text(item, tag, path):
    """Return the text of the only child with a tag, or ''.

    Raises:
        BadBox: If there are several with different texts.
    """
    texts = {stripped(child.text) for child in item.findall(tag)} - {''}
    if len(texts) > 1:
        raise BadBox('unreadable', f'{path}: a <{item.tag}> has {len(texts)} different <{tag}>. '
                                   f'Remove all but one')
    return next(iter(texts), '')


def _parse_name(item, path):
    name = _only_text(item, 'name', path)
    if not 0 < len(name) <= _MAX_NAME_LENGTH:
        problem = 'a <name> that is too long' if name else 'no <name>'
        raise BadBox('unreadable', f'{path}: an object has {problem}')
    return name


def _parse_flag(item, tag):
    """Parse `difficult`, `truncated` or `deleted`; a missing or empty element means False.

    Some tools write 'true', or a fraction from 0 to 1.
    """
    text = stripped(item.findtext(tag)).lower()
    try:
        return float(text) > 0
    except ValueError:
        return text in ('true', 'yes')


def _is_rotated(item):
    """Return whether an object is a rotated box, as roLabelImg or CVAT write it."""
    angles = [item.findtext('bndbox/angle'), item.findtext('angle'), item.findtext('rotation')]
    angles += [attribute.findtext('value') for attribute in item.iter('attribute')
               if stripped(attribute.findtext('name')).lower() == 'rotation']
    return item.find('robndbox') is not None or any(
        stripped(angle) and stripped(angle).strip('0.') for angle in angles)


def _corners(box):
    """Return (xmin, ymin, xmax, ymax) of a <bndbox>, or None if one is missing or invalid."""
    try:
        texts = [{stripped(child.text) for child in box.findall(tag)} for tag in _CORNERS]
        return tuple(float(text.replace('_', 'x')) for text, in texts)   # no 1_000
    except (AttributeError, ValueError):   # no box; none, several or no numbers
        return None


def _parse_box(item, box, path, image):
    """Return (ymin, xmin, ymax, xmax) of a <bndbox> of an object, relative to the image."""
    name = _parse_name(item, path)
    if _is_rotated(item):
        raise rotated_box(f"{path}: the box of a '{name}'")
    corners = _corners(box)
    if corners is None:
        raise BadBox('unreadable', f"{path}: the box of a '{name}' has a missing or invalid "
                                   f'coordinate')
    xmin, ymin, xmax, ymax = corners
    description = f"{path}: the box of a '{name}' {format_corners(corners)}"
    if not (xmin <= xmax and ymin <= ymax):   # equal ends are valid: a box of one pixel
        raise BadBox('inverted', f'{description} is inverted. Correct it')
    return relative_box(description, (xmin - 1, ymin - 1, xmax, ymax), image)

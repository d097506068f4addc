"""COCO JSON: `annotations/instances_<split>.json`, and the same format as written by other tools.

A box is [x, y, width, height] in pixels, measured from the outer corner of the first pixel.
Annotations of images that the file does not list are not used, and noted.
"""
import collections
import functools
import glob
import itertools
import math
import os

from common.errors import UserError
from datasets import class_lists, coco_content, images, splits
from datasets.annotation import BadBox, check_pixels, check_size, make_annotation, relative_box
from datasets.split_files import SplitFileSource

_ROBOFLOW_FILE = '_annotations.coco.json'   # one in the folder of each split
_FILES_WITHOUT_BOXES = ('captions', 'person_keypoints', 'panoptic', 'stuff', 'image_info')
_YOLO_CLASS_FILES = ('classes.txt', 'data.yaml')


class CocoSource(SplitFileSource):
    """A folder with COCO JSON, or a single such file."""
    file_type = 'COCO JSON'
    layout = f'COCO (annotations/instances_<split>.json or <split>/{_ROBOFLOW_FILE})'
    has_class_order = True

    def __init__(self, path):
        super().__init__(path)
        self._ids_of_splits = {}   # split -> {class name: id}, of splits whose notes were read
        if os.path.basename(self._folder) == 'annotations':
            self._folder = os.path.dirname(self._folder) or '.'

    @classmethod
    def matches(cls, path):
        """Return whether the path is, or contains, COCO JSON.

        A JSON at the top of a folder of YOLO text does not count: annotation tools export notes
        in this form.
        """
        is_yolo = os.path.isdir(path) and any(
            os.path.isfile(os.path.join(path, name)) for name in _YOLO_CLASS_FILES)
        return super().matches(path) and not (is_yolo and '' in cls.find_files(path))

    @staticmethod
    def find_files(path):
        """Return the JSON files of a folder or file; see `SplitFileSource.find_files`."""
        if os.path.isfile(path):
            return splits.files_by_name([path] if path.endswith('.json') else [])
        files = glob.glob(os.path.join(glob.escape(path), 'annotations', '*.json'))
        # Files of captions and keypoints of the same images may be in the same folder.
        instances = [file for file in files if os.path.basename(file).startswith('instances')]
        if not files:
            files = [file for file in glob.glob(os.path.join(glob.escape(path), '*.json'))
                     if os.path.basename(file) != 'dataset.json']   # written by tf_convert_data.py
        return (splits.files_by_folder(path, _ROBOFLOW_FILE)
                or splits.files_by_name(instances or files))

    read_file = staticmethod(coco_content.read)

    def image_readers(self, split):
        """Return the images of a split: file name -> image reader."""
        path, content = self.load_split(split)
        if 'annotations' not in content:
            raise UserError(f"{path} is not COCO JSON with boxes: it has no list 'annotations'. "
                            f'Pass --without_labels if the labels are not public, like those of '
                            f'COCO test')
        annotations = collections.defaultdict(list)
        for item in content['annotations']:
            annotations[item['image_id']].append(item)
        if annotations and not annotations.keys() & {item['id'] for item in content['images']}:
            raise UserError(f'{path}: no image_id of an annotation is the id of an image. Correct '
                            f'the ids')
        return self._readers(split, annotations)

    def unlabeled_readers(self, split):
        """Return the images of a split without their boxes: file name -> image reader."""
        return self._readers(split, collections.defaultdict(list))

    def image_paths(self, split):
        """Return the paths of the images of a split whose files exist: file name -> path."""
        path, _ = self.load_split(split)
        return images.find_images(self.listed_images(split), self._image_folders(split, path), path)

    def categories(self, split):
        """Return the categories of a split: name -> id, in the order of the ids."""
        return coco_content.class_ids(coco_content.category_names(*self.load_split(split)))

    def class_names(self, splits):
        """Return the names of the categories of several splits, in the order of their ids.

        If splits have the same names with different ids, the first split decides.

        Raises:
            UserError: If an id stands for different classes, one of which another split lacks.
        """
        positions = {}   # name -> id, or its position if the ids are text
        for split in splits:
            for position, (name, identifier) in enumerate(self.categories(split).items()):
                positions.setdefault(name, position if identifier is None else identifier)
        for earlier, split in itertools.combinations(splits, 2):
            self._compare_ids(earlier, split)
        return sorted(positions, key=positions.get)

    def notes(self, split):
        """Return the annotations, images and JSON files that are not used."""
        path, content = self.load_split(split)
        image_ids = {item['id'] for item in content['images']}
        unused = [f"{path}: annotation {coco_content.shown(item.get('id'))} has the image_id "
                  f"{coco_content.shown(item['image_id'])}, which is not the id of an image"
                  for item in content.get('annotations', ()) if item['image_id'] not in image_ids]
        unused += [f'{file} is not read: its name is not that of a split of this dataset'
                   for file in self._other_files()]
        unused += self.unlisted_images(split)
        return [('unused', text) for text in unused] + self._renumbered_classes(split)

    def listed_images(self, split):
        """Return the file names of the images of a split."""
        return [item['file_name'] for item in self.load_split(split)[1]['images']
                if isinstance(item.get('file_name'), str)]

    def _compare_ids(self, split, other):
        """Raise `UserError` if an id has two names in two splits, and not both splits have both."""
        names, other_names = (
            {identifier: category for identifier, category
             in coco_content.category_names(*self.load_split(name)).items()
             if not class_lists.is_background(category)} for name in (split, other))
        common = set(names.values()) & set(other_names.values())
        for identifier in names.keys() & other_names.keys():
            pair = names[identifier], other_names[identifier]
            if pair[0] != pair[1] and not common.issuperset(pair):
                raise UserError(f"{self.load_split(other)[0]}: category "
                                f"{coco_content.shown(identifier)} is '{pair[1]}', but '{pair[0]}' "
                                f'in {self.load_split(split)[0]}. Use the same ids in all splits')

    def _renumbered_classes(self, split):
        """Return notes of classes whose ids in a split differ from those of a split read before."""
        ids, notes = self.categories(split), []
        for earlier, earlier_ids in self._ids_of_splits.items():
            notes += [('renumbered', f"{self.load_split(split)[0]}: '{name}' has the id {ids[name]}"
                                     f', but {earlier_ids[name]} in {earlier}')
                      for name in ids if ids[name] != earlier_ids.get(name, ids[name])]
        self._ids_of_splits[split] = ids
        return notes

    def _other_files(self):
        """Return the paths of JSON files with boxes, by their names, that are of no split."""
        patterns = () if self._is_single_file else (
            'annotations/*.json', f'*/{_ROBOFLOW_FILE}', _ROBOFLOW_FILE)
        files = [file for pattern in patterns
                 for file in sorted(glob.glob(os.path.join(glob.escape(self._folder), pattern)))]
        used = set(map(os.path.normpath, self._files.values()))
        return [file for file in files if os.path.normpath(file) not in used
                and not os.path.basename(file).startswith(_FILES_WITHOUT_BOXES)]

    def _readers(self, split, annotations):
        """Return image readers; annotations: image id -> list of entries of the JSON."""
        path, content = self.load_split(split)
        names = coco_content.category_names(path, content)
        id_counts = collections.Counter(item['id'] for item in content['images'])
        for image_id, count in id_counts.most_common(1):
            if count > 1:
                raise UserError(f'{path} has {count} images with the id '
                                f'{coco_content.shown(image_id)}. Make the ids unique')
        folders, readers = self._image_folders(split, path), {}
        for item in content['images']:
            name = item.get('file_name')
            if not (isinstance(name, str) and name.strip()) or isinstance(item['id'], tuple):
                raise UserError(f'{path}: an image has no file_name or no id: '
                                f'{str(name)[:60]}, id {coco_content.shown(item["id"])}')
            if name in readers:
                raise UserError(f"{path} lists '{name}' more than once. Remove the duplicates")
            readers[name] = functools.partial(
                _read_annotation, path, folders, item,
                [(names.get(entry['category_id']), entry) for entry in annotations[item['id']]],
                read_image=self.read_image)
        if not readers:
            raise UserError(f"{path} lists no images. Fill its list 'images'")
        self.check_distinct(readers, folders, path)
        return readers

    def _image_folders(self, split, path):
        """Return the existing folders that may contain the images of a split, in search order."""
        # The images of COCO's test-dev2017 are a part of those of test2017.
        names = dict.fromkeys((split, split.replace('test-dev', 'test'))) if split else ()
        folders = [os.path.join(self._folder, folder) for folder in (
            *(folder for name in names for folder in (name, os.path.join('images', name))),
            'images/default', 'images', '')]
        return list(filter(os.path.isdir, dict.fromkeys([*folders, os.path.dirname(path) or '.'])))


def _read_annotation(path, folders, image, items, on_bad_box=None, read_image=images.read_jpeg):
    """Read one image and its boxes as `Annotation`.

    Args:
        path: Path of the JSON, for error messages.
        folders: Folders to search for the image.
        image: Entry of the image in the JSON.
        items: List of (class name or None, entry of the annotation in the JSON).
        on_bad_box: Function (BadBox), called for each box that is skipped. None: raise the error.
        read_image: Function from a path to an `images.EncodedImage`.
    """
    image_path = images.find_image(image['file_name'], folders, path)
    jpeg = read_image(image_path)
    check_size(image['file_name'], (image.get('width'), image.get('height')), jpeg, path)
    check_pixels(list(filter(None, map(_parse_bbox, (item for _, item in items)))), jpeg,
                 f"{path}: {image['file_name']}")
    annotation = make_annotation(
        image_path, jpeg, items, functools.partial(_parse_annotation, path, image, jpeg),
        on_bad_box, source_id=str(image['id']))
    return annotation._replace(area=_fill_areas(annotation))


def _parse_bbox(item):
    """Return (x, y, width, height) of an annotation as floats, or None if it has no such list."""
    try:
        x, y, width, height = map(float, tuple(item['bbox']))
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return (x, y, width, height) if isinstance(item['bbox'], list) else None


def _parse_annotation(path, image, jpeg, named_item):
    """Return all values of `PER_BOX_FIELDS` of a (class name or None, annotation entry).

    The area is None if it is missing or no positive number.
    """
    name, item = named_item
    description = (f"{path}: annotation {coco_content.shown(item.get('id'))} of "
                   f"{image['file_name']}")
    if name is None or class_lists.is_background(name):
        reason = 'is not among the categories' if name is None else 'is the background'
        hint = ' (text, not a number)' if isinstance(item['category_id'], str) else ''
        raise BadBox('unknown', f'{description} has the category_id '
                                f'{coco_content.shown(item["category_id"])}{hint}, which {reason}. '
                                f'Correct it')
    box = _parse_bbox(item)
    try:
        iscrowd, area = int(item.get('iscrowd') or 0), float(item.get('area') or 0)
    except (TypeError, ValueError, OverflowError):
        box = None
    if box is None:
        raise BadBox('unreadable', f'{description} has no bbox of four numbers x, y, width, '
                                   f'height, or an invalid area or iscrowd')
    x, y, width, height = box
    description += f" ('{name}', x {x:g}, y {y:g}, width {width:g}, height {height:g})"
    box = relative_box(description, (x, y, x + width, y + height), jpeg)
    return box, name, False, False, iscrowd > 0, area if 0 < area < math.inf else None


def _fill_areas(annotation):
    """Return the areas of an `Annotation`, those of the boxes for missing ones; () if all are."""
    if not any(annotation.area):
        return ()
    return [(ymax - ymin) * annotation.height * (xmax - xmin) * annotation.width
            if area is None else area
            for area, (ymin, xmin, ymax, xmax) in zip(
                annotation.area, annotation.boxes, strict=True)]

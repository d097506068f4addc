"""COCO JSON: `annotations/instances_<split>.json`, and the same format as written by other tools.

A box is [x, y, width, height] in pixels, measured from the outer corner of the first pixel.
Annotations of images that the file does not list are ignored.
"""
import collections
import functools
import glob
import json
import os

from common.errors import UserError
from datasets import images, splits
from datasets.annotation import BadBox, check_size, make_annotation, relative_box
from datasets.split_files import SplitFileSource

_ROBOFLOW_FILE = '_annotations.coco.json'   # one in the folder of each split
_YOLO_CLASS_FILES = ('classes.txt', 'data.yaml')
# Other keys are dropped while parsing: segmentations would need several times the memory.
_USED_KEYS = frozenset([
    'images', 'annotations', 'categories', 'id', 'file_name', 'width', 'height', 'image_id',
    'category_id', 'bbox', 'area', 'iscrowd', 'name', 'supercategory'])


class CocoSource(SplitFileSource):
    """A folder with COCO JSON, or a single such file."""
    file_type = 'COCO JSON'
    layout = f'COCO (annotations/instances_<split>.json or <split>/{_ROBOFLOW_FILE})'
    has_class_order = True

    def __init__(self, path):
        super().__init__(path)
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

    @staticmethod
    def read_file(path):
        """Return the content of a COCO JSON, reduced to the keys that are used.

        Raises:
            UserError: If the file cannot be read, or is not COCO JSON with boxes.
        """
        def drop_unused(item):
            return {key: item[key] for key in _USED_KEYS & item.keys()}
        try:
            with open(path, encoding='utf-8-sig') as file:
                content = json.load(file, object_hook=drop_unused)
        except (OSError, ValueError, RecursionError) as error:
            raise UserError(f'{path} cannot be read as JSON ({error})') from error
        for key in ('images', 'annotations', 'categories'):
            default = [] if key == 'annotations' else None   # files of unlabeled images have none
            values = content.get(key, default) if isinstance(content, dict) else None
            if not isinstance(values, list) or not all(isinstance(item, dict) for item in values):
                raise UserError(f"{path} is not COCO JSON with boxes: it has no list '{key}'")
        return content

    def image_readers(self, split):
        """Return the images of a split: file name -> image reader."""
        path, content = self.load_split(split)
        if 'annotations' not in content:
            raise UserError(f"{path} is not COCO JSON with boxes: it has no list 'annotations'. "
                            f'Pass --without_labels if the labels are not public, like those of '
                            f'COCO test')
        names = _category_names(path, content)
        annotations = collections.defaultdict(list)
        for item in content['annotations']:
            annotations[item.get('image_id')].append((names.get(item.get('category_id')), item))
        if annotations and not annotations.keys() & {item.get('id') for item in content['images']}:
            raise UserError(f'{path}: no image_id of an annotation is the id of an image. Correct '
                            f'the ids')
        return self._readers(split, annotations)

    def unlabeled_readers(self, split):
        """Return the images of a split without their boxes: file name -> image reader."""
        return self._readers(split, collections.defaultdict(list))

    def image_paths(self, split):
        """Return the paths of the images of a split whose files exist: file name -> path."""
        path, content = self.load_split(split)
        return images.find_images([item['file_name'] for item in content['images']],
                                  self._image_folders(split, path), path)

    def categories(self, split):
        """Return the categories of a split: name -> id, in the order of the ids."""
        names = _category_names(*self.load_split(split))
        return {names[category_id]: category_id for category_id in sorted(names)}

    def class_names(self, splits):
        """Return the names of the categories of several splits, in the order of their ids."""
        names = {category_id: name for split in splits
                 for name, category_id in self.categories(split).items()}
        return list(dict.fromkeys(names[category_id] for category_id in sorted(names)))

    def _readers(self, split, annotations):
        """Return image readers; annotations: image id -> list of (class name or None, item)."""
        path, content = self.load_split(split)
        id_counts = collections.Counter(item.get('id') for item in content['images'])
        for image_id, count in id_counts.most_common(1):
            if count > 1:
                raise UserError(f'{path} has {count} images with the id {image_id}. Make the ids '
                                f'unique')
        folders, readers = self._image_folders(split, path), {}
        for item in content['images']:
            if not isinstance(item.get('file_name'), str) or 'id' not in item:
                raise UserError(f'{path}: an image has no file_name or no id: '
                                f'{json.dumps(item)[:100]}')
            if item['file_name'] in readers:
                raise UserError(f"{path} lists '{item['file_name']}' more than once. Remove the "
                                f'duplicates')
            readers[item['file_name']] = functools.partial(
                _read_annotation, path, folders, item, annotations[item['id']],
                read_image=self.read_image)
        if not readers:
            raise UserError(f"{path} lists no images. Fill its list 'images'")
        return readers

    def _image_folders(self, split, path):
        """Return the existing folders that may contain the images of a split, in search order."""
        # The images of COCO's test-dev2017 are a part of those of test2017.
        names = dict.fromkeys((split, split.replace('test-dev', 'test'))) if split else ()
        folders = [os.path.join(self._folder, folder) for folder in (
            *(folder for name in names for folder in (name, os.path.join('images', name))),
            'images/default', 'images', '')]
        return list(filter(os.path.isdir, dict.fromkeys([*folders, os.path.dirname(path) or '.'])))


def _category_names(path, content):
    """Return the names of the categories: id -> name.

    The first category of files from Roboflow is a group of the others without boxes of its own; it
    is left out.
    """
    items = content['categories']
    used_ids = {item.get('category_id') for item in content.get('annotations', ())}
    groups = {item.get('supercategory') for item in items}
    names = {item.get('id'): str(item.get('name', '')).strip() for item in items
             if item.get('supercategory') != 'none' or item.get('name') not in groups
             or item.get('id') in used_ids}
    if not all(isinstance(category_id, int) and name for category_id, name in names.items()):
        raise UserError(f'{path}: a category has no name, or an id that is not an integer')
    all_names = list(names.values())
    duplicates = sorted({name for name in all_names if all_names.count(name) > 1})
    if duplicates or len({item.get('id') for item in items}) < len(items):
        raise UserError(f"{path} has two categories with the same name or id"
                        f"{': ' if duplicates else ''}{', '.join(duplicates)}. Make them unique")
    return names


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
    annotation = make_annotation(
        image_path, jpeg, items, functools.partial(_parse_annotation, path, image, jpeg),
        on_bad_box, source_id=str(image['id']))
    return annotation if any(annotation.area) else annotation._replace(area=())


def _parse_annotation(path, image, jpeg, named_item):
    """Return all values of `PER_BOX_FIELDS` of a (class name or None, annotation entry)."""
    name, item = named_item
    description = f"{path}: annotation {item.get('id')} of {image['file_name']}"
    if name is None:
        raise BadBox('unknown', f'{description} has the category_id {item.get("category_id")}, '
                                f'which is not among the categories')
    try:
        x, y, width, height = map(float, item['bbox'])
        iscrowd, area = int(item.get('iscrowd') or 0), float(item.get('area') or 0)
    except (KeyError, TypeError, ValueError) as error:
        raise BadBox('unreadable', f'{description} has no bbox of four numbers x, y, width, '
                                   f'height, or an invalid area or iscrowd') from error
    description += f" ('{name}', x {x:g}, y {y:g}, width {width:g}, height {height:g})"
    box = relative_box(description, (x, y, x + width, y + height), jpeg)
    return box, name, False, False, iscrowd > 0, area

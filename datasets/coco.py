"""COCO JSON: `annotations/instances_<split>.json`, and what other tools write in its form.

A box is [x, y, width, height] in pixels from the outer corner of the first pixel. Annotations of pictures that the file
does not list are none of its own, and are passed over.
"""
import collections
import functools
import glob
import json
import os

from common.errors import UserError
from datasets import images, splits
from datasets.annotation import BadBox, annotate, relative_box
from datasets.split_files import SplitFiles

_ROBOFLOW = '_annotations.coco.json'   # one in the folder of each split
_OF_YOLO = ('classes.txt', 'data.yaml')
# All else, the outlines of objects first of all, takes several times the memory of what is wanted.
_KEPT = frozenset(['images', 'annotations', 'categories', 'id', 'file_name', 'width', 'height', 'image_id',
                   'category_id', 'bbox', 'area', 'iscrowd', 'name', 'supercategory'])


class CocoSource(SplitFiles):
    """A folder with COCO JSON, or one such file, as a source; see `datasets.formats.Source`."""
    kind = 'COCO JSON'
    layout = f'COCO (annotations/instances_<split>.json or <split>/{_ROBOFLOW})'
    ordered = True

    def __init__(self, path):
        super().__init__(path)
        if os.path.basename(self._folder) == 'annotations':
            self._folder = os.path.dirname(self._folder) or '.'

    @classmethod
    def recognises(cls, path):
        """As of others; but the JSON at the top of YOLO text is a note of the tool that wrote it."""
        noted = os.path.isdir(path) and any(os.path.isfile(os.path.join(path, name)) for name in _OF_YOLO)
        return super().recognises(path) and not (noted and '' in cls.find(path))

    @staticmethod
    def find(path):
        """{split: JSON file}, the split '' where nobody has divided the pictures; {} where there are none."""
        if os.path.isfile(path):
            return splits.by_name([path] if path.endswith('.json') else [])
        inside = glob.glob(os.path.join(glob.escape(path), 'annotations', '*.json'))
        # Captions and keypoints of the same pictures lie beside the instances; dataset.json is ours.
        found = ([name for name in inside if os.path.basename(name).startswith('instances')] or inside
                 or [name for name in glob.glob(os.path.join(glob.escape(path), '*.json'))
                     if os.path.basename(name) != 'dataset.json'])
        return splits.by_folder(path, _ROBOFLOW) or splits.by_name(found)

    @staticmethod
    def read(path):
        """The content of a COCO JSON, without what is not kept; UserError where it is none."""
        try:
            with open(path, encoding='utf-8-sig') as file:
                content = json.load(file, object_hook=lambda found: {key: found[key] for key in _KEPT & found.keys()})
        except (OSError, ValueError, RecursionError) as error:
            raise UserError(f'{path} cannot be read as JSON ({error})') from error
        for key in ('images', 'annotations', 'categories'):
            missing = [] if key == 'annotations' else None   # which pictures without public labels lack
            part = content.get(key, missing) if isinstance(content, dict) else None
            if not isinstance(part, list) or not all(isinstance(item, dict) for item in part):
                raise UserError(f"{path} is no COCO JSON of boxes: it has no list '{key}'")
        return content

    def pictures(self, split):
        """File name -> function (on_bad_box=None) -> `Annotation`."""
        path, content = self.content(split)
        if 'annotations' not in content:
            raise UserError(f"{path} is no COCO JSON of boxes: it has no list 'annotations'; where labels are not "
                            f'public, as those of COCO test, --without_labels converts the pictures alone')
        names = _categories(path, content)
        boxes = collections.defaultdict(list)
        for item in content['annotations']:
            boxes[item.get('image_id')].append((names.get(item.get('category_id')), item))
        if boxes and not boxes.keys() & {image.get('id') for image in content['images']}:
            raise UserError(f"{path}: no annotation's image_id is the id of an image; correct the numbers")
        return self._pictures(split, boxes)

    def unlabelled(self, split):
        """Likewise, without their boxes."""
        return self._pictures(split, collections.defaultdict(list))

    def _pictures(self, split, boxes):
        """As `pictures`. boxes: id of an image -> [(class name or None, annotation), ...]."""
        path, content = self.content(split)
        # The pictures of COCO's test-dev2017 are among those of test2017.
        of_split = dict.fromkeys((split, split.replace('test-dev', 'test'))) if split else ()
        folders = [os.path.join(self._folder, name) for name in (
            *(os.path.join(*parts) for name in of_split for parts in ((name,), ('images', name))),
            'images/default', 'images', '')]
        folders = list(filter(os.path.isdir, dict.fromkeys([*folders, os.path.dirname(path) or '.'])))
        numbers = collections.Counter(image.get('id') for image in content['images'])
        for number, times in numbers.most_common(1):
            if times > 1:
                raise UserError(f'{path} has {times} images of the id {number}; give each its own')
        found = {}
        for image in content['images']:
            if not isinstance(image.get('file_name'), str) or 'id' not in image:
                raise UserError(f'{path}: an image has no file_name or no id: {json.dumps(image)[:100]}')
            if image['file_name'] in found:
                raise UserError(f"{path} lists '{image['file_name']}' more than once; remove what is double")
            found[image['file_name']] = functools.partial(_read_picture, path, folders, image, boxes[image['id']])
        if not found:
            raise UserError(f'{path} lists no pictures')
        return found

    def class_names(self, splits):
        """Names of the categories, those of the lowest numbers first."""
        found = {number: name for split in splits for number, name in _categories(*self.content(split)).items()}
        return list(dict.fromkeys(found[number] for number in sorted(found)))

    def source_ids(self, splits):
        """Category name -> its number; a name that has another in another split has none."""
        pairs = {pair for split in splits for pair in _categories(*self.content(split)).items()}
        numbers = collections.Counter(name for _, name in pairs)
        return {name: number for number, name in pairs if numbers[name] == 1}


def _categories(path, content):
    """Number -> name of each category.

    Roboflow begins with one that only groups the others and has no boxes: it is left out.
    """
    items = content['categories']
    used = {item.get('category_id') for item in content.get('annotations', ())}
    groups = {item.get('supercategory') for item in items}
    found = {item.get('id'): str(item.get('name', '')).strip() for item in items
             if item.get('supercategory') != 'none' or item.get('name') not in groups or item.get('id') in used}
    if not all(isinstance(number, int) and name for number, name in found.items()):
        raise UserError(f'{path}: a category has no name, or an id that is no whole number')
    names = list(found.values())
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or len({item.get('id') for item in items}) < len(items):
        raise UserError(f"{path} has two categories of one name or id{': ' if twice else ''}{', '.join(twice)}; "
                        f'give each its own')
    return found


def _read_picture(path, folders, image, items, on_bad_box=None):
    """The `Annotation` of an image; items: (class name or None, annotation)."""
    image_path = images.find_image(image['file_name'], folders, path)
    jpeg = images.read_jpeg(image_path)
    said = image.get('width', jpeg.width), image.get('height', jpeg.height)
    if said != (jpeg.width, jpeg.height):
        raise UserError(f"{path} says that {image['file_name']} has {said[0]}x{said[1]} pixels, but the file has "
                        f'{jpeg.width}x{jpeg.height}: its boxes would lie elsewhere; annotate the file as it is stored')
    found = annotate(image_path, jpeg, items, functools.partial(_truth, path, image, jpeg), on_bad_box,
                     source_id=str(image['id']))
    return found if any(found.area) else found._replace(area=())


def _truth(path, image, jpeg, named):
    """(class name, annotation) -> what `annotate` wants, crowd and area included."""
    name, item = named
    what = f"{path}: annotation {item.get('id')} of {image['file_name']}"
    if name is None:
        raise BadBox('unknown', f"{what} has the category {item.get('category_id')}, which is not among the categories")
    try:
        x, y, width, height = map(float, item['bbox'])
        crowd, area = int(item.get('iscrowd') or 0), float(item.get('area') or 0)
    except (KeyError, TypeError, ValueError) as error:
        raise BadBox('unreadable', f'{what} has no bbox of four numbers x, y, width, height, or an unreadable area or '
                                   f'iscrowd') from error
    what += f" ('{name}', x {x:g}, y {y:g}, width {width:g}, height {height:g})"
    return relative_box(what, (x, y, x + width, y + height), jpeg), name, False, False, crowd > 0, area

"""The content of a COCO JSON: reading, ids of any type, and the names of the categories."""
import json
import re

from common import files
from common.errors import UserError
from datasets import class_lists

_MAX_BYTES = 1 << 33   # the largest public files have 5 GB
# Other keys are dropped while parsing: segmentations would need several times the memory.
_USED_KEYS = frozenset([
    'images', 'annotations', 'categories', 'id', 'file_name', 'width', 'height', 'image_id',
    'category_id', 'bbox', 'area', 'iscrowd', 'name', 'supercategory'])
_ID_KEYS = {'images': ('id',), 'annotations': ('image_id', 'category_id'), 'categories': ('id',)}


def read(path):
    """Return the content of a COCO JSON, reduced to the keys that are used.

    The ids are int or str. Integers that were written as floats, as pandas does, become int, and
    values that cannot be ids become tuples, which are equal to no id.

    Raises:
        UserError: If the file cannot be read, or is not COCO JSON with boxes.
    """
    def drop_unused(item):
        return {key: item[key] for key in _USED_KEYS & item.keys()}
    try:
        content = json.loads(files.read_text(path, _MAX_BYTES), object_hook=drop_unused)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f'{path} cannot be read as JSON ({error})') from error
    for key, id_keys in _ID_KEYS.items():
        default = [] if key == 'annotations' else None   # files of unlabeled images have none
        values = content.get(key, default) if isinstance(content, dict) else None
        if not isinstance(values, list) or not all(isinstance(item, dict) for item in values):
            raise UserError(f"{path} is not COCO JSON with boxes: it has no list '{key}'")
        for item in values:
            for id_key in id_keys:
                item[id_key] = _parse_id(item.get(id_key))
    return content


def shown(identifier):
    """Return an id for messages: text in quotes, which tells '2' from 2, or only its type."""
    if isinstance(identifier, tuple):
        return f'of type {identifier[0]}'
    return json.dumps(identifier, ensure_ascii=False)[:60]


def category_names(path, content):
    """Return the names of the categories, a background included: id -> name, in their order.

    The order is that of the ids if they are numbers, or text of numbers, and that of the file
    otherwise. The first category of files from Roboflow is a group of the others without boxes of
    its own; it is left out.

    Raises:
        UserError: If two categories have the same name or id, or one has none.
    """
    items = content['categories']
    used_ids = {item['category_id'] for item in content.get('annotations', ())}
    groups = {item['supercategory'] for item in items
              if isinstance(item.get('supercategory'), str)}
    categories = [item for item in items if item.get('supercategory') != 'none'
                  or item.get('name') not in groups or item['id'] in used_ids]
    names = {item['id']: _parse_name(item.get('name')) for item in categories}
    if not all(names.values()) or any(isinstance(identifier, tuple) for identifier in names):
        raise UserError(f'{path}: a category has no name, or an id that is no number or text')
    all_names = list(names.values())
    duplicates = sorted({name for name in all_names if all_names.count(name) > 1})
    if duplicates or len({item['id'] for item in items}) < len(items):
        raise UserError(f"{path} has two categories with the same name or id"
                        f"{': ' if duplicates else ''}{', '.join(duplicates)}. Make them unique")
    if all(isinstance(identifier, int) or re.fullmatch('[0-9]{1,18}', identifier)
           for identifier in names):
        return {identifier: names[identifier] for identifier in sorted(names, key=int)}
    return names


def class_ids(names):
    """Return the classes of {id: name} as {name: id}; the id is None if it is text."""
    return {name: identifier if isinstance(identifier, int) else None
            for identifier, name in names.items() if not class_lists.is_background(name)}


def _parse_id(value):
    if isinstance(value, str) or type(value) is int:
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return (type(value).__name__,)


def _parse_name(value):
    return str(value).strip() if isinstance(value, (str, int, float)) else ''

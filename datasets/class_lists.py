"""Lists of class names as tools write them: a name per line, `id:name`, label maps, data.yaml.

`parse` returns the entries as they are; `datasets.dataset_info.read_labels` and the YOLO reader
decide what the numbers mean.
"""
import re

import yaml

from common import files
from common.errors import UserError

MAX_BYTES = 1 << 24
_MAX_YAML_BYTES = 1 << 20   # PyYAML reads about 100 kB per second
_NUMBERED = re.compile(r'([0-9]{1,9})\s*:\s*(.*)')
_NUMBERED_BY_SPACE = re.compile(r'([0-9]{1,9})\s+(\S.*)')
_CVAT_HEADER = '# label:'   # of labelmap.txt: `name:color:parts:actions` per line
_LABEL_MAP_ITEM = re.compile(r'\bitem\s*\{([^{}]*)\}')
_LABEL_MAP_VALUE = re.compile(
    r'\b(id|name|display_name)\s*:\s*(?:"((?:[^"\\\n]|\\.)*)"|\'((?:[^\'\\\n]|\\.)*)\'|(-?[0-9]+))')


def is_background(name, is_first=False):
    """Return whether a class name stands for the background, or for pixels to ignore.

    Examples are 'BACKGROUND', '__background__', '_background_' and labelme's '__ignore__'. Names at
    the first position, which `is_first` says, may also be 'BG' and '???'.
    """
    compact = re.sub(r'[\W_]+', '', name).lower()
    return (compact == 'background' or name.strip() == '__ignore__'
            or (is_first and (compact == 'bg' or not name.strip('? '))))


def read(path):
    """Read a list of class names of any known form.

    The forms are a name per line; `id:name` or `id name` per line; CVAT's labelmap.txt; a label map
    of the Object Detection API (`item { id: 1 name: "cat" }`); and YAML with an entry `names`.

    Returns:
        List of (number or None, name), in the order of the file. The background is included.

    Raises:
        UserError: If the file cannot be read, is not a regular file of at most 16 MiB, has no
            names, or has several names or numbers on one line.
    """
    if is_yaml(path):
        return parse_yaml_names(path, read_yaml(path).get('names'))
    entries = _parse(path, read_text(path))
    if not entries:
        raise UserError(f'{path} has no class names. Write one per line')
    return entries


def is_yaml(path):
    """Return whether the name of a file is that of a YAML file."""
    return str(path).endswith(('.yaml', '.yml'))


def read_text(path, max_bytes=MAX_BYTES):
    """Return the content of a UTF-8 text file; raise `UserError` if that is impossible."""
    try:
        return files.read_text(path, max_bytes)
    except OSError as error:
        raise UserError(f'{path} cannot be read ({error.strerror})') from error
    except UnicodeDecodeError as error:
        raise UserError(f'{path} is not UTF-8 text. Save it as UTF-8') from error


def read_yaml(path):
    """Return the content of a data.yaml as a dict.

    All values are strings, lists and dicts, so that a class can be called `no` or `1`.
    """
    try:
        config = yaml.load(read_text(path, _MAX_YAML_BYTES), yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError, TypeError, ValueError) as error:
        problem = ' '.join(str(error).split())[:200]
        raise UserError(f'{path} is not valid YAML ({problem})') from error
    if not isinstance(config, dict):
        raise UserError(f"{path} has no entry 'names:' with the class names")
    return config


def parse_yaml_names(path, names):
    """Return the list of (number, name) of the entry `names` of a YAML file."""
    pairs = names.items() if isinstance(names, dict) else enumerate(
        names if isinstance(names, list) else ())
    try:
        entries = [(int(number), name.strip()) for number, name in pairs]
    except (AttributeError, ValueError) as error:
        raise UserError(f'{path}: names must be a list of class names, or lines '
                        f"'number: name'") from error
    if not entries:
        raise UserError(f'{path} has no class names. Write one per line')
    return entries


def _parse(path, text):
    """Return the entries of a file that is not YAML."""
    if _LABEL_MAP_ITEM.search(text):
        return _parse_label_map(path, text)
    lines = list(filter(None, map(str.strip, text.split('\n'))))
    if lines and lines[0].startswith(_CVAT_HEADER):
        return [(None, line.partition(':')[0].strip()) for line in lines[1:]]
    return _parse_lines(path, [line for line in lines if not line.startswith('# ')])


def _parse_lines(path, lines):
    """Return the entries of a file with a name, `id:name` or `id name` per line."""
    for line in lines:
        if _has_several_entries(line, len(lines)):
            raise UserError(f"{path}: '{line[:60]}' is not the name of one class. Write one class "
                            f'per line, as name or id:name')
    matches = list(map(_NUMBERED.fullmatch, lines))
    if any(matches) and not all(matches):
        raise UserError(f"{path}: '{lines[matches.index(None)][:60]}' has no number, but other "
                        f'lines have. Write id:name on each line, or on none')
    if not any(matches):
        matches = list(map(_NUMBERED_BY_SPACE.fullmatch, lines))
        if len(lines) == 1 and matches[0] and matches[0][1] not in ('0', '1'):
            matches = [None]   # a name such as '7 eleven'
    if not all(matches):
        return [(None, line) for line in lines]
    return [(int(match[1]), match[2].strip()) for match in matches]


def _has_several_entries(line, num_lines):
    """Return whether a line is a list, or a part of JSON, XML, CSV or YAML, instead of a name."""
    numbered = _NUMBERED.fullmatch(line)
    return bool(
        line[0] in '[{<"' or line.startswith('names:') or line[-1] in ',;'
        or (num_lines == 1 and re.search('[,;\t|]', line) and not numbered)
        or re.match(r'[0-9]+\s*[,;]', line) or re.search(r'[,;]\s*[0-9]+$', line)
        or re.search(r'[\s,;][0-9]+\s*:', numbered[2] if numbered else line))


def _parse_label_map(path, text):
    """Return the entries of a label map of the Object Detection API, a text protocol buffer."""
    text = re.sub(r'^\s*#.*$', '', text, flags=re.MULTILINE)
    entries = []
    for item in _LABEL_MAP_ITEM.findall(text):
        values = {key: number or double or single for key, double, single, number
                  in _LABEL_MAP_VALUE.findall(item)}
        name = values.get('display_name') or values.get('name')
        if not name or not re.fullmatch('[0-9]{1,9}', values.get('id', '')):
            raise UserError(f"{path}: 'item {{{' '.join(item.split())[:60]}}}' has no id or no "
                            f'name. Write items like item {{ id: 1 name: "cat" }}')
        entries.append((int(values['id']), name.strip()))
    return entries

"""Split lists in VOC layout: `ImageSets/Main/<split>.txt` with the identifier of an image per line.

Other tools write the names of the images with their extensions, or paths of images and annotation
files, and other lists.
"""
import os
import re

from common import files
from common.errors import UserError
from datasets import images
from datasets.image_index import fold, path_key

_MAX_BYTES = 1 << 28
# In the order of the search; the groups are a folder in front and the name of the split.
_PATTERNS = tuple(re.compile(pattern, re.IGNORECASE) for pattern in (
    r'(.*/)?imagesets/main/([^/]+)\.txt', r'(.*/)?imagesets/([^/]+)\.txt',
    r'()(?:annotations/)?(train|trainval|val|valid|validation|test)\.txt'))
UNDIVIDED = 'default'   # CVAT's list of all images


def find_lists(paths):
    """Return the split lists among paths: {split: list of (folder in front, path)}.

    Per-class lists such as `cat_train.txt` are among them.
    """
    lists = {}
    for pattern in _PATTERNS:
        for path in paths:
            match = pattern.fullmatch(path)
            if match:
                lists.setdefault(match.group(2), []).append((match.group(1) or '', path))
        if lists:
            break
    return dict(sorted(lists.items()))


def split_names(lists):
    """Return the names of the splits, without per-class lists and CVAT's list of all images."""
    names = [name for name in lists
             if '_' not in name or name.rpartition('_')[2] not in lists]
    return [] if names == [UNDIVIDED] else names


class Identifiers:
    """The known identifiers, to which the lines of split lists refer.

    Args:
        names: Iterable of identifiers; the first of two that differ in upper case wins.
    """

    def __init__(self, names):
        self._names, self._folded = set(names), {}
        for name in names:
            self._folded.setdefault(fold(name), name)

    def read_list(self, folder, prefix, path):
        """Return the identifiers of a split list, in its order.

        Args:
            folder: Folder of the dataset.
            prefix: Folder in front of `ImageSets`, relative to that folder, with a final slash.
            path: Path of the list, relative to that folder.

        Raises:
            UserError: If the list is empty, cannot be decoded or has duplicates.
        """
        path = os.path.join(folder, path)
        try:
            lines = files.read_text(path, _MAX_BYTES).split('\n')
        except OSError as error:
            raise UserError(f'{path} cannot be read ({error.strerror})') from error
        except UnicodeDecodeError as error:
            raise UserError(f'{path} is not UTF-8 text. Save it as UTF-8') from error
        lines = list(filter(None, map(str.strip, lines)))
        if not lines:
            raise UserError(f'{path} lists no images. Add the name of an image per line')
        identifiers = [self._resolve(path_key(prefix + 'x')[:-1], line) for line in lines]
        unique = set()
        for identifier in identifiers:
            if identifier in unique:
                raise UserError(f"{path} lists '{identifier}' more than once. Remove the "
                                f'duplicates')
            unique.add(identifier)
        return identifiers

    def _resolve(self, prefix, line):
        """Return the identifier of a line; the line without its columns if it is unknown."""
        forms = list(dict.fromkeys(_forms(line)))
        for form in forms:
            for name in (prefix + form, form):
                if name in self._names:
                    return name
                if fold(name) in self._folded:
                    return self._folded[fold(name)]
        return forms[1] if len(forms) > 1 and _has_flag(line) else line


def _has_flag(line):
    return line.rpartition(' ')[2] in ('-1', '0', '1') and ' ' in line


def _forms(line):
    """Yield the identifiers that a line may mean, the most literal one first.

    An identifier may contain spaces. In a per-class list of VOC it is followed by 1, 0 or -1, in
    other lists by further columns. It may be a path, on any machine, of an image or an XML file.
    """
    columns = [line, *([line.rpartition(' ')[0].strip()] if _has_flag(line) else ()),
               *re.split(r'[ \t,]+', line)[:1]]
    yield from columns
    for text in columns:
        text = text.replace('\\', '/')
        stem, extension = os.path.splitext(text)
        if extension.lower() in (*images.EXTENSIONS, '.xml'):
            text = stem
        parts = path_key(text + '.').split('/')
        yield from ('/'.join(parts[i:]) for i in range(len(parts)))

"""File names that annotation files contain, which may be spelled in another way than on the disk.

Annotation tools write paths of the machine that they ran on, URL-encoded names ('a%20b.jpg') and
other Unicode forms of the same name. Files outside the folder of the dataset are never named.
"""
import os
import unicodedata
import urllib.parse

_FORMS = ('NFC', 'NFD')   # of Unicode: composed, as most tools write; decomposed, as macOS does
_MAX_LENGTH, _MAX_PARTS = 4096, 20   # of a path; Linux has the same limit of its length


def canonical(name):
    """Return a name that is equal for all spellings of a file name."""
    return unicodedata.normalize('NFC', urllib.parse.unquote(name))


def spellings(name):
    """Return the spellings of a file name, the given one first: decoded, and in Unicode forms."""
    decoded = dict.fromkeys((name, urllib.parse.unquote(name)))
    return list(dict.fromkeys([*decoded, *(
        unicodedata.normalize(form, spelling) for spelling in decoded for form in _FORMS)]))


def split_parts(name):
    """Return the parts of a relative or absolute path with slashes or backslashes, without '..'.

    'C:\\\\data\\\\cam1\\\\a.jpg' gives ['data', 'cam1', 'a.jpg'].
    """
    parts = name.replace('\\', '/').split('/')
    return [part for part in parts if part not in ('', '.', '..') and not part.endswith(':')]


def join_inside(root, *parts):
    """Join paths as `os.path.join` does, or return None if the result is not in the folder `root`.

    A NUL byte, which no file name contains, gives None too.
    """
    path = os.path.normpath(os.path.join(*parts))
    relative = os.path.relpath(path, root) if '\0' not in path else os.pardir
    return None if relative.split(os.sep)[0] == os.pardir else path


def find(name, folders, root, exists=os.path.isfile):
    """Find a file or folder that an annotation file names.

    All spellings of the name are tried in all folders, then those of its last parts, longest first:
    the first parts of 'C:\\\\data\\\\cam1\\\\a.jpg' are those of another machine.

    Args:
        name: Relative or absolute path, with slashes or backslashes.
        folders: Folders to search, in this order.
        root: Folder that must contain the result, or None: the one that is searched.
        exists: Function from a path to whether it is a match.

    Returns:
        Path, or None.
    """
    parts = split_parts(name)[-_MAX_PARTS:]
    candidates = [name.replace('\\', '/'), *('/'.join(parts[i:]) for i in range(len(parts)))]
    for candidate in candidates if len(name) <= _MAX_LENGTH else ():
        for spelling in spellings(candidate):
            for folder in folders:
                path = join_inside(root or folder, folder, spelling)
                if path and exists(path):
                    return path
    return None

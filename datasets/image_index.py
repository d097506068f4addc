"""Search for the images of annotation files, in any folders."""
import collections
import os
import unicodedata
import urllib.parse

from common.errors import UserError

_MAX_DEPTH = 8   # of folders
# Extensions of images that are not read, for the error message.
_UNREAD_EXTENSIONS = ('.gif', '.heic', '.heif', '.avif', '.jxl', '.jp2', '.svg')
# Names of folders that say what they contain, not what distinguishes their files from others.
_CONTENT_FOLDERS = frozenset((
    'annotation', 'annotations', 'annot', 'annots', 'xml', 'xmls', 'json', 'jsons', 'label',
    'labels', 'jpegimages', 'image', 'images', 'img', 'imgs', 'jpg', 'jpgs', 'photos'))


class MissingImage(UserError):
    """An annotation file without an image."""


def list_files(folder):
    """Return the paths of all files below a folder, relative to it and sorted.

    Hidden files and folders, and those of macOS archives, are left out. Links to folders are
    followed, except to a folder that contains them.
    """
    paths = []
    for parent, names, file_names in os.walk(folder, followlinks=True):
        relative = os.path.relpath(parent, folder)
        parts = [] if relative == os.curdir else relative.split(os.sep)
        names[:] = sorted(
            name for name in names if not name.startswith(('.', '__MACOSX'))
            and len(parts) < _MAX_DEPTH and not _is_link_to_parent(os.path.join(parent, name)))
        paths += ['/'.join([*parts, name]) for name in file_names if not name.startswith('.')]
    return sorted(paths)


def _is_link_to_parent(path):
    if not os.path.islink(path):
        return False
    target = os.path.realpath(path)
    parent = os.path.realpath(os.path.dirname(path))
    return os.path.commonpath([target, parent]) == target


def path_key(path):
    """Return what a relative path of an annotation file has in common with that of its image.

    This is the path without extension and without the names of folders such as `Annotations`.
    """
    *folders, name = path.split('/')
    folders = [folder for folder in folders if folder.lower() not in _CONTENT_FOLDERS]
    return '/'.join([*folders, os.path.splitext(name)[0]])


def fold(text):
    """Return text for comparisons of file names: one form of accents, and without upper case."""
    return unicodedata.normalize('NFC', text).casefold()


def _is_end(path, other):
    """Return whether the key of one of two paths is the end of that of the other."""
    keys = f'/{path_key(path)}', f'/{path_key(other)}'
    return keys[0].endswith(keys[1]) or keys[1].endswith(keys[0])


class ImageIndex:
    """The images of a folder, to search for those of annotation files.

    Args:
        paths: Paths of the images relative to the folder, with slashes.
    """

    def __init__(self, paths):
        self._by_stem, self._by_name = collections.defaultdict(list), collections.defaultdict(list)
        for path in paths:
            name = os.path.basename(path)
            self._by_stem[fold(os.path.splitext(name)[0])].append(path)
            self._by_name[fold(name)].append(path)

    def find(self, path, read_image_name=lambda: ''):
        """Return the path of the image of an annotation file.

        It has the same path, apart from its extension and the folders that `path_key` removes, or
        the same name, or the name that the annotation file gives. If several images match, that
        name decides.

        Args:
            path: Path of the annotation file, relative to the folder.
            read_image_name: Function that returns the path of the image as the annotation file has
                it, or ''. It is called if the path of the annotation file does not decide.

        Raises:
            MissingImage: If there is no such image.
            UserError: If there are several.
        """
        stem = fold(os.path.splitext(os.path.basename(path))[0])
        same_stem = self._by_stem.get(stem, [])
        same_key = [image for image in same_stem if fold(path_key(image)) == fold(path_key(path))]
        candidates = same_key or same_stem or self._by_name.get(stem, [])   # a.jpg.xml
        if len(candidates) == 1:
            return candidates[0]
        image_name = read_image_name().replace('\\', '/')
        names = image_name, urllib.parse.unquote(image_name)
        base_names = tuple(map(os.path.basename, names))
        candidates = candidates or next(
            filter(None, (self._by_name.get(fold(name)) for name in base_names)), [])
        if not candidates:
            extension = os.path.splitext(base_names[0])[1].lower()
            if extension in _UNREAD_EXTENSIONS:
                raise MissingImage(f"{path}: its image '{base_names[0]}' is not read: convert "
                                   f'{extension} files to .jpg or .png')
            added = f" or '{base_names[0]}'" if base_names[0] else ''
            raise MissingImage(f'{path}: its image is missing. Add '
                               f'{os.path.splitext(os.path.basename(path))[0]}.jpg (or another '
                               f'extension){added}')
        for is_better in (lambda image: os.path.basename(image) in base_names,
                          lambda image: any(_is_end(image, name) for name in names),
                          lambda image: os.path.dirname(image) == os.path.dirname(path),
                          lambda image: os.path.dirname(path_key(image)) == os.path.dirname(
                              path_key(path))):
            candidates = list(filter(is_better, candidates)) or candidates
        if len(candidates) > 1:
            raise UserError(f'{path}: several images have its name: {", ".join(candidates[:3])}. '
                            f'Rename or remove some of them')
        return candidates[0]

    def find_all(self, annotations):
        """Find the images of several annotations.

        An image that belongs to several annotations is an error for all of them.

        Args:
            annotations: {identifier: (path, read_image_name)}, see `find`.

        Returns:
            {identifier: path of the image, or `UserError`}, and the set of the images that belong
            to annotations.
        """
        pairs, owners = {}, collections.defaultdict(list)
        for identifier, (path, read_image_name) in annotations.items():
            try:
                pairs[identifier] = self.find(path, read_image_name)
                owners[pairs[identifier]].append(path)
            except UserError as error:
                pairs[identifier] = error
        pairs = {identifier: UserError(
            f'{", ".join(owners[image][:3])} have the same image, {image}. Add the missing images, '
            f'or remove annotations') if len(owners.get(image, ())) > 1 else image
            for identifier, image in pairs.items()}
        return pairs, set(owners)

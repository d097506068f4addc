"""Image files as the bytes of a record or a prediction, and search for image files."""
import contextlib
import glob
import io
import os
import struct
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from common.errors import UserError
from datasets import file_names

EXTENSIONS = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')
_EXIF_ORIENTATION = 0x0112
_JPEG_OPTIONS = {'quality': 95, 'subsampling': 0}


class BadImage(UserError):
    """A file that is not an image or does not decode."""


class EncodedImage(NamedTuple):
    """An encoded image."""
    encoded: bytes
    height: int   # in pixels
    width: int
    orientation: int = 1   # EXIF orientation, 2 to 8, that is not applied to the pixels; 1: none


def read_jpeg(path, apply_orientation=False):
    """Read an image file for a record; see `to_jpeg`.

    Raises:
        UserError: If the file cannot be read.
        BadImage: If it does not decode.
    """
    return to_jpeg(_read(path), path, apply_orientation)


def read_upright(path):
    """Read an image file for prediction; see `to_upright`. Raises the errors of `read_jpeg`."""
    return to_upright(_read(path), path)


def to_jpeg(content, path, apply_orientation=False):
    """Convert the content of an image file to a JPEG, for a record.

    The bytes of an RGB JPEG are kept. All other images (grayscale, CMYK, PNG, ...) are converted to
    RGB and encoded as JPEG. By default, the EXIF orientation is not applied, because annotations
    refer to the pixels as they are stored.

    Args:
        content: Bytes of the file.
        path: Path of the file, for error messages.
        apply_orientation: Whether to rotate the image as its EXIF orientation says.

    Returns:
        `EncodedImage`.

    Raises:
        BadImage: If the content is not an image or does not decode.
    """
    with _open(content, path) as image:
        orientation = _exif_orientation(image)
        if apply_orientation and orientation != 1:
            return _encode(_to_rgb(ImageOps.exif_transpose(image)), 'JPEG', **_JPEG_OPTIONS)
        if image.format == 'JPEG' and image.mode == 'RGB':
            jpeg = _keep(content, image)
        else:
            jpeg = _encode(_to_rgb(image), 'JPEG', **_JPEG_OPTIONS)
        return jpeg._replace(orientation=orientation)


def to_upright(content, path):
    """Convert the content of an image file without loss to one that TensorFlow decodes.

    The image is rotated as its EXIF orientation tag says. The bytes of a JPEG are kept if possible.
    All other images are converted to RGB and stored as BMP, which costs next to no time. Arguments,
    result and errors are those of `to_jpeg`.
    """
    with _open(content, path) as image:
        is_rotated = _exif_orientation(image) != 1
        if image.format == 'JPEG' and image.mode in ('RGB', 'L') and not is_rotated:
            return _keep(content, image)
        return _encode(_to_rgb(ImageOps.exif_transpose(image) if is_rotated else image), 'BMP')


def expand_paths(names, extensions=EXTENSIONS, noun='image'):
    """Expand files, folders and glob patterns to the paths of image files, without duplicates.

    Args:
        names: List of paths of files, paths of folders and glob patterns.
        extensions: Extensions, in lower case, of the files that a folder stands for.
        noun: What such a file is called in error messages.

    Raises:
        UserError: If one of the names does not match any file.
    """
    paths = []
    for name in names:
        if os.path.isdir(name):
            matches = sorted(entry.path for entry in os.scandir(name)
                             if entry.is_file() and entry.name.lower().endswith(extensions))
        else:
            matches = [name] if os.path.exists(name) else sorted(glob.glob(name, recursive=True))
        if not matches:
            raise UserError(f"no {noun} found at '{name}'. Pass existing files, folders or glob "
                            f'patterns')
        paths += matches
    return list(dict.fromkeys(paths))


def find_image(name, folders, annotation_path, root=None):
    """Find the image file that an annotation calls `name`; see `file_names.find`.

    Args:
        name: Relative or absolute path, with slashes or backslashes.
        folders: Folders to search, in this order.
        annotation_path: File that names the image, for the error message.
        root: Folder that must contain the image, or None: one of the `folders`.

    Returns:
        Path of the image.

    Raises:
        UserError: If the image is in no folder.
    """
    path = file_names.find(name, folders, root)
    if not path:
        raise UserError(f"{annotation_path} refers to the image '{name}', which is missing in "
                        f"{', '.join(folders)}. Add it, or correct its name")
    return path


def find_images(names, folders, annotation_path):
    """Return the images that `find_image` finds: name -> path."""
    paths = {}
    for name in names:
        with contextlib.suppress(UserError):
            paths[name] = find_image(name, folders, annotation_path)
    return paths


def _read(path):
    """Return the content of a file."""
    try:
        with open(path, 'rb') as file:
            return file.read()
    except OSError as error:
        raise UserError(f'{path}: cannot be read ({error.strerror})') from error


@contextlib.contextmanager
def _open(content, path):
    """Yield the `PIL.Image` of the content of a file; errors of decoding become `BadImage`."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            yield image
    except UnidentifiedImageError as error:
        raise BadImage(f'{path}: not an image in a known format. Replace or remove it') from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadImage(f'{path}: does not decode ({error}). Replace or remove it') from error


def _exif_orientation(image):
    """Return the EXIF orientation of a `PIL.Image`: 2 to 8, or 1 if it has no valid one."""
    try:
        orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    except (OSError, SyntaxError, ValueError, KeyError, TypeError, struct.error):
        return 1
    return orientation if orientation in range(2, 9) else 1


def _keep(content, image):
    """Return a JPEG as `EncodedImage` with its own bytes, after checking that it decodes."""
    # Decode at the smallest scale. This still reads all bytes and so detects truncated files.
    height, width = image.height, image.width
    image.draft(image.mode, (1, 1))
    image.load()
    return EncodedImage(content, height, width)


def _to_rgb(image):
    if image.mode.startswith('I'):   # Pillow would clip 16-bit gray values at 255
        image = Image.fromarray((np.asarray(image, np.uint32) >> 8).astype(np.uint8))
    return image.convert('RGB')


def _encode(image, image_format, **options):
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return EncodedImage(buffer.getvalue(), image.height, image.width)

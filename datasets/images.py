"""Image files as the JPEG bytes of a record, and search for image files."""
import glob
import io
import os
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from common.errors import UserError

EXTENSIONS = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')
_EXIF_ORIENTATION = 0x0112


class BadImage(UserError):
    """A file that is not an image or does not decode."""


class JpegImage(NamedTuple):
    """An encoded RGB image."""
    encoded: bytes
    height: int   # in pixels
    width: int


def read_jpeg(path, apply_orientation=False):
    """Read an image file as `JpegImage`; see `to_jpeg`.

    Raises:
        UserError: If the file cannot be read.
        BadImage: If it does not decode.
    """
    try:
        with open(path, 'rb') as file:
            content = file.read()
    except OSError as error:
        raise UserError(f'{path}: cannot be read ({error.strerror})') from error
    return to_jpeg(content, path, apply_orientation)


def to_jpeg(content, path, apply_orientation=False):
    """Convert the content of an image file to `JpegImage`.

    The bytes of an RGB JPEG are kept. All other images (grayscale, CMYK, PNG, ...) are converted to
    RGB and encoded as JPEG.

    Args:
        content: Bytes of the file.
        path: Path of the file, for error messages.
        apply_orientation: Rotate the image as its EXIF orientation tag says. Use True for images
            that people look at, False for annotated images, because annotations refer to the
            pixels as they are stored.

    Raises:
        BadImage: If the content is not an image or does not decode.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            rotate = apply_orientation and image.getexif().get(_EXIF_ORIENTATION, 1) != 1
            if image.format == 'JPEG' and image.mode == 'RGB' and not rotate:
                # Decode at the smallest scale. This still reads all bytes and so detects truncated
                # files.
                height, width = image.height, image.width
                image.draft('RGB', (1, 1))
                image.load()
                return JpegImage(content, height, width)
            return _encode(_to_rgb(ImageOps.exif_transpose(image) if rotate else image))
    except UnidentifiedImageError as error:
        raise BadImage(f'{path}: not an image in a known format. Replace or remove it') from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadImage(f'{path}: does not decode ({error}). Replace or remove it') from error


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


def find_image(name, folders, annotation_path):
    """Find the image file that an annotation calls `name`.

    Annotation tools may write paths of the machine they ran on. If `name` does not exist as a
    relative path in any of the folders, its last part is searched for.

    Args:
        name: Relative or absolute path, with slashes or backslashes.
        folders: Folders to search, in this order.
        annotation_path: File that names the image, for the error message.

    Returns:
        Path of the image.

    Raises:
        UserError: If the image is in no folder.
    """
    name_with_slashes = name.replace('\\', '/')
    for candidate in dict.fromkeys((name_with_slashes, os.path.basename(name_with_slashes))):
        for folder in folders:
            path = os.path.join(folder, candidate)
            if os.path.isfile(path):
                return path
    raise UserError(f"{annotation_path} refers to the image '{name}', which is missing in "
                    f"{', '.join(folders)}. Add it, or correct its name")


def _to_rgb(image):
    if image.mode.startswith('I'):   # Pillow would clip 16-bit gray values at 255
        image = Image.fromarray((np.asarray(image, np.uint32) >> 8).astype(np.uint8))
    return image.convert('RGB')


def _encode(image):
    buffer = io.BytesIO()
    image.save(buffer, 'JPEG', quality=95, subsampling=0)
    return JpegImage(buffer.getvalue(), image.height, image.width)

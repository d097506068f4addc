"""Picture files to the bytes that go into a record: JPEG with three channels, untouched where it is one."""
import glob
import io
import os
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from common.errors import UserError

EXTENSIONS = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')
_ORIENTATION = 0x0112   # EXIF


class BadImage(UserError):
    """A file that is no picture, or not a whole one."""


class Jpeg(NamedTuple):
    """An encoded RGB picture."""
    encoded: bytes
    height: int
    width: int


def read_jpeg(path, upright=False):
    """The file as `Jpeg`. RGB JPEGs keep their bytes; grey, CMYK and other formats are encoded anew.

    upright: turns pictures as their camera noted it. Annotations count pixels as they are stored, so they want
    it off; a person who looks at a picture wants it on.
    """
    try:
        with open(path, 'rb') as file:
            content = file.read()
    except OSError as error:
        raise UserError(f'{path}: cannot be read ({error.strerror})') from error
    return to_jpeg(content, path, upright)


def expand_paths(names, extensions=EXTENSIONS, what='picture'):
    """Paths of the pictures that files, folders and globs name, each once; UserError where a name means nothing.

    extensions: of the files of a folder that are wanted; what: what such a file is, for the sentence.
    """
    found = []
    for name in names:
        if os.path.isdir(name):
            there = sorted(entry.path for entry in os.scandir(name)
                           if entry.is_file() and entry.name.lower().endswith(extensions))
        else:
            there = [name] if os.path.exists(name) else sorted(glob.glob(name, recursive=True))
        if not there:
            raise UserError(f"'{name}' is no {what}, no folder with any, and no glob that matches one")
        found += there
    return list(dict.fromkeys(found))


def find_image(name, folders, who):
    """The path of the picture that annotations call `name`: in the first of these folders that has it.

    Tools write paths of machines where they ran, so the last part of the name alone is looked for too. who: what names
    it, for the UserError where it is nowhere.
    """
    parts = name.replace('\\', '/')
    for candidate in dict.fromkeys((parts, os.path.basename(parts))):
        for folder in folders:
            path = os.path.join(folder, candidate)
            if os.path.isfile(path):
                return path
    raise UserError(f"{who} names the picture '{name}', which is in none of {', '.join(folders)}; put it there, or "
                    f'correct the name')


def to_jpeg(content, path, upright=False):
    """`Jpeg` of a file's bytes; BadImage naming `path` where they are no whole picture."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            turned = upright and image.getexif().get(_ORIENTATION, 1) != 1
            if image.format == 'JPEG' and image.mode == 'RGB' and not turned:
                # The smallest decoding that still reads every byte: finds files that were cut short.
                height, width = image.height, image.width
                image.draft('RGB', (1, 1))
                image.load()
                return Jpeg(content, height, width)
            return _encode(_to_rgb(ImageOps.exif_transpose(image) if turned else image))
    except UnidentifiedImageError as error:
        raise BadImage(f'{path}: is no picture that can be read; replace or remove it') from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadImage(f'{path}: does not decode ({error}); replace or remove it') from error


def _to_rgb(image):
    if image.mode.startswith('I'):   # 16-bit grey: Pillow would cut it at 255
        image = Image.fromarray((np.asarray(image, np.uint32) >> 8).astype(np.uint8))
    return image.convert('RGB')


def _encode(image):
    buffer = io.BytesIO()
    image.save(buffer, 'JPEG', quality=95, subsampling=0)
    return Jpeg(buffer.getvalue(), image.height, image.width)

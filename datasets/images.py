"""Image files as the bytes of a record or a prediction, and search for image files."""
import contextlib
import glob
import io
import os
import warnings
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from common.errors import UserError
from common.files import read_bytes
from datasets import file_names, gray_levels, jpeg_structure

EXTENSIONS = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')
# Pillow decodes these formats itself. For others, such as PostScript, it starts external programs.
_FORMATS = ('JPEG', 'PNG', 'BMP', 'DIB', 'WEBP', 'TIFF', 'GIF', 'PPM', 'JPEG2000', 'AVIF', 'TGA')
_KEPT_FORMATS = ('JPEG', 'MPO')   # MPO: a JPEG that further images follow, as phones write it
MAX_PIXELS = 160_000_000          # the largest sensors of cameras have 151 million
_MAX_SIDE = 65_500                # of a JPEG
_MAX_FILE_BYTES = 1 << 30
_MIN_SCALED_SIDE = 64             # of a JPEG that is checked at 1/8 of its size
_EXIF_ORIENTATION = 0x0112
_DEEP = 'has_16_bits'   # key of `Image.info`
_JPEG_OPTIONS = {'quality': 95, 'subsampling': 0}
# Pillow reads only the high 8 bits of color channels with 16 bits. If none of them is above this
# level, the channels do not use the upper two bits or more, as with 12 bits stored in 16.
_DARK_LEVEL = 63

# Pillow's limit is lower, and no error but a warning for most images. `_open` checks the size.
Image.MAX_IMAGE_PIXELS = None


class BadImage(UserError):
    """A file that is not an image or does not decode."""


class EncodedImage(NamedTuple):
    """An encoded image."""
    encoded: bytes
    height: int            # in pixels
    width: int
    orientation: int = 1   # EXIF orientation, 2 to 8, that is not applied to the pixels; 1: none
    contrast: int = 255    # largest range of a color channel, in levels; of JPEGs at 1/8 scale


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
        BadImage: If the content is not an image, does not decode or has too many pixels.
    """
    with _open(content, path) as image:
        orientation = _exif_orientation(image)
        if apply_orientation and orientation != 1:
            return _encode(ImageOps.exif_transpose(image), 'JPEG', **_JPEG_OPTIONS)
        if image.format in _KEPT_FORMATS and image.mode == 'RGB':
            jpeg = _keep(content, image)
        else:
            jpeg = _encode(image, 'JPEG', **_JPEG_OPTIONS)
        return jpeg._replace(orientation=orientation)


def to_upright(content, path):
    """Convert the content of an image file without loss to one that TensorFlow decodes.

    The image is rotated as its EXIF orientation tag says. The bytes of a JPEG are kept if possible.
    All other images are converted to RGB and stored as BMP, which costs next to no time.

    Args:
        content: Bytes of the file.
        path: Path of the file, for error messages.

    Returns:
        `EncodedImage`.

    Raises:
        BadImage: As `to_jpeg`.
    """
    with _open(content, path) as image:
        is_rotated = _exif_orientation(image) != 1
        if image.format in _KEPT_FORMATS and image.mode in ('RGB', 'L') and not is_rotated:
            return _keep(content, image)
        return _encode(ImageOps.exif_transpose(image) if is_rotated else image, 'BMP')


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
            unused = list_names(unused_files([name], extensions))
            contents = f', which contains {unused}' if unused else ''
            raise UserError(f"no {noun} found at '{name}'{contents}. Pass existing files, folders "
                            f'or glob patterns')
        paths += matches
    return list(dict.fromkeys(paths))


def unused_files(names, extensions):
    """Return the paths of the files in folders that `expand_paths` does not return, sorted.

    Hidden files are left out. Arguments are those of `expand_paths`.
    """
    return sorted(entry.path for name in names if os.path.isdir(name) for entry in os.scandir(name)
                  if not entry.is_dir() and not entry.name.startswith('.')
                  and not (entry.is_file() and entry.name.lower().endswith(extensions)))


def list_names(paths, max_names=5):
    """Return the first file names of a list of paths as text, and how many more there are."""
    rest = f' and {len(paths) - max_names} more' if len(paths) > max_names else ''
    return ', '.join(map(os.path.basename, paths[:max_names])) + rest


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
        raise UserError(f"{annotation_path} refers to the image '{name[:200]}', which is missing "
                        f"in {', '.join(folders)}. Add it, or correct its name")
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
        return read_bytes(path, _MAX_FILE_BYTES)
    except OSError as error:
        raise UserError(f'{path}: cannot be read ({error.strerror})') from error


@contextlib.contextmanager
def _open(content, path):
    """Yield the `PIL.Image` of the content of a file; errors of decoding become `BadImage`."""
    try:
        # Pillow warns of oddities in metadata and palettes, which do not matter for the pixels.
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
                _check_size(image, path)
                # `tile` is gone after loading, and `info` is copied from image to image.
                image.info[_DEEP] = any(';16' in str(tile.args) for tile in image.tile)
                yield image
    except UnidentifiedImageError as error:
        raise BadImage(f'{path}: not an image in a known format. Replace or remove it') from error
    except BadImage:
        raise
    except Exception as error:   # broken files make Pillow raise errors of many kinds
        raise BadImage(f'{path}: does not decode ({error}). Replace or remove it') from error


def _check_size(image, path):
    """Raise `BadImage` for an image that would take gigabytes, before it is decoded."""
    if image.width * image.height > MAX_PIXELS or max(image.size) > _MAX_SIDE:
        raise BadImage(f'{path}: {image.width}x{image.height} pixels are more than '
                       f'{MAX_PIXELS // 10**6} million, or {_MAX_SIDE} on a side. Resize it, or '
                       f'cut it into tiles')


def _exif_orientation(image):
    """Return the EXIF orientation of a `PIL.Image`: 2 to 8, or 1 if it has no valid one."""
    if image.format == 'TIFF':   # Pillow applies it when it decodes the pixels
        return 1
    try:
        orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:   # the pixels of an image with broken EXIF data are fine
        return 1
    return orientation if orientation in range(2, 9) else 1


def _keep(content, image):
    """Return a JPEG as `EncodedImage` with its own bytes, after checking that it decodes."""
    # Decode at the smallest scale. This still reads all bytes and so detects truncated files.
    height, width = image.height, image.width
    if min(image.size) >= _MIN_SCALED_SIDE:
        image.draft(image.mode, (1, 1))
    image.load()
    error = jpeg_structure.find_error(content)
    if error:
        raise ValueError(error)
    return EncodedImage(content, height, width, contrast=_contrast(image))


def _contrast(image):
    """Return the largest range of a channel of a grayscale or RGB image."""
    extrema = image.getextrema()
    channels = extrema if isinstance(extrema[0], tuple) else [extrema]
    return max(high - low for low, high in channels)


def _encode(image, image_format, **options):
    """Convert an image to RGB and encode it as `EncodedImage`."""
    rgb, buffer = _to_rgb(image), io.BytesIO()
    rgb.save(buffer, image_format, **options)
    return EncodedImage(buffer.getvalue(), rgb.height, rgb.width, contrast=_contrast(rgb))


def _to_rgb(image):
    if image.mode.startswith(('I', 'F')):   # Pillow would clip them at 255
        return Image.fromarray(gray_levels.to_uint8(np.asarray(image))).convert('RGB')
    rgb = image.convert('RGB')
    if image.info.get(_DEEP) and max(high for _, high in rgb.getextrema()) <= _DARK_LEVEL:
        raise ValueError('its 16-bit channels use only their low bits, so that it would be almost '
                         'black; save it with 8 bits per channel')
    return rgb

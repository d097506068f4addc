"""Fonts for text in any script, since class names may be in any language.

matplotlib takes a while to import, so it is imported only for text that is not ASCII.
"""
import functools
import os
import re
from typing import NamedTuple

from PIL import ImageFont

from common.log import log

# Fonts with many scripts, and those with Chinese, Japanese and Korean that Linux distributions,
# macOS and Windows install; the first are preferred.
_PREFERRED = ('notosanscjk', 'notosans-regular', 'sourcehansans', 'wqy-', 'droidsansfallback',
              'unifont', 'pingfang', 'hiragino', 'applegothic', 'arial unicode', 'msyh', 'yugoth',
              'malgun')
_noted = []   # the first text with characters that no font has


class Run(NamedTuple):
    """A part of a text that is drawn with one font."""
    text: str
    path: str   # of the font; None: the font of Pillow


def split_runs(text):
    """Split a text into a list of `Run`, in its order.

    ASCII text has the font of Pillow, and all other text DejaVu Sans, which comes with matplotlib
    and has the Latin, Greek, Cyrillic, Arabic and Hebrew scripts, or a font of the system. A
    character that no font has is written as its code, such as \\\\u732b; the first text with such
    characters is logged.
    """
    if text.isascii():
        return [Run(text, None)]
    runs, missing = [], ''
    for character in text:
        path = runs[-1].path if runs else _dejavu_path()
        if ord(character) not in _characters(path):
            path = find_font(character)
        if not path:
            missing += character
            path, character = _dejavu_path(), character.encode('unicode_escape').decode()
        if runs and runs[-1].path == path:
            runs[-1] = Run(runs[-1].text + character, path)
        else:
            runs.append(Run(character, path))
    if missing:
        _note_missing(missing, text)
    return runs


@functools.cache
def find_font(character):
    """Return the path of a font that has a character, or None."""
    return next((path for path in _font_paths() if ord(character) in _characters(path)), None)


@functools.cache
def load(path, size):
    """Return the Pillow font of a `Run` of this size in pixels."""
    return ImageFont.truetype(path, size) if path else ImageFont.load_default(size)


def _dejavu_path():
    import matplotlib
    return os.path.join(matplotlib.get_data_path(), 'fonts/ttf/DejaVuSans.ttf')


def system_font_paths():
    """Return the paths of all font files of the system."""
    from matplotlib import font_manager
    return font_manager.findSystemFonts()


@functools.cache
def _font_paths():
    """Return the paths of all fonts, those to prefer first."""
    def rank(path):
        name = re.sub('_', '', os.path.basename(path).lower())
        return next((index for index, start in enumerate(_PREFERRED) if name.startswith(start)),
                    len(_PREFERRED)), path
    return [_dejavu_path(), *sorted(system_font_paths(), key=rank)]


@functools.cache
def _characters(path):
    """Return the codes of the characters of a font, or an empty set if it cannot be used."""
    from matplotlib import ft2font
    try:
        font = ft2font.FT2Font(path)
    except (OSError, RuntimeError):
        return frozenset()
    return frozenset(font.get_charmap() if font.scalable else ())


def _note_missing(characters, text):
    """Log characters that no font has, once per process."""
    if not _noted:
        _noted.append(text)
        log.info("no installed font has the characters '%s' of '%s': such characters are drawn as "
                 'their codes. Install a font that has them, such as the package fonts-noto-cjk '
                 'for Chinese, Japanese and Korean', characters, text)

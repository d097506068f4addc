"""XML files of annotation tools, as trees of elements.

The files may come from anywhere: their size, depth and encoding are checked, and entities, whose
expansion may exceed the memory, are an error.
"""
import codecs
import re
import xml.etree.ElementTree as ElementTree

from common import files
from common.errors import UserError

_MAX_BYTES = 1 << 28   # a tool may write all images of a task to one file
_MAX_DEPTH = 64
_DECLARATION = re.compile(rb'\s*<\?xml[^>]{0,99}?\sencoding\s*=\s*["\']([!-~]{1,40}?)["\']')
_BYTE_ORDER_MARKS = {codecs.BOM_UTF8: 'utf-8', codecs.BOM_UTF32_LE: 'utf-32',
                     codecs.BOM_UTF16_LE: 'utf-16', codecs.BOM_UTF16_BE: 'utf-16'}
# Files whose encoding is declared as one of these often contain characters of its superset.
_SUPERSETS = {'gb2312': 'gb18030', 'gbk': 'gb18030', 'shift_jis': 'cp932', 'euc-kr': 'cp949'}
# Encodings of text files. Python has others, such as 'idna', that are none.
_TEXT_ENCODING = re.compile(r'(utf|us-ascii|ascii|iso|latin|windows|cp|gb|big5|shift|sjis|euc|koi8|'
                            r'mac|x-mac|tis)[\w.:-]*', re.ASCII)
_XML_SPACE = ' \t\r\n'


def read_xml(path):
    """Return the root element of an XML file.

    The names of elements are in lower case and without namespaces.

    Raises:
        UserError: If the file cannot be read, decoded or parsed, or is nested too deeply.
    """
    try:
        text = _decode(path, files.read_bytes(path, _MAX_BYTES))
    except OSError as error:
        raise UserError(f'{path} cannot be read ({error.strerror})') from error
    if '<!ENTITY' in text:
        raise UserError(f'{path} declares XML entities, which are not supported. Remove them')
    parser = ElementTree.XMLParser(target=_PlainTreeBuilder())
    try:
        parser.feed(text.lstrip('\ufeff' + _XML_SPACE))
        return parser.close()
    except (ElementTree.ParseError, UnicodeError, RecursionError) as error:
        raise UserError(f'{path} is not well-formed XML ({error})') from error


def stripped(text):
    """Return text without surrounding whitespace and byte order marks, and on one line."""
    return re.sub(f'[{_XML_SPACE}]+', ' ', (text or '').strip().strip('\ufeff').strip())


def _decode(path, content):
    """Return the text of an XML file in its declared encoding; UTF-8 by default."""
    declaration = _DECLARATION.match(content)
    declared = declaration.group(1).decode().lower() if declaration else 'utf-8'
    encoding = _SUPERSETS.get(declared, declared)
    if re.match('utf-?(16|32)', encoding):   # wrong, because the declaration itself is ASCII
        encoding = 'utf-8'
    encoding = next((encoding_of_mark for mark, encoding_of_mark in _BYTE_ORDER_MARKS.items()
                     if content.startswith(mark)), encoding)
    try:
        if not _TEXT_ENCODING.fullmatch(encoding):
            raise LookupError
        return content.decode(encoding)
    except LookupError as error:
        raise UserError(f"{path} declares the unknown encoding '{declared}'. Save it as UTF-8") \
            from error
    except UnicodeError as error:
        raise UserError(f'{path} is not {encoding.upper()} text. Save it as UTF-8, or declare its '
                        f'encoding in the first line') from error


class _PlainTreeBuilder(ElementTree.TreeBuilder):
    """Builds elements whose names are in lower case and without namespaces, and not too deep."""

    def __init__(self):
        super().__init__()
        self._depth = 0

    def start(self, tag, attrs):
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise RecursionError(f'nested more than {_MAX_DEPTH} levels deep')
        return super().start(_plain(tag), attrs)

    def end(self, tag):
        self._depth -= 1
        return super().end(_plain(tag))


def _plain(tag):
    return tag.rpartition('}')[2].lower()

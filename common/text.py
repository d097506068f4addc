"""Text for a terminal or a log file, and parts of messages."""
import re

# Control characters, line and paragraph separators, changes of direction, and bytes that are not
# UTF-8 (lone surrogates).
_UNPRINTABLE = re.compile('[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]')


def one_line(text):
    """Return text with control characters escaped, for example a newline as backslash and n.

    Names of files and classes may contain such characters. Printed as they are, they could imitate
    other messages or control the terminal.
    """
    return _UNPRINTABLE.sub(lambda match: match[0].encode('unicode_escape').decode(), text)


def counted(number, noun):
    """Return a number with its noun: '1 image', '2 images', '0 images'.

    Args:
        number: int.
        noun: Singular noun whose plural ends in -s, or in -es after s and x.
    """
    plural = f'{noun}es' if noun.endswith(('s', 'x')) else f'{noun}s'
    return f'{number} {noun if number == 1 else plural}'

"""Text for a terminal or a log file."""
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

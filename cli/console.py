"""Console output of the scripts: log lines, a status line below them, and a log file."""
import contextlib
import datetime
import logging
import os
import shlex
import sys

from tqdm import tqdm

from cli import streams
from common import files
from common.log import log
from common.text import one_line

_file_log = logging.getLogger('ssd.file')   # lines for the log file only


def set_up():
    """Make `log` print plain lines to standard output, and both standard streams tolerant."""
    streams.set_up()
    handler = _ConsoleHandler(sys.stdout)
    handler.setFormatter(_LineFormatter())
    log.handlers = [handler]
    for logger in (log, _file_log):
        logger.setLevel(logging.INFO)
        logger.propagate = False


class _LineFormatter(logging.Formatter):
    """Formats a log record as one line."""

    def format(self, record):
        return one_line(record.getMessage())


class _StatusLine(tqdm):
    """A tqdm bar that shows only its description, truncated to the width of the terminal."""

    def display(self, msg=None, **_):
        """Overwrite the whole line, also a ^C that the terminal has echoed."""
        # A character in the last column moves the cursor to the next line on some terminals.
        columns = (self.format_dict['ncols'] or 80) - 1
        text = self.desc if msg is None else msg
        self.fp.write(f'\r{" " * columns}\r{text[:columns]}')
        self.fp.flush()

    def clear(self, **_):
        self.display('')


class _ConsoleHandler(logging.StreamHandler):
    """Prints log lines above the progress bars and the status line."""

    def __init__(self, stream):
        super().__init__(stream)
        self.is_terminal = (stream is not None and stream.isatty()
                            and os.environ.get('TERM', 'dumb') != 'dumb')
        self._status_line = None

    def emit(self, record):
        with tqdm.external_write_mode(file=self.stream):
            super().emit(record)

    def show_status(self, text):
        """Replace the status line; '' removes it."""
        with self.lock, contextlib.suppress(OSError):   # the terminal may be gone
            if text and self._status_line is None:
                self._status_line = _StatusLine(file=self.stream, leave=False, dynamic_ncols=True)
            if self._status_line is not None:
                self._status_line.set_description_str(text)

    def handleError(self, record):
        """Print no more after an error such as a full disk: the log file has all lines."""
        if not isinstance(sys.exc_info()[1], OSError):
            return super().handleError(record)
        streams.discard_output(self.stream)
        return None


class _LogFileHandler(logging.FileHandler):
    """Appends log lines to a file, not through a link; a full disk does not end the program."""

    def _open(self):
        return files.open_output(self.baseFilename, self.mode, encoding=self.encoding)

    def handleError(self, record):
        """Ignore the error: writing the next checkpoint reports a full disk."""


def log_to_file(path):
    """Append all log lines and errors to a file, after a line with the time and the command."""
    handler = _LogFileHandler(path, encoding='utf-8')
    handler.setFormatter(_LineFormatter())
    log.addHandler(handler)
    _file_log.addHandler(handler)
    command = shlex.join(['python', *sys.argv])
    _file_log.info('--- %s', f'{datetime.datetime.now():%Y-%m-%d %H:%M:%S} {command}')


def show_status(text):
    """Show `text` in the status line below all log lines, in place of the last one; '' removes it.

    Does nothing if standard output is not a terminal.
    """
    handler = _terminal_handler()
    if handler:
        handler.show_status(text)


def log_progress(line):
    """Log the text of the status line; where a terminal shows that line, only to the log file."""
    (_file_log if _terminal_handler() else log).info('%s', line)


def _terminal_handler():
    """Return the handler that prints `log` to a terminal, or None."""
    if not log.isEnabledFor(logging.INFO):
        return None
    return next((handler for handler in log.handlers
                 if isinstance(handler, _ConsoleHandler) and handler.is_terminal), None)


def log_errors_only():
    """Silence `log`, for all but one process of a group. Warnings and errors are still printed."""
    log.setLevel(logging.WARNING)


def print_lines(lines):
    """Print results to standard output, each as one line."""
    for line in lines:
        print(one_line(line))


def print_error(message):
    """Remove the status line and print `error: <message>` to standard error and the log file."""
    show_status('')
    with contextlib.suppress(OSError):   # such as a full disk
        print(f'error: {one_line(message)}', file=sys.stderr)
    _file_log.info('error: %s', message)

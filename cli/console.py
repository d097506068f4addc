"""What the user reads: plain lines on standard output, a status below them on a terminal, a file if a run keeps one."""
import datetime
import logging
import os
import shlex
import sys

from common.log import log

_kept = logging.getLogger('ssd.kept')   # what goes to the file alone


def set_up():
    """Lets `log` write bare lines to standard output."""
    handler = _Screen(sys.stdout)
    handler.setFormatter(logging.Formatter('%(message)s'))
    log.handlers = [handler]
    log.propagate = False
    for logger in (log, _kept):
        logger.setLevel(logging.INFO)


class _Screen(logging.StreamHandler):
    """Standard output, which whoever reads it may close (`| head`): a run goes on without.

    On a terminal a status may stand below all lines, which is rewritten in place.
    """

    def __init__(self, stream):
        super().__init__(stream)
        self.is_terminal = stream is not None and stream.isatty() and os.environ.get('TERM', 'dumb') != 'dumb'
        self._status = ''

    def emit(self, record):
        """Writes a line, above the status if there is one."""
        status = self._status
        self._draw('')
        super().emit(record)
        self._draw(status)

    def show(self, status):
        """Replaces the status; '' takes it away."""
        with self.lock:
            self._draw(status)

    def _draw(self, status):
        if not self._status and not status:
            return
        # Cut, because of a line that is wrapped only the last part could be rewritten. Blanks, which notebooks
        # understand too, cover all of the row, where the terminal may have written ^C.
        room = self._columns() - 1
        try:
            self.stream.write(f'\r{" " * room}\r{status[:room]}')
            self.stream.flush()
            self._status = status
        except (OSError, ValueError):   # the terminal is gone
            self.is_terminal, self._status = False, ''

    def _columns(self):
        try:
            return os.get_terminal_size(self.stream.fileno()).columns or 80
        except (OSError, ValueError):
            return 80

    def handleError(self, record):
        """Turns to where nobody reads; what is in the buffer goes there too."""
        if not isinstance(sys.exc_info()[1], BrokenPipeError):
            return super().handleError(record)
        with open(os.devnull, 'w', encoding='utf-8') as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        return None


class _File(logging.FileHandler):
    """A file of lines, for which nothing shall fail: where the disk is full, the run has worse to say."""

    def handleError(self, record):
        """Says nothing."""


def log_to_file(path):
    """Lets `log` and `error` write to the end of a file too, after a line that says how this run was started."""
    handler = _File(path, encoding='utf-8')
    handler.setFormatter(logging.Formatter('%(message)s'))
    log.addHandler(handler)
    _kept.addHandler(handler)
    _kept.propagate = False
    _kept.info('--- %s', f'{datetime.datetime.now():%Y-%m-%d %H:%M:%S} {shlex.join(["python", *sys.argv])}')


def show_status(text):
    """Shows where a run stands, in one line below all others, which takes the place of the one before; '' ends it.

    On a terminal alone; elsewhere nothing is shown.
    """
    screen = _terminal()
    if screen:
        screen.show(text)


def log_progress(line):
    """Lets `log` say a line that tells no more than the status where there is one: there it is for the file alone."""
    (_kept if _terminal() else log).info('%s', line)


def _terminal():
    """The screen of `log`, if it is a terminal and `log` may speak, else None."""
    return next((handler for handler in log.handlers if isinstance(handler, _Screen) and handler.is_terminal
                 and log.isEnabledFor(logging.INFO)), None)


def log_errors_only():
    """Lets `log` say nothing more: another process speaks for this one. Errors are still said."""
    log.setLevel(logging.WARNING)


def print_error(sentence):
    """Says why the program ends, on standard error."""
    show_status('')
    print(f'error: {sentence}', file=sys.stderr)
    if _kept.handlers:
        _kept.info('error: %s', sentence)

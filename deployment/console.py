"""What the user reads: plain lines on standard output, and in a file if a run keeps one."""
import datetime
import logging
import os
import shlex
import sys

log = logging.getLogger('ssd')
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
    """Standard output, which whoever reads it may close (`| head`): a run goes on without."""

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


def keep_in(path):
    """Lets `log` and `error` write to the end of a file too, after a line that says how this run was started."""
    handler = _File(path, encoding='utf-8')
    handler.setFormatter(logging.Formatter('%(message)s'))
    log.addHandler(handler)
    _kept.addHandler(handler)
    _kept.propagate = False
    _kept.info('--- %s', f'{datetime.datetime.now():%Y-%m-%d %H:%M:%S} {shlex.join(["python", *sys.argv])}')


def be_quiet():
    """Lets `log` say nothing more: another process speaks for this one. Errors are still said."""
    log.setLevel(logging.WARNING)


def error(sentence):
    """Says why the program ends, on standard error."""
    print(f'error: {sentence}', file=sys.stderr)
    if _kept.handlers:
        _kept.info('error: %s', sentence)

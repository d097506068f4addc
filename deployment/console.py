"""What the user reads: plain lines on standard output."""
import logging
import sys

log = logging.getLogger('ssd')


def set_up():
    """Lets `log` write bare lines to standard output."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter('%(message)s'))
    log.handlers = [handler]
    log.propagate = False
    log.setLevel(logging.INFO)

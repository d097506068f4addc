"""The logger of the project. `cli.console` connects it to standard output and a log file."""
import logging

log = logging.getLogger('ssd')

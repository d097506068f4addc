"""The logger of the project. `cli.console` connects it to standard output and to the log file of a run."""
import logging

log = logging.getLogger('ssd')

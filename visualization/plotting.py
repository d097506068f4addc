"""Import of matplotlib for writing files: without a window and without debug logs."""
import logging

from common.errors import UserError


def import_pyplot(needed_by):
    """Return the module matplotlib.pyplot with the backend that only writes files.

    Args:
        needed_by: what needs matplotlib, for the error message: '--plot'.

    Raises:
        UserError: If matplotlib is not installed.
    """
    logging.getLogger('matplotlib').setLevel(logging.WARNING)
    try:
        import matplotlib
    except ImportError as error:
        raise UserError(f'{needed_by} needs matplotlib, which is not installed. '
                        'Run pip install -r requirements.txt') from error
    matplotlib.use('Agg')
    from matplotlib import pyplot
    return pyplot

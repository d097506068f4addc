"""matplotlib as it is used here: without a window, and without chatter."""
import logging

from common.errors import UserError


def pyplot(who):
    """The module matplotlib.pyplot; UserError where it is missing. who: what needs it, for the sentence."""
    logging.getLogger('matplotlib').setLevel(logging.WARNING)
    try:
        import matplotlib
    except ImportError as error:
        raise UserError(f'{who} needs matplotlib, which is missing: pip install -r requirements.txt') from error
    matplotlib.use('Agg')
    from matplotlib import pyplot as module
    return module

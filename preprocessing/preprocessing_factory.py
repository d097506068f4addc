"""Training preprocessing by name. Evaluation and prediction have one way only.

Names and options alone, so that flags can be checked before TensorFlow is loaded.
"""
import functools

from common.errors import UserError

_PAPER = {'zoom': True, 'crop': True}
# The names of public scripts stand for the paper's augmentation, which is what they meant to be.
PREPROCESSING = {
    'ssd': _PAPER, 'ssd_vgg': _PAPER, 'ssd_vgg_preprocessing': _PAPER, 'ssd_300_vgg': _PAPER, 'ssd_512_vgg': _PAPER,
    'ssd_no_zoom_out': {'zoom': False, 'crop': True},
    'ssd_no_crop': {'zoom': False, 'crop': False},
    'plain': None,     # the resize alone
}


def get_preprocessing(name):
    """The function (record, seed, size, mean) -> dict of a name; None or '' is the paper's augmentation."""
    if (name or 'ssd') not in PREPROCESSING:
        raise UserError(f"no preprocessing is called '{name}'; there are {', '.join(PREPROCESSING)}")
    from preprocessing import ssd_preprocessing  # loads TensorFlow
    options = PREPROCESSING[name or 'ssd']
    if options is None:
        return lambda record, _seed, size, mean: ssd_preprocessing.preprocess_plain(record, size, mean)
    return functools.partial(ssd_preprocessing.preprocess_for_train, **options)

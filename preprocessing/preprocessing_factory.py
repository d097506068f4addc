"""Look up training preprocessing by name. Evaluation and prediction have a single preprocessing.

Importing this module does not load TensorFlow, so that flags are checked first.
"""
import functools

from common.errors import UserError

_PAPER = {'zoom_out': True, 'crop': True}
# Name -> options of `preprocess_for_train`, or None for no augmentation. The names with `vgg` are
# those of other public SSD scripts, which mean the paper's augmentation.
PREPROCESSING = {
    'ssd': _PAPER, 'ssd_vgg': _PAPER, 'ssd_vgg_preprocessing': _PAPER, 'ssd_300_vgg': _PAPER,
    'ssd_512_vgg': _PAPER,
    'ssd_no_zoom_out': {'zoom_out': False, 'crop': True},
    'ssd_no_crop': {'zoom_out': False, 'crop': False},
    'plain': None,
}


def get_preprocessing(name):
    """Return the preprocessing function of a name.

    Args:
        name: key of `PREPROCESSING`; None or '' for the paper's augmentation.

    Returns:
        A function (record, seed, size, mean) -> dict, as `ssd_preprocessing.preprocess_for_train`.

    Raises:
        UserError: If the name is unknown.
    """
    if (name or 'ssd') not in PREPROCESSING:
        raise UserError(f"unknown preprocessing '{name}'. Choose one of {', '.join(PREPROCESSING)}")
    from preprocessing import ssd_preprocessing  # loads TensorFlow
    options = PREPROCESSING[name or 'ssd']
    if options is None:
        return lambda record, _seed, size, mean: ssd_preprocessing.preprocess_plain(
            record, size, mean)
    return functools.partial(ssd_preprocessing.preprocess_for_train, **options)

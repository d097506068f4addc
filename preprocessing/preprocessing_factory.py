"""Look up the augmentation of a training by name. Evaluation and prediction have none.

Importing this module does not load TensorFlow, so that flags are checked first.
"""
import functools

from common.errors import UserError
from preprocessing.augmentation import PAPER, Augmentation

# Names for combinations of parts. The names with `vgg` are those of other public SSD scripts, which
# mean the paper's augmentation.
PREPROCESSING = {
    'ssd': PAPER, 'ssd_vgg': PAPER, 'ssd_vgg_preprocessing': PAPER, 'ssd_300_vgg': PAPER,
    'ssd_512_vgg': PAPER,
    'ssd_no_zoom_out': PAPER._replace(zoom_out=False),
    'ssd_no_crop': PAPER._replace(zoom_out=False, random_crop=False),
    'plain': Augmentation(*[False] * len(Augmentation._fields)),
}


def get_augmentation(name, **parts):
    """Return the `Augmentation` of a name, with some parts switched on or off.

    Args:
        name: key of `PREPROCESSING`; None or '' for the paper's augmentation.
        **parts: field of `Augmentation` -> bool, or None to keep that of the name.

    Raises:
        UserError: If the name is unknown.
    """
    if (name or 'ssd') not in PREPROCESSING:
        raise UserError(f"unknown preprocessing '{name}'. Choose one of {', '.join(PREPROCESSING)}")
    return PREPROCESSING[name or 'ssd']._replace(
        **{part: is_used for part, is_used in parts.items() if is_used is not None})


def get_preprocessing(augmentation):
    """Return a function (record, seed, size, mean) -> dict, see `preprocess_for_train`.

    augmentation: `Augmentation`.
    """
    from preprocessing import ssd_preprocessing  # loads TensorFlow
    return functools.partial(ssd_preprocessing.preprocess_for_train, augmentation=augmentation)

"""Training preprocessing by name. Evaluation and prediction have one way only."""
import functools

from deployment.errors import UserError
from preprocessing import ssd_preprocessing

# The names of public scripts stand for the paper's augmentation, which is what they meant to be.
_PAPER = ('ssd', 'ssd_vgg', 'ssd_vgg_preprocessing', 'ssd_300_vgg', 'ssd_512_vgg')
PREPROCESSING = {**dict.fromkeys(_PAPER, ssd_preprocessing.preprocess_for_train),
                 'ssd_no_zoom_out': functools.partial(ssd_preprocessing.preprocess_for_train, zoom=False),
                 'ssd_no_crop': functools.partial(ssd_preprocessing.preprocess_for_train, zoom=False, crop=False),
                 'plain': ssd_preprocessing.preprocess_plain}


def get_preprocessing(name):
    """The function (record, seed, size, mean) -> dict of a name; None or '' is the paper's augmentation."""
    if (name or 'ssd') not in PREPROCESSING:
        raise UserError(f"no preprocessing is called '{name}'; there are {', '.join(PREPROCESSING)}")
    return PREPROCESSING[name or 'ssd']

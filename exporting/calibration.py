"""The pictures that show an integer net what its numbers reach: encoded, as many as are wanted, spread over all."""
import glob
import os

import numpy as np

from common.errors import UserError
from datasets import images, records, schema


def from_records(folder, split, most):
    """Encoded pictures of the records of a split, `most` at most; whatever classes they show. UserError if none."""
    pattern = f'*_{split}_*.tfrecord'
    paths = sorted(glob.glob(os.path.join(glob.escape(folder), pattern)))
    places = [(path, offset) for path in paths for offset in records.index(path)[0]]
    if not places:
        raise UserError(f'{folder} has no records to calibrate with in files such as {pattern}; correct '
                        f'--calibration_dataset_dir or --calibration_split')
    return [schema.read_raw(records.read(*place)).encoded for place in spread(places, most)]


def from_files(paths, most):
    """Encoded pictures of files."""
    return [images.read_jpeg(path, upright=True).encoded for path in spread(paths, most)]


def spread(values, most):
    """So many of a list, from its first to its last at even distances; all where there are fewer."""
    if len(values) <= most:
        return list(values)
    return [values[place] for place in np.linspace(0, len(values) - 1, most).round().astype(int)]

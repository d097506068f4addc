"""Images for the calibration of integer nets, from records or image files."""
import glob
import os

import numpy as np

from common.errors import UserError
from datasets import images, records, schema


def load_from_records(dataset_dir, split, max_images):
    """Return the encoded images (bytes) of at most `max_images` records of a split.

    The records are spread evenly over all shards.

    Raises:
        UserError: If the folder has no records of the split.
    """
    pattern = f'*_{split}_*.tfrecord'
    paths = sorted(glob.glob(os.path.join(glob.escape(dataset_dir), pattern)))
    locations = [(path, offset) for path in paths for offset in records.index_records(path)[0]]
    if not locations:
        raise UserError(f'{dataset_dir} has no records for the calibration in files named '
                        f'{pattern}. Correct --calibration_dataset_dir or --calibration_split')
    return [schema.parse_raw(records.read_record(path, offset)).encoded
            for path, offset in pick_evenly(locations, max_images)]


def load_from_files(paths, max_images):
    """Return the encoded images (bytes) of at most `max_images` files, spread evenly."""
    return [images.read_jpeg(path, apply_orientation=True).encoded
            for path in pick_evenly(paths, max_images)]


def pick_evenly(values, count):
    """Return at most `count` elements of a list at equal distances, from the first to the last."""
    if len(values) <= count:
        return list(values)
    return [values[index] for index in np.linspace(0, len(values) - 1, count).round().astype(int)]

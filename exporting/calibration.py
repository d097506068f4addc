"""Images for the calibration of integer nets, from records or image files."""
import glob
import os
import re

import numpy as np

from common.errors import UserError
from datasets import dataset_info, images, records, schema


def load_from_records(dataset_dir, split, max_images):
    """Return the encoded images (bytes) of at most `max_images` records of a split.

    The records are spread evenly over all shards.

    Raises:
        UserError: If the folder has no records of the split.
    """
    paths = [os.path.join(dataset_dir, name) for name in _list_shards(dataset_dir, split)]
    locations = [(path, offset) for path in paths for offset in records.index_records(path)[0]]
    if not locations:
        raise UserError(f'{dataset_dir} has no records of the split {split} for the calibration. '
                        f'Correct --calibration_dataset_dir or --calibration_split')
    return [schema.read_raw(path, offset).encoded
            for path, offset in pick_evenly(locations, max_images)]


def _list_shards(folder, split):
    """Return the sorted file names of a split, from dataset.json or as converters name them."""
    info = dataset_info.read_info(folder)
    if info:
        return sorted(info['splits'].get(split, {'shards': ()})['shards'])
    pattern = re.compile(rf'.+_{re.escape(split)}_\d+(-of-\d+)?\.tfrecord')
    names = map(os.path.basename, glob.glob(os.path.join(glob.escape(folder), '*.tfrecord')))
    return sorted(filter(pattern.fullmatch, names))


def load_from_files(paths, max_images):
    """Return the encoded images (bytes) of at most `max_images` files, spread evenly."""
    return [images.read_upright(path).encoded
            for path in pick_evenly(paths, max_images)]


def pick_evenly(values, count):
    """Return at most `count` elements of a list at equal distances, from the first to the last."""
    if len(values) <= count:
        return list(values)
    return [values[index] for index in np.linspace(0, len(values) - 1, count).round().astype(int)]

"""The ground-truth boxes of records, read without decoding the images."""
import numpy as np
from tqdm import tqdm

from common.errors import UserError
from datasets import schema


def read_boxes(dataset):
    """Read the boxes that training would use from all records of a `Dataset`.

    Returns:
        [M, 4] float32, (ymin, xmin, ymax, xmax) clipped to [0, 1], without crowds and empty boxes.

    Raises:
        UserError: If a record cannot be used for training.
    """
    locations = [(path, index, offset)
                 for path, offsets in zip(dataset.files, dataset.offsets, strict=True)
                 for index, offset in enumerate(offsets)]
    parts = [np.zeros([0, 4], np.float32)]
    for path, index, offset in tqdm(locations, 'boxes', unit=' images', disable=None):
        record = schema.read_raw(path, offset)
        error = schema.find_error(record, dataset.num_classes)
        if error:
            raise UserError(f"record {index} of {path} ('{record.filename}'): {error}. Convert the "
                            f'data again')
        boxes = np.array(record.coordinates, np.float32).T.reshape(-1, 4)
        is_crowd = np.array(record.iscrowd or [0] * len(boxes), bool)
        parts.append(np.clip(boxes, 0, 1)[~is_crowd])
    boxes = np.concatenate(parts)
    return boxes[(boxes[:, 2:] > boxes[:, :2]).all(1)]

"""The ground truths of records without their pictures."""
import numpy as np
from tqdm import tqdm

from datasets import records, schema


def read_boxes(dataset):
    """Boxes [M, 4] float32 of all records of a `Dataset` that training would learn: cut to the picture, no crowds."""
    places = [(path, offset) for path, offsets in zip(dataset.files, dataset.offsets, strict=True)
              for offset in offsets]
    found = [np.zeros([0, 4], np.float32)]
    for path, offset in tqdm(places, 'boxes', unit=' pictures'):
        raw = schema.parse_raw(records.read_record(path, offset))
        boxes = np.array(raw.sides, np.float32).T.reshape(-1, 4)
        crowds = np.array(raw.iscrowd or [0] * len(boxes), bool)
        found.append(np.clip(boxes, 0, 1)[~crowds])
    boxes = np.concatenate(found)
    return boxes[(boxes[:, 2:] > boxes[:, :2]).all(1)]

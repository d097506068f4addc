"""A data set of nothing but work: for benchmarks where no other one is given."""
import io

import numpy as np
from PIL import Image

from datasets import dataset_factory, dataset_info, records, schema
from datasets.annotation import Annotation


def encoded(rng):
    """A noisy JPEG of 500x375, about 100 kB."""
    small = Image.fromarray(rng.randint(0, 256, [75, 100, 3], np.uint8))
    buffer = io.BytesIO()
    small.resize((500, 375), Image.BICUBIC).save(buffer, 'JPEG', quality=94)
    return buffer.getvalue()


def make_dataset(folder):
    """A `Dataset` of 64 noisy pictures of 500x375, about 100 kB each, with three boxes each."""
    rng = np.random.RandomState(0)
    with records.ShardWriter(folder, 'noise', 'train', 1) as writer:
        for index in range(64):
            picture = encoded(rng)
            low = rng.uniform(0, .6, [3, 2])
            boxes = np.concatenate([low, low + rng.uniform(.1, .4, [3, 2])], 1).tolist()
            writer.write(0, schema.serialize(Annotation(
                f'{index}.jpg', picture, 375, 500, boxes, ['thing'] * 3, [False] * 3, [False] * 3),
                {'thing': 1}))
    dataset_info.write_split(folder, 'noise', ['thing'], 'train', writer.counts)
    return dataset_factory.get_dataset('', 'train', folder)

"""Synthetic dataset of noise, for benchmarks without a real one."""
import io

import numpy as np
from PIL import Image

from datasets import dataset_factory, dataset_info, records, schema
from datasets.annotation import Annotation

_NUM_IMAGES, _HEIGHT, _WIDTH = 64, 375, 500


def encode_noise(rng):
    """Return a noisy image of 500x375 pixels as JPEG, about 100 kB of bytes.

    Args:
        rng: `np.random.RandomState`.
    """
    small = Image.fromarray(rng.randint(0, 256, [_HEIGHT // 5, _WIDTH // 5, 3], np.uint8))
    buffer = io.BytesIO()
    small.resize((_WIDTH, _HEIGHT), Image.BICUBIC).save(buffer, 'JPEG', quality=94)
    return buffer.getvalue()


def make_dataset(folder):
    """Write 64 records of noisy images with three boxes each, and return their `Dataset`."""
    rng = np.random.RandomState(0)
    with records.ShardWriter(folder, 'noise', 'train', 1) as writer:
        for index in range(_NUM_IMAGES):
            encoded = encode_noise(rng)
            top_left = rng.uniform(0, .6, [3, 2])
            boxes = np.concatenate([top_left, top_left + rng.uniform(.1, .4, [3, 2])], 1).tolist()
            annotation = Annotation(f'{index}.jpg', encoded, _HEIGHT, _WIDTH, boxes, ['thing'] * 3,
                                    [False] * 3, [False] * 3)
            writer.write(0, schema.serialize(annotation, {'thing': 1}))
    dataset_info.write_split(folder, 'noise', ['thing'], 'train', writer.counts)
    return dataset_factory.get_dataset('', 'train', folder)

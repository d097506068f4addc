"""A training batch as files that a person can look at."""
import os

import numpy as np
from PIL import Image

from visualization.drawing import draw_detections

_LEAST, _SCALE = 480, 1.6   # side in pixels, and size of names, that can be read where a page shows several small


def draw_example(pixels, boxes, labels, class_names):
    """A picture of a batch with its boxes and their names, [H', W', 3] uint8; a small one is enlarged for that.

    pixels: [H, W, 3] uint8. boxes: [M, 4]. labels: [M], 0 for padding. class_names: label 1 first.
    """
    image = Image.fromarray(pixels)
    factor = -(-_LEAST // min(image.size))
    image = image.resize([side * factor for side in image.size], Image.BICUBIC)
    return np.asarray(_drawn(image, boxes, labels, class_names, _SCALE))


def _drawn(image, boxes, labels, class_names, scale=1.):
    real = (labels > 0) & np.isfinite(boxes).all(axis=1)   # others lie nowhere
    return draw_detections(image, boxes[real], [class_names[label - 1] for label in labels[real]], labels[real], scale)


def write_batch(folder, batch, class_names):
    """Writes each picture of a batch with its boxes as PNG, and all of its arrays as `batch.npz`.

    batch: name -> array of [B, ...], as the input pipeline makes it, with 'image' [B, H, W, 3] uint8, 'boxes'
    [B, M, 4], 'labels' [B, M] (0: padding) and 'filename' [B] bytes. class_names: label 1 first.
    """
    os.makedirs(folder, exist_ok=True)
    arrays = {name: values.astype('S') if values.dtype == object else values for name, values in batch.items()}
    np.savez_compressed(os.path.join(folder, 'batch.npz'), **arrays)   # without pickle, so that anyone can load it
    for number, (pixels, boxes, labels, filename) in enumerate(
            zip(batch['image'], batch['boxes'], batch['labels'], batch['filename'], strict=True)):
        drawn = _drawn(Image.fromarray(pixels), boxes, labels, class_names)
        stem = os.path.splitext(os.path.basename(filename.decode(errors='replace')))[0] or 'no_name'
        drawn.save(os.path.join(folder, f'{number:03d}_{stem}.png'))

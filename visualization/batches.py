"""Training batches as images and files, to check the input pipeline by eye."""
import os

import numpy as np
from PIL import Image

from common.files import file_name, open_output
from visualization.drawing import draw_detections

_MIN_SIDE = 480        # pixels of images for TensorBoard, which shows them side by side
_CAPTION_SCALE = 1.6   # of their captions, to stay readable


def draw_example(pixels, boxes, labels, class_names):
    """Return an image of a batch with its ground truth drawn, [H', W', 3] uint8.

    Small images are enlarged by a whole factor, to at least 480 pixels on the shorter side.

    Args:
        pixels: [H, W, 3] uint8.
        boxes: [M, 4] relative boxes.
        labels: [M] int; boxes with label 0 are padding.
        class_names: names of the classes, label 1 first.
    """
    image = Image.fromarray(pixels)
    factor = -(-_MIN_SIDE // min(image.size))
    image = image.resize([side * factor for side in image.size], Image.BICUBIC)
    return np.asarray(_draw(image, boxes, labels, class_names, _CAPTION_SCALE))


def _draw(image, boxes, labels, class_names, scale=1.):
    """Return a copy of a PIL image with its boxes, except padding and non-finite boxes."""
    is_drawn = (labels > 0) & np.isfinite(boxes).all(axis=1)
    labels = labels[is_drawn]
    captions = [class_names[label - 1] for label in labels]
    return draw_detections(image, boxes[is_drawn], captions, labels, scale)


def write_batch(folder, batch, class_names):
    """Write the images of a batch with their boxes drawn as PNG, and its arrays as `batch.npz`.

    Args:
        folder: created if it does not exist.
        batch: dict of arrays [B, ...] from the input pipeline, among them 'image' [B, H, W, 3]
            uint8, 'boxes' [B, M, 4], 'labels' [B, M] (0 is padding) and 'filename' [B] bytes.
        class_names: names of the classes, label 1 first.
    """
    os.makedirs(folder, exist_ok=True)
    # Fixed-length strings instead of objects, so that the file loads without pickle.
    arrays = {name: values.astype('S') if values.dtype == object else values
              for name, values in batch.items()}
    with open_output(os.path.join(folder, 'batch.npz'), 'wb') as file:
        np.savez_compressed(file, **arrays)
    examples = zip(batch['image'], batch['boxes'], batch['labels'], batch['filename'], strict=True)
    for number, (pixels, boxes, labels, filename) in enumerate(examples):
        drawn = _draw(Image.fromarray(pixels), boxes, labels, class_names)
        stem = os.path.splitext(os.path.basename(filename.decode(errors='replace')))[0] or 'no_name'
        path = os.path.join(folder, file_name(f'{number:03d}_{stem}', '.png'))
        with open_output(path, 'wb') as file:
            drawn.save(file, 'PNG')

"""The embedded dataset: filled shapes on textured backgrounds, in VOC layout.

python -m datasets.shapes FOLDER [SEED]
"""
import os
import sys
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from common.files import open_output, write_atomically

CLASSES = ('circle', 'cross', 'square', 'triangle')
SPLITS = {'train': 600, 'test': 150}   # split -> number of images
_SUPERSAMPLING = 3        # shapes are drawn at this scale and shrunk, for smooth edges
_MAX_OCCLUSION = .75      # a new shape is discarded if it covers more than this of another one
_DIFFICULT_OCCLUSION = .5   # shapes with a larger covered fraction are marked as difficult


class Shape(NamedTuple):
    """A drawn shape and its box: pixels from 1, both ends included, as in VOC."""
    name: str
    xmin: int
    ymin: int
    xmax: int
    ymax: int
    occlusion: float   # fraction of its area that other shapes cover
    truncated: bool    # whether it extends beyond the image


def outline(name, side):
    """Return the corners [n, 2] (x, y) of a shape's polygon.

    The polygon spans a square with this side and one corner at the origin. A circle is approximated
    by 48 corners.
    """
    if name == 'circle':
        angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        corners = np.stack([np.cos(angles), np.sin(angles)], 1) / 2 + .5
    elif name == 'square':
        corners = [(0, 0), (1, 0), (1, 1), (0, 1)]
    elif name == 'triangle':
        corners = [(.5, 0), (1, 1), (0, 1)]
    else:
        a, b = 1 / 3, 2 / 3
        corners = [(a, 0), (b, 0), (b, a), (1, a), (1, b), (b, b),
                   (b, 1), (a, 1), (a, b), (0, b), (0, a), (a, a)]
    return np.asarray(corners) * side


def make_background(rng, height, width):
    """Return a background [height, width, 3] float32: a random color with coarse and fine noise."""
    background = np.tile(np.float32(rng.uniform(40, 215, 3)), (height, width, 1))
    for cells, strength in ((4, 45), (16, 25)):
        noise = rng.uniform(-strength, strength, [cells, cells, 3])
        for channel in range(3):
            layer = Image.fromarray(noise[..., channel].astype(np.float32))
            background[..., channel] += np.asarray(layer.resize((width, height), Image.BICUBIC))
    return background


def draw_image(rng):
    """Draw an image of random size with up to five shapes.

    Returns:
        pixels: [height, width, 3] uint8.
        shapes: List of `Shape`.
    """
    height, width = rng.randint(160, 321, 2)
    pixels = make_background(rng, height, width)
    masks, drawn = [], []
    for _ in range(rng.randint(1, 6)):
        name = CLASSES[rng.randint(len(CLASSES))]
        side = rng.uniform(.15, .5) * min(height, width)
        # A shape may extend beyond the image by up to a fifth of its side.
        left, top = (rng.uniform(-.2 * side, size - .8 * side) for size in (width, height))
        mask = _mask(name, side, height, width, left, top)
        if any(np.minimum(mask, other).sum() > _MAX_OCCLUSION * other.sum() for other in masks):
            continue
        _fill(rng, pixels, mask)
        masks = [np.maximum(other - mask, 0) for other in masks] + [mask]
        rows, columns = (np.flatnonzero(mask.max(axis) > .5) for axis in (1, 0))
        truncated = min(left, top, width - left - side, height - top - side) < 0
        box = columns[0] + 1, rows[0] + 1, columns[-1] + 1, rows[-1] + 1
        drawn.append((name, box, mask.sum(), truncated))
    shapes = [Shape(name, *box, 1 - visible.sum() / area, truncated)
              for (name, box, area, truncated), visible in zip(drawn, masks, strict=True)]
    grain = rng.randint(-10, 11, pixels.shape[:2])[..., None]
    return (pixels + grain).clip(0, 255).astype(np.uint8), shapes


def write_dataset(folder, seed=0, splits=None):
    """Write the dataset in VOC layout.

    Args:
        folder: Folder to write to.
        seed: Seed of the images.
        splits: {split: number of images}; default: `SPLITS`.
    """
    splits = splits or SPLITS
    for name in ('Annotations', 'JPEGImages', 'ImageSets/Main'):
        os.makedirs(os.path.join(folder, name), exist_ok=True)
    for index, (split, count) in enumerate(sorted(splits.items())):
        rng = np.random.RandomState([seed, index])
        identifiers = [f'{split}_{number:04d}' for number in range(count)]
        for identifier in identifiers:
            pixels, shapes = draw_image(rng)
            image_path = os.path.join(folder, 'JPEGImages', f'{identifier}.jpg')
            with open_output(image_path, 'wb') as file:
                Image.fromarray(pixels).save(file, 'JPEG', quality=88)
            write_atomically(os.path.join(folder, 'Annotations', f'{identifier}.xml'),
                             _xml(f'{identifier}.jpg', pixels.shape, shapes))
        # Written last: a split with a list is complete.
        write_atomically(os.path.join(folder, 'ImageSets/Main', f'{split}.txt'),
                         '\n'.join(identifiers) + '\n')


def _mask(name, side, height, width, left, top):
    """Return the coverage of each pixel by a shape: [height, width] float32 in [0, 1]."""
    image = Image.new('L', (width * _SUPERSAMPLING, height * _SUPERSAMPLING))
    corners = (outline(name, side) + (left, top)) * _SUPERSAMPLING
    ImageDraw.Draw(image).polygon([tuple(corner) for corner in corners], fill=255)
    return np.asarray(image.resize((width, height), Image.BOX), np.float32) / 255


def _fill(rng, pixels, mask):
    """Fill a shape with a random color that differs from its background, in place."""
    color = rng.uniform(0, 255, 3)
    background = (pixels * mask[..., None]).sum((0, 1)) / mask.sum()
    color += 100 * np.sign(color - background) * (np.abs(color - background).max() < 100)
    pixels += (np.float32(color) - pixels) * mask[..., None]


def _xml(filename, shape, shapes):
    """Return the VOC annotation of an image of this shape, [height, width, 3]."""
    lines = ['<annotation>', f'\t<filename>{filename}</filename>',
             f'\t<size><width>{shape[1]}</width><height>{shape[0]}</height><depth>3</depth></size>']
    for name, xmin, ymin, xmax, ymax, occlusion, truncated in shapes:
        difficult = int(occlusion > _DIFFICULT_OCCLUSION)
        lines.append(f'\t<object><name>{name}</name><difficult>{difficult}</difficult>'
                     f'<truncated>{int(truncated)}</truncated><bndbox><xmin>{xmin}</xmin>'
                     f'<ymin>{ymin}</ymin><xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox></object>')
    return '\n'.join([*lines, '</annotation>', ''])


if __name__ == '__main__':
    if not 2 <= len(sys.argv) <= 3 or sys.argv[1].startswith('-'):
        sys.exit(__doc__)
    write_dataset(sys.argv[1], int(sys.argv[2]) if len(sys.argv) == 3 else 0)

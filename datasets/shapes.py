"""An embedded data set to try everything with: filled shapes on textured grounds, in VOC layout.

python -m datasets.shapes FOLDER [SEED]
"""
import os
import sys

import numpy as np
from PIL import Image, ImageDraw

CLASSES = ('circle', 'cross', 'square', 'triangle')
SPLITS = {'train': 600, 'test': 150}
_FINE = 3            # shapes are drawn this much larger and shrunk, for smooth edges
_MOST_HIDDEN = .75   # of a shape; beyond it is not annotated but avoided
_DIFFICULT = .5      # hidden share from which a shape is marked difficult


def outline(name, side):
    """Corners [n, 2] (x, y) of a shape that fills a square of this side; the circle as a polygon."""
    if name == 'circle':
        angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        corners = np.stack([np.cos(angles), np.sin(angles)], 1) / 2 + .5
    elif name == 'square':
        corners = [(0, 0), (1, 0), (1, 1), (0, 1)]
    elif name == 'triangle':
        corners = [(.5, 0), (1, 1), (0, 1)]
    else:
        a, b = 1 / 3, 2 / 3
        corners = [(a, 0), (b, 0), (b, a), (1, a), (1, b), (b, b), (b, 1), (a, 1), (a, b), (0, b), (0, a), (a, a)]
    return np.asarray(corners) * side


def texture(rng, height, width):
    """A ground [height, width, 3] float32: a random colour with coarse and finer clouds."""
    ground = np.tile(np.float32(rng.uniform(40, 215, 3)), (height, width, 1))
    for cells, strength in ((4, 45), (16, 25)):
        noise = rng.uniform(-strength, strength, [cells, cells, 3])
        for channel in range(3):
            layer = Image.fromarray(noise[..., channel].astype(np.float32))
            ground[..., channel] += np.asarray(layer.resize((width, height), Image.BICUBIC))
    return ground


def _mask(name, side, height, width, left, top):
    """Which pixels a shape covers, [height, width] in [0, 1]."""
    fine = Image.new('L', (width * _FINE, height * _FINE))
    corners = (outline(name, side) + (left, top)) * _FINE
    ImageDraw.Draw(fine).polygon([tuple(corner) for corner in corners], fill=255)
    return np.asarray(fine.resize((width, height), Image.BOX), np.float32) / 255


def draw_image(rng):
    """A picture [height, width, 3] uint8 and its objects: (name, xmin, ymin, xmax, ymax, hidden, truncated).

    Coordinates are VOC's: whole pixels from 1, both ends included; hidden is the share that others cover.
    """
    height, width = rng.randint(160, 321, 2)
    pixels = texture(rng, height, width)
    masks, found = [], []
    for _ in range(rng.randint(1, 6)):
        name, side = CLASSES[rng.randint(len(CLASSES))], rng.uniform(.15, .5) * min(height, width)
        # A fifth of the shape at most stands out of the picture.
        left, top = (rng.uniform(-.2 * side, edge - .8 * side) for edge in (width, height))
        mask = _mask(name, side, height, width, left, top)
        if any(np.minimum(mask, other).sum() > _MOST_HIDDEN * other.sum() for other in masks):
            continue
        colour = rng.uniform(0, 255, 3)
        ground = (pixels * mask[..., None]).sum((0, 1)) / mask.sum()
        colour += 100 * np.sign(colour - ground) * (np.abs(colour - ground).max() < 100)
        pixels += (np.float32(colour) - pixels) * mask[..., None]
        masks = [np.maximum(other - mask, 0) for other in masks] + [mask]
        rows, columns = (np.flatnonzero(mask.max(axis) > .5) for axis in (1, 0))
        truncated = min(left, top, width - left - side, height - top - side) < 0
        found.append((name, columns[0] + 1, rows[0] + 1, columns[-1] + 1, rows[-1] + 1, mask.sum(), truncated))
    objects = [(*item[:5], 1 - left_over.sum() / item[5], item[6])
               for item, left_over in zip(found, masks, strict=True)]
    grain = rng.randint(-10, 11, pixels.shape[:2])[..., None]
    return (pixels + grain).clip(0, 255).astype(np.uint8), objects


def _xml(filename, shape, objects):
    lines = ['<annotation>', f'\t<filename>{filename}</filename>',
             f'\t<size><width>{shape[1]}</width><height>{shape[0]}</height><depth>3</depth></size>']
    for name, xmin, ymin, xmax, ymax, hidden, truncated in objects:
        lines.append(f'\t<object><name>{name}</name><difficult>{int(hidden > _DIFFICULT)}</difficult>'
                     f'<truncated>{int(truncated)}</truncated><bndbox><xmin>{xmin}</xmin><ymin>{ymin}</ymin>'
                     f'<xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox></object>')
    return '\n'.join([*lines, '</annotation>', ''])


def write_dataset(folder, seed=0, splits=None):
    """Writes the data set; splits: name -> number of pictures."""
    splits = splits or SPLITS
    for name in ('Annotations', 'JPEGImages', 'ImageSets/Main'):
        os.makedirs(os.path.join(folder, name), exist_ok=True)
    for index, (split, count) in enumerate(sorted(splits.items())):
        rng = np.random.RandomState([seed, index])
        identifiers = [f'{split}_{number:04d}' for number in range(count)]
        for identifier in identifiers:
            pixels, objects = draw_image(rng)
            Image.fromarray(pixels).save(os.path.join(folder, 'JPEGImages', f'{identifier}.jpg'), quality=88)
            with open(os.path.join(folder, 'Annotations', f'{identifier}.xml'), 'w', encoding='utf-8') as file:
                file.write(_xml(f'{identifier}.jpg', pixels.shape, objects))
        # The list last: a folder with its list is whole.
        with open(os.path.join(folder, 'ImageSets/Main', f'{split}.txt'), 'w', encoding='utf-8') as file:
            file.write('\n'.join(identifiers) + '\n')


if __name__ == '__main__':
    if not 2 <= len(sys.argv) <= 3:
        sys.exit(__doc__)
    write_dataset(sys.argv[1], int(sys.argv[2]) if len(sys.argv) == 3 else 0)

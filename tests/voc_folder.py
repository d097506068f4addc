"""Small folders in VOC layout for tests."""
from image_files import two_colors

from datasets.voc import VocSource


def box_xml(name='cat', xmin=11, ymin=21, xmax=50, ymax=60, more=''):
    """Return an <object>; coordinates are pixels from 1, both ends included, as in VOC."""
    return (f'<object><name>{name}</name>{more}<bndbox><xmin>{xmin}</xmin><ymin>{ymin}</ymin>'
            f'<xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox></object>')


def write_voc(folder, images, split='train', size=(100, 80), mode='RGB', extension='jpg'):
    """Write a split of images of this (width, height); return the folder.

    Args:
        folder: Folder to write to.
        images: {identifier: <object> elements as a string}.
        split: Name of the split.
        size: (width, height) of the images in pixels.
        mode: Pillow mode of the images.
        extension: Extension of the image files.
    """
    for name in ('Annotations', 'JPEGImages', 'ImageSets/Main'):
        (folder / name).mkdir(parents=True, exist_ok=True)
    color = {'RGB': (200, 30, 60), 'L': 90, 'CMYK': (0, 200, 200, 20),
             'RGBA': (9, 99, 199, 128)}[mode]
    for identifier, objects in images.items():
        (folder / f'Annotations/{identifier}.xml').write_text(f'<annotation>{objects}</annotation>')
        two_colors(mode, size, color).save(folder / f'JPEGImages/{identifier}.{extension}')
    (folder / f'ImageSets/Main/{split}.txt').write_text('\n'.join(images) + '\n')
    return folder


def readers(folder, split='train'):
    """Return the image readers of a split of a VOC folder: identifier -> image reader."""
    return VocSource(str(folder)).image_readers(split)

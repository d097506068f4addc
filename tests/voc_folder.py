"""Small VOC-layout folders for tests."""
from PIL import Image


def box_xml(name='cat', xmin=11, ymin=21, xmax=50, ymax=60, more=''):
    """An <object>; coordinates as VOC has them, from 1, both ends included."""
    return (f'<object><name>{name}</name>{more}<bndbox><xmin>{xmin}</xmin><ymin>{ymin}</ymin>'
            f'<xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox></object>')


def write_voc(folder, pictures, split='train', size=(100, 80), mode='RGB', extension='jpg'):
    """pictures: identifier -> string of objects. Every picture is a plain one of this (width, height)."""
    for name in ('Annotations', 'JPEGImages', 'ImageSets/Main'):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for identifier, objects in pictures.items():
        (folder / f'Annotations/{identifier}.xml').write_text(f'<annotation>{objects}</annotation>')
        colour = {'RGB': (200, 30, 60), 'L': 90, 'CMYK': (0, 200, 200, 20), 'RGBA': (9, 99, 199, 128)}[mode]
        Image.new(mode, size, colour).save(folder / f'JPEGImages/{identifier}.{extension}')
    (folder / f'ImageSets/Main/{split}.txt').write_text('\n'.join(pictures) + '\n')
    return folder

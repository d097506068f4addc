"""Damaged and hostile XML and JSON of annotation tools end in one sentence.

FUZZ_ROUNDS=20000 python -m pytest tests/test_hostile_annotations.py     runs longer
"""
import os
import random

import pytest
from image_files import write_image

from common.errors import UserError
from datasets import formats, parallel_reading

ROUNDS = int(os.environ.get('FUZZ_ROUNDS', '150'))
VOC = (b'<?xml version="1.0" encoding="utf-8"?>\n<annotation><folder>x</folder><filename>a.jpg'
       b'</filename><size><width>100</width><height>80</height></size><object><name>cat</name>'
       b'<truncated>0</truncated><bndbox><xmin>11</xmin><ymin>21</ymin><xmax>50</xmax><ymax>60'
       b'</ymax></bndbox></object></annotation>')
CVAT = (b'<annotations><meta><task><labels><label><name>cat</name></label></labels></task></meta>'
        b'<image id="0" name="a.jpg" width="100" height="80"><box label="cat" xtl="10" ytl="20" '
        b'xbr="50" ybr="60"></box><polygon label="cat" points="10,20;50,60;20,50"></polygon>'
        b'</image></annotations>')
LABELME = (b'{"shapes": [{"label": "cat", "points": [[10, 20], [50, 60]], "shape_type": '
           b'"rectangle"}], "imagePath": "a.jpg", "imageWidth": 100, "imageHeight": 80}')
TOKENS = (b'', b'0', b'-1', b'1e400', b'nan', b'inf', b'9' * 400, b'9' * 5000, b'\0', b'\xff\xfe',
          b'&x;', b'&#0;', b'<a>' * 200, b'[' * 2000, b'{}', b'[]', b'null', b'true', b'""', b'../',
          b'/etc/passwd', b'<!DOCTYPE a [<!ENTITY x "y">]>', '\ufeff'.encode(), '猫'.encode(),
          b'\n', b'<![CDATA[', b'-->', b'<!--', b' encoding="idna"', b'1_0', b'x' * 1000)


def damage(content, generator):
    """Return content with one to three changes of bytes, tokens or structure."""
    for _ in range(generator.randint(1, 3)):
        start = generator.randrange(len(content) + 1)
        end = min(start + generator.choice((0, 0, 1, 4, 40)), len(content))
        part = generator.choice((
            generator.choice(TOKENS), content[start:end] * generator.choice((2, 50)),
            bytes([generator.randrange(256)])))
        content = content[:start] + part + content[end:]
        if generator.random() < .1:
            content = content[:generator.randrange(len(content) + 1)]
    return content


def read_all(folder, format_name):
    """Read a folder as `--check` and conversion do; errors of the data become sentences."""
    sentences = []
    try:
        source = formats.open_source(str(folder), format_name)
        sentences += [text for _, text in source.notes(None)]
        for read in source.image_readers(None).values():
            result = parallel_reading.try_read(read)
            sentences += [str(error) for error in (*result.bad_boxes, result.error) if error]
            for box in result.annotation.boxes if result.annotation else ():
                assert all(0 <= value <= 1 for value in box)
        source.class_names([None])
    except UserError as error:
        sentences.append(str(error))
    return sentences


@pytest.mark.parametrize('format_name, file_name, content', [
    ('voc', 'a.xml', VOC), ('cvat', 'annotations.xml', CVAT), ('labelme', 'a.json', LABELME)],
    ids=['voc', 'cvat', 'labelme'])
def test_damaged_files_are_one_sentence(tmp_path, format_name, file_name, content):
    write_image(tmp_path / 'a.jpg', (100, 80))
    (tmp_path / file_name).write_bytes(content)
    assert read_all(tmp_path, format_name) == []
    for seed in range(ROUNDS):
        damaged = damage(content, random.Random(seed))
        (tmp_path / file_name).write_bytes(damaged)
        try:
            sentences = read_all(tmp_path, format_name)
        except Exception as error:
            raise AssertionError(f'seed {seed}: {damaged!r}') from error
        for sentence in sentences:
            assert len(sentence) < 3000, f'seed {seed}'

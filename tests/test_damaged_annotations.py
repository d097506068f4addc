"""Damaged bytes in the annotation files of COCO, YOLO and CSV: read, or one sentence."""
import json
import random

import pytest
from image_files import write_image

from common.errors import UserError
from datasets import formats

COCO = json.dumps({
    'images': [{'id': 1, 'file_name': 'a.jpg', 'width': 100, 'height': 80}],
    'annotations': [{'id': 1, 'image_id': 1, 'category_id': 2, 'bbox': [10, 20, 40, 40]}],
    'categories': [{'id': 2, 'name': 'cat'}]})
CSV = 'image,xmin,ymin,xmax,ymax,class,width,height\na.jpg,10,20,50,60,cat,100,80\n'
YAML = 'path: .\ntrain: images/train\nval: images/train\nnc: 1\nnames:\n  0: cat\n'
DATA = 'classes = 1\ntrain = data/train.txt\nnames = data/obj.names\n'


@pytest.mark.parametrize('format_name, files', [
    ('coco', {'annotations/instances_train.json': COCO}), ('csv', {'train.csv': CSV}),
    ('yolo', {'data.yaml': YAML, 'labels/train/a.txt': '0 0.3 0.5 0.4 0.5\n'}),
    ('yolo', {'obj.data': DATA, 'obj.names': 'cat\n', 'train.txt': 'data/images/train/a.jpg\n',
              'labels/train/a.txt': '0 0.1 0.25 0.5 0.25 0.5 0.75 0.1 0.75\n'})])
def test_damaged_bytes(tmp_path, format_name, files):
    """60 times, one file has up to three bytes that are replaced, removed or repeated; seed 0."""
    write_image(tmp_path / 'images/train/a.jpg')
    generator, num_read = random.Random(0), 0
    for index in range(61):
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        damaged = generator.choice(list(files))
        content = bytearray(files[damaged].encode())
        for _ in range(generator.randrange(1, 4) if index else 0):
            start = generator.randrange(len(content))
            content[start:start + generator.randrange(3)] = bytes(
                generator.choices(b'\x00\xff\n ,:"{}[]-9e.', k=generator.randrange(3)))
        (tmp_path / damaged).write_bytes(bytes(content))
        try:
            source = formats.open_source(str(tmp_path), format_name)
            split = (source.split_names() or [None])[0]
            source.notes(split)
            reader, = source.image_readers(split).values()
            annotation = reader()
        except UserError as error:
            assert index and '\n' not in str(error)
        else:
            num_read += 1
            assert all(0 <= value <= 1 for box in annotation.boxes for value in box)
            if not index:
                assert annotation.names == ['cat']
                assert annotation.boxes == [pytest.approx((.25, .1, .75, .5))]
    assert num_read > 5

"""labelme JSON, as labelme 5 and 6 write it."""
import json

import pytest
from image_files import write_image

from common.errors import UserError
from datasets import formats, parallel_reading
from datasets.labelme import LabelmeSource


def shape(points, label='cat', shape_type='rectangle'):
    return {'label': label, 'points': points, 'group_id': None, 'shape_type': shape_type,
            'flags': {}}


BOX = [[10, 20], [50, 60]]   # of an image of 100x80 pixels: 20/80, 10/100, 60/80, 50/100


def write(folder, *shapes, name='a', **changes):
    """Write an image of 100x80 pixels and its JSON."""
    write_image(folder / f'{name}.jpg', (100, 80))
    content = {'version': '5.0.1', 'flags': {}, 'shapes': list(shapes), 'imagePath': f'{name}.jpg',
               'imageData': None, 'imageHeight': 80, 'imageWidth': 100, **changes}
    (folder / f'{name}.json').write_text(json.dumps(content))
    return formats.open_source(str(folder))


def read(source, split=None):
    read_image, = source.image_readers(split).values()
    return parallel_reading.try_read(read_image)


@pytest.mark.parametrize('points, shape_type', [
    (BOX, 'rectangle'), (BOX[::-1], 'rectangle'), ([[10, 60], [50, 20]], 'rectangle'),
    ([[10, 40], [30, 20], [50, 40], [30, 60]], 'polygon'), ([[10, 20], [50, 60], [20, 50]], None),
    ([[30, 40], [30, 20]], 'circle'),
    ([[10, 20], [49, 59]], 'mask')])
def test_shapes_with_a_box(tmp_path, points, shape_type):
    result = read(write(tmp_path, shape(points, shape_type=shape_type)))
    xmin = .1   # the circle has its center at (30, 40) and the radius 20: x 10 to 50, y 20 to 60
    assert result.annotation.boxes == [(.25, xmin, .75, .5)]
    assert result.annotation.names == ['cat'] and result.annotation.notes == []


@pytest.mark.parametrize('shape_type', ['line', 'point', 'linestrip', 'points'])
def test_shapes_without_a_box_are_noted(tmp_path, shape_type):
    source = write(tmp_path, shape(BOX), shape(BOX, 'crack', shape_type))
    annotation = read(source).annotation
    assert annotation.names == ['cat'] and source.class_names([None]) == ['cat']
    assert annotation.notes == [('unused', f"{tmp_path}/a.json: a {shape_type} of class 'crack'")]


@pytest.mark.parametrize('bad_shape, message', [
    (shape([[10, 20]]), "a 'cat' has an unknown shape_type or invalid points"),
    (shape(BOX, shape_type='star'), 'unknown shape_type'),
    (shape(BOX, shape_type=[]), 'unknown sha'),
    (shape(BOX * 2, shape_type='oriented_rectangle'), "of a 'cat' is rotated"),
    (shape(None), 'invalid points'), (shape([[1, 2, 3], [4]]), 'invalid points'),
    (shape([['x', 1], [2, 3]]), 'invalid points'),
    (shape([[10 ** 400, 1], [2, 3]]), 'invalid points'),
    (shape(BOX, ''), 'has no label'), (shape(BOX, None), 'has no label'),
    (shape([[10, 20], [190, 60]]), 'lies outside its image of 100x80'),
    (shape([[10, 20], [float('nan'), 60]]), 'a.json: the box of'),
    (shape([[10, 20], [float('inf'), 60]]), 'lies outside'), (shape([[9, 9], [9, 9]]), 'is empty')])
def test_bad_shapes(tmp_path, bad_shape, message):
    result = read(write(tmp_path, bad_shape, shape(BOX)))
    assert result.error is None and result.annotation.names == ['cat']
    error, = result.bad_boxes
    assert message in str(error) and 'a.json' in str(error)


@pytest.mark.parametrize('changes, message', [
    ({'imageWidth': 200, 'imageHeight': 160}, 'is 200x160 pixels, but the file has 100x80'),
    ({'shapes': [shape([[.1, .1], [.9, .9]])]}, r'all coordinates are in \[0, 1\]'),
    ({'shapes': [1]}, "it has no list 'shapes'")])
def test_contradictions(tmp_path, changes, message):
    source = write(tmp_path, shape(BOX), **changes)
    with pytest.raises(UserError, match=f'a.json.*{message}'):
        raise read(source).error


def test_label_with_braces(tmp_path):
    assert read(write(tmp_path, shape(BOX, 'cat {}'))).annotation.names == ['cat {}']


def test_name_of_another_image_is_noted(tmp_path):
    write_image(tmp_path / 'b.jpg')
    annotation = read(write(tmp_path, shape(BOX), imagePath='../x/b.jpg')).annotation
    assert annotation.image_path == f'{tmp_path}/a.jpg'
    assert [problem for problem, _ in annotation.notes] == ['doubtful']
    assert read(write(tmp_path, shape(BOX), imagePath='\0')).annotation.notes == []


def test_unknown_sizes(tmp_path):
    source = write(tmp_path, shape(BOX), imageWidth=None, imageHeight=0)
    assert read(source).annotation.names == ['cat']


@pytest.mark.parametrize('content', ['', '{"shapes": ', '[' * 10 ** 5, '{"shapes": []', '9' * 5000])
def test_invalid_json(tmp_path, content):
    source = write(tmp_path, shape(BOX))
    (tmp_path / 'a.json').write_text(content)
    with pytest.raises(UserError, match='a.json (cannot be read as JSON|is not labelme JSON)'):
        raise read(source).error


def test_folders_of_splits_and_of_any_name(tmp_path):
    write(tmp_path / 'train', shape(BOX))
    write(tmp_path / 'valid', shape(BOX, 'dog'), name='b')
    source = formats.open_source(str(tmp_path))
    assert isinstance(source, LabelmeSource) and source.split_names() == ['train', 'valid']
    assert read(source, 'valid').annotation.names == ['dog']
    assert source.class_names(['train', 'valid']) == ['cat', 'dog']


def test_json_and_images_in_folders_of_their_own(tmp_path):
    write(tmp_path, shape(BOX), imagePath='..\\images\\a.jpg')
    for extension, folder in (('json', 'json'), ('jpg', 'images')):
        (tmp_path / folder).mkdir()
        (tmp_path / f'a.{extension}').rename(tmp_path / folder / f'a.{extension}')
    source = formats.open_source(str(tmp_path))
    assert isinstance(source, LabelmeSource) and source.split_names() == []
    assert read(source).annotation.image_path == f'{tmp_path}/images/a.jpg'

import json
import os
import random
import unicodedata

import pytest
from image_files import write_image

from common.errors import UserError
from datasets.coco import CocoSource

CATEGORIES = [{'id': 18, 'name': 'dog'}, {'id': 3, 'name': 'car'}]
BOX = {'id': 7, 'image_id': 5, 'category_id': 18, 'bbox': [10, 20, 40, 40], 'area': 900.5,
       'iscrowd': 0, 'segmentation': [[1, 2, 3, 4, 5, 6]]}
IMAGE = {'id': 5, 'file_name': 'a.jpg', 'width': 100, 'height': 80}
TRAIN_JSON = 'annotations/instances_train2017.json'


def write(folder, annotations=(BOX,), path=TRAIN_JSON, image='train2017/a.jpg', **changes):
    """Write an image of 100x80 pixels with the id 5 and its JSON; changes: other entries."""
    write_image(folder / image)
    content = {'images': [IMAGE], 'annotations': list(annotations), 'categories': CATEGORIES,
               **changes}
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(json.dumps(content))
    return CocoSource(str(folder))


def read(source, split='train2017', on_bad_box=None):
    """Return the annotation of the only image."""
    reader, = source.image_readers(split).values()
    return reader(on_bad_box)


def test_all_values_of_a_box(tmp_path):
    crowd = {**BOX, 'id': 8, 'category_id': 3, 'bbox': [0, 0, 100, 80], 'iscrowd': 1, 'area': 3000}
    annotation = read(write(tmp_path, [BOX, crowd]))
    assert annotation.boxes == [(20 / 80, 10 / 100, 60 / 80, 50 / 100), (0, 0, 1, 1)]
    assert annotation.names == ['dog', 'car']
    assert annotation.iscrowd == [False, True] and annotation.area == [900.5, 3000]
    assert annotation.difficult == annotation.truncated == [False, False]
    assert annotation.source_id == '5'


def test_category_ids_are_source_ids(tmp_path):
    source = write(tmp_path)
    assert source.class_names(['train2017']) == ['car', 'dog']
    assert source.source_ids(['train2017']) == {'car': 3, 'dog': 18}


def test_category_with_two_ids_has_no_source_id(tmp_path):
    write(tmp_path, path='annotations/instances_val2017.json',
          categories=[{'id': 18, 'name': 'dog'}, {'id': 4, 'name': 'car'}])
    source = write(tmp_path)
    assert source.class_names(['train2017', 'val2017']) == ['car', 'dog']
    assert source.source_ids(['train2017', 'val2017']) == {'dog': 18}


@pytest.mark.parametrize('path, image, split', [
    (TRAIN_JSON, 'train2017/a.jpg', 'train2017'),
    ('annotations/instances_train.json', 'images/train/a.jpg', 'train'),
    ('annotations/train.json', 'images/a.jpg', 'train'),
    ('annotations/instances_default.json', 'images/a.jpg', None),
    ('annotations/instances_default.json', 'images/default/a.jpg', None),
    ('result.json', 'images/a.jpg', None),
    ('valid/_annotations.coco.json', 'valid/a.jpg', 'valid'),
    ('_annotations.coco.json', 'a.jpg', None)])
def test_file_layouts_of_annotation_tools(tmp_path, path, image, split):
    source = write(tmp_path, path=path, image=image)
    assert CocoSource.matches(str(tmp_path))
    assert source.split_names() == ([split] if split else [])
    assert read(source, split).image_path == str(tmp_path / image)
    single_file = CocoSource(str(tmp_path / path))
    assert read(single_file, split if split != 'valid' else None).names == ['dog']


def test_captions_in_the_same_folder_are_ignored(tmp_path):
    write(tmp_path)
    (tmp_path / 'annotations/captions_train2017.json').write_text('{}')
    assert CocoSource(str(tmp_path)).split_names() == ['train2017']


def test_image_without_boxes(tmp_path):
    assert read(write(tmp_path, [])).boxes == []


def test_iscrowd_and_area_are_optional(tmp_path):
    annotation = read(write(tmp_path, [{
        key: BOX[key] for key in ('image_id', 'category_id', 'bbox')}]))
    assert (annotation.iscrowd, annotation.area) == ([False], ())


def test_group_category_of_roboflow_is_left_out_if_unused(tmp_path):
    cells = [{'id': 0, 'name': 'cells', 'supercategory': 'none'},
             {'id': 18, 'name': 'red', 'supercategory': 'cells'}]
    assert write(tmp_path, categories=cells).class_names(['train2017']) == ['red']
    with_box = write(tmp_path, [{**BOX, 'category_id': 0}], categories=cells)
    assert with_box.class_names(['train2017']) == ['cells', 'red']


@pytest.mark.parametrize('change, problem, message', [
    ({'bbox': [10, 20, 0, 40]}, 'inverted',
     r"annotation 7 of a.jpg \('dog', x 10, y 20, width 0, .* is empty"),
    ({'bbox': [90, 20, 40, 40]}, 'outside', 'outside its image of 100x80'),
    ({'bbox': [float('nan'), 20, 40, 40]}, 'inverted', 'is empty or inverted'),
    ({'bbox': [1, 2, 3]}, 'unreadable', 'no bbox of four numbers'),
    ({'bbox': None}, 'unreadable', 'no bbox of four'),
    ({'bbox': []}, 'unreadable', 'no bbox of four'),
    ({'bbox': '1234'}, 'unreadable', 'no bbox of four'),
    ({'bbox': [10 ** 400, 1, 2, 3]}, 'unreadable', 'no bbox of four'),
    ({'bbox': [float('inf'), 1, 2, 3]}, 'inverted', 'is empty or inverted'),
    ({'iscrowd': float('inf')}, 'unreadable', 'invalid area or iscrowd'),
    ({'category_id': '18'}, 'unknown',
     r'the category_id "18" \(text, not a number\), which is not among'),
    ({'category_id': [18]}, 'unknown', 'the category_id of type list, which is not among'),
    ({'iscrowd': 'x'}, 'unreadable', 'invalid area or iscrowd'),
    ({'category_id': 99}, 'unknown', 'the category_id 99, which is not among')])
def test_bad_boxes_are_raised_or_skipped(tmp_path, change, problem, message):
    source, errors = write(tmp_path, [{**BOX, **change}, BOX]), []
    with pytest.raises(UserError, match=message):
        read(source)
    assert len(read(source, on_bad_box=errors.append).boxes) == 1
    assert [error.problem for error in errors] == [problem]


@pytest.mark.parametrize('changes, message', [
    ({'images': [{**IMAGE, 'width': 80, 'height': 100}]},
     'size of a.jpg is 80x100 pixels, but the file has 100x80'),
    ({'images': [{**IMAGE, 'width': '99', 'height': None}]}, r'size of a.jpg is 99x\? pixels'),
    ({'images': [IMAGE, {**IMAGE, 'id': 5.0, 'file_name': 'b.jpg'}]}, '2 images with the id 5'),
    ({'images': [{**IMAGE, 'id': [5]}]}, 'no image_id of an annotation'),
    ({'images': [{**IMAGE, 'id': True}, {**IMAGE, 'file_name': 'b.jpg'}]}, 'no file_name or no id'),
    ({'images': [{**IMAGE, 'file_name': ['a.jpg']}]}, 'no file_name or no id'),
    ({'images': [{**IMAGE, 'file_name': '../../a.jpg/../b.jpg'}]}, 'b.jpg., which is missing in'),
    ({'images': [{**IMAGE, 'file_name': '/etc/passwd'}]}, "'/etc/passwd', which is missing in"),
    ({'images': [{**IMAGE, 'file_name': 'cam1/a.jpg'}, {**IMAGE, 'id': 6, 'file_name': 'cam2/a.jpg'
                                                        }]},
     "the images 'cam1/a.jpg' and 'cam2/a.jpg' are both the file .*train2017/a.jpg"),
    ({'images': [IMAGE, {**IMAGE, 'id': 6, 'file_name': './a.jpg'}]}, 'are both the file'),
    ({'categories': [{'id': [1], 'name': 'a'}]}, 'an id that is no number or text'),
    ({'categories': [{'id': 1, 'name': {'a': 1}}]}, 'a category has no name'),
    ({'images': [{**IMAGE, 'file_name': 'b.jpg'}]}, "the image 'b.jpg', which is missing in"),
    ({'images': [IMAGE, IMAGE]}, 'has 2 images with the id'),
    ({'images': [IMAGE, {**IMAGE, 'id': 6}]}, "lists 'a.jpg' more than once"),
    ({'images': [{'id': 5}]}, 'no file_name or no id'),
    ({'images': [{**IMAGE, 'id': '5'}]}, 'no image_id of an annotation is the id of an image'),
    ({'categories': [{'id': 1, 'name': 'a'}, {'id': 2, 'name': 'a'}]},
     'two categories with the same name or id: a'),
    ({'categories': [{'id': 1}]}, 'a category has no name'),
    ({'categories': 3}, "it has no list 'categories'")])
def test_invalid_content(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        read(write(tmp_path, **changes))


@pytest.mark.parametrize('image', [
    {'width': '100', 'height': '80'}, {'width': None, 'height': None}, {'width': 0, 'height': 0},
    {'width': 100., 'height': ''}, {'width': 'null', 'height': [80]}])
def test_sizes_as_text_or_unknown(tmp_path, image):
    source = write(tmp_path, images=[{**IMAGE, **image}])
    assert read(source).boxes == [(20 / 80, 10 / 100, 60 / 80, 50 / 100)]


@pytest.mark.parametrize('image_id, used_image_id, category_id, source_ids', [
    ('5', '5', 18, {'cat': 18}), (5.0, 5, 18., {'cat': 18}), (0, 0, 0, {'cat': 0}),
    (5, 5, '18', {}), ('a', 'a', 'b', {})])
def test_ids_of_any_type(tmp_path, image_id, used_image_id, category_id, source_ids):
    source = write(tmp_path, [{**BOX, 'image_id': used_image_id, 'category_id': category_id}],
                   images=[{**IMAGE, 'id': image_id}],
                   categories=[{'id': category_id, 'name': 'cat', 'supercategory': ['x']}])
    assert read(source).names == ['cat'] and source.source_ids(['train2017']) == source_ids
    assert source.notes('train2017') == []


def test_order_of_text_ids(tmp_path):
    """Text of numbers is sorted as numbers, other text is in the order of the file."""
    for ids, names in ((['10', '9'], ['b', 'a']), (['y', 'x'], ['a', 'b'])):
        categories = [{'id': identifier, 'name': name}
                      for identifier, name in zip(ids, 'ab', strict=True)]
        assert write(tmp_path, [], categories=categories).class_names(['train2017']) == names


@pytest.mark.parametrize('boxes', [
    [[.1, .2, .4, .5]], [[0, 0, 1, 1]], [[.1, .2, .4, .5], [.5, .2, .4, .5]]])
def test_relative_coordinates_are_an_error(tmp_path, boxes):
    source = write(tmp_path, [{**BOX, 'bbox': box} for box in boxes])
    with pytest.raises(UserError, match='a.jpg: all coordinates are in .0, 1., so they seem to be'):
        read(source)


@pytest.mark.parametrize('areas, expected', [
    ([float('nan')], ()), ([None, 5], [1600, 5]), ([-1, 900.5], [1600, 900.5])])
def test_areas_that_are_no_numbers_are_those_of_the_boxes(tmp_path, areas, expected):
    """The box has 40x40 pixels; the second one 40x20."""
    boxes = [{**BOX, 'area': area, 'bbox': [10, 20, 40, 40 - 20 * index]}
             for index, area in enumerate(areas)]
    assert read(write(tmp_path, boxes)).area == (
        pytest.approx(expected) if expected else expected)


def test_background_is_no_class(tmp_path):
    categories = [{'id': 0, 'name': '__background__'}, {'id': 18, 'name': 'dog'}]
    source = write(tmp_path, [BOX, {**BOX, 'category_id': 0}], categories=categories)
    assert source.class_names(['train2017']) == ['dog']
    with pytest.raises(UserError, match='has the category_id 0, which is the background'):
        read(source)


def test_annotations_of_unknown_images_and_unlisted_images_are_noted(tmp_path):
    source = write(tmp_path, [BOX, {**BOX, 'image_id': 102}, {**BOX, 'id': 9, 'image_id': '5'},
                              {**BOX, 'image_id': {'a': 1}}])
    write_image(tmp_path / 'train2017/b.jpg')
    (tmp_path / 'annotations/more.json').write_text('{}')
    (tmp_path / 'annotations/captions_train2017.json').write_text('{}')
    path = tmp_path / TRAIN_JSON
    assert source.notes('train2017') == [
        ('unused', f'{path}: annotation 7 has the image_id 102, which is not the id of an image'),
        ('unused', f'{path}: annotation 9 has the image_id "5", which is not the id of an image'),
        ('unused', f'{path}: annotation 7 has the image_id of type dict, which is not the id of an '
                   f'image'),
        ('unused', f'{tmp_path}/annotations/more.json is not read: its name is not that of a split '
                   f'of this dataset'),
        ('unused', f'{tmp_path}/train2017/b.jpg is not in instances_train2017.json')]
    assert read(source).names == ['dog']


@pytest.mark.parametrize('name', [
    'Capture_d%C3%A9cran%20(HD).jpg', 'C:\\photos\\Capture_décran (HD).jpg',
    unicodedata.normalize('NFD', 'Capture_décran (HD).jpg')])
def test_spellings_of_file_names(tmp_path, name):
    source = write(tmp_path, image='images/Capture_décran (HD).jpg',
                   images=[{**IMAGE, 'file_name': name}])
    assert read(source).image_path == str(tmp_path / 'images/Capture_décran (HD).jpg')
    assert source.notes('train2017') == []


@pytest.mark.parametrize('suffix', ['/', '//', '/annotations', '/annotations/', '/train2017/..'])
def test_spellings_of_the_folder(tmp_path, suffix):
    write(tmp_path)
    source = CocoSource(f'{tmp_path}{suffix}')
    assert read(source).names == ['dog'] and source.notes('train2017') == []


@pytest.mark.parametrize('folder', ['.', './', 'annotations', './annotations', '../pets'])
def test_relative_folders(tmp_path, monkeypatch, folder):
    write(tmp_path / 'pets')
    monkeypatch.chdir(tmp_path / 'pets')
    assert CocoSource.matches(folder)
    source = CocoSource(folder)
    assert read(source).names == ['dog'] and source.notes('train2017') == []


def test_images_beside_a_single_json(tmp_path):
    source = write(tmp_path, path='result.json', image='a.jpg')
    write_image(tmp_path / 'b.jpg')
    write_image(tmp_path / 'other/c.jpg')
    expected = [('unused', f'{tmp_path}/b.jpg is in no annotation file')]
    assert source.notes(None) == CocoSource(str(tmp_path / 'result.json')).notes(None) == expected


def write_splits(folder, train, val):
    """Write two JSON with an image each; train, val: {category id: name}."""
    for split, names in (('train', train), ('val', val)):
        write(folder, [{**BOX, 'category_id': next(iter(names))}], image=f'images/{split}/a.jpg',
              path=f'annotations/instances_{split}.json',
              categories=[{'id': number, 'name': name} for number, name in names.items()])
    return CocoSource(str(folder))


def test_ids_that_are_swapped_between_splits(tmp_path):
    source = write_splits(tmp_path, {1: 'cat', 2: 'dog'}, {1: 'dog', 2: 'cat'})
    assert source.class_names(['train', 'val']) == ['cat', 'dog']
    assert read(source, 'train').names == ['cat'] and read(source, 'val').names == ['dog']
    assert source.source_ids(['train', 'val']) == {}
    assert source.notes('train') == [] and source.notes('val') == [
        ('renumbered', f"{tmp_path}/annotations/instances_val.json: '{name}' has the id {number}, "
                       f'but {3 - number} in train') for number, name in ((1, 'dog'), (2, 'cat'))]


def test_ids_that_differ_between_splits(tmp_path):
    source = write_splits(tmp_path / 'one', {1: 'cat'}, {1: 'dog'})
    with pytest.raises(UserError, match="instances_val.json: category 1 is 'dog', but 'cat' in "):
        source.class_names(['train', 'val'])
    source = write_splits(tmp_path / 'two', {1: 'pike'}, {1: 'pike', 2: 'carp'})
    assert source.class_names(['train', 'val']) == ['pike', 'carp']


@pytest.mark.parametrize('text', [
    '[' * 100000, '{"images":' * 5000, '{"images": [' + '9' * 5000 + ']}', '\x00', '1e400', ''],
    ids=range(6))
def test_hostile_json_is_one_sentence(tmp_path, text):
    write(tmp_path)
    (tmp_path / TRAIN_JSON).write_text(text)
    with pytest.raises(UserError, match='instances_train2017.json'):
        CocoSource(str(tmp_path)).image_readers('train2017')


def test_pipes_are_not_read(tmp_path):
    write(tmp_path)
    (tmp_path / TRAIN_JSON).unlink()
    os.mkfifo(tmp_path / TRAIN_JSON)
    with pytest.raises(UserError, match='cannot be read as JSON .*not a regular file'):
        CocoSource(str(tmp_path)).image_readers('train2017')


def test_random_content_is_read_or_rejected(tmp_path):
    """100 files with random values, seed 0: boxes in [0, 1], or a `UserError` of one line."""
    values = [0, 1, 5, 18, -1, 1.5, 1e400, float('nan'), 10 ** 400, '', '5', 'a.jpg', '../a.jpg',
              '/etc/passwd', '\ud800', '\0', 'a' * 5000, None, True, [], {}, [[1]], {'id': 5},
              [1, 2, 3, 4], ['1', 2, 3, 4], [1e400, 1, 1, 1], [0, 0, 100, 80], [.1, .1, .2, .2]]
    generator, num_boxes = random.Random(0), 0
    write(tmp_path)
    for _ in range(100):
        content = {'images': [dict(IMAGE) for _ in range(2)], 'annotations': [
            dict(BOX) for _ in range(3)], 'categories': [dict(item) for item in CATEGORIES]}
        content['images'][1] = {'id': 6, 'file_name': 'b.jpg'}
        for _ in range(generator.randrange(4)):
            item = generator.choice(content[generator.choice(list(content))])
            item[generator.choice([*item, 'area', 'supercategory'])] = generator.choice(values)
        if generator.random() < .1:
            content[generator.choice(list(content))] = generator.choice(values)
        (tmp_path / TRAIN_JSON).write_text(json.dumps(content))
        source = CocoSource(str(tmp_path))
        try:
            source.notes('train2017')
            assert set(source.class_names(['train2017']))
            readers = source.image_readers('train2017')
            annotation = readers[next(iter(readers))]([].append)
        except UserError as error:
            assert '\n' not in str(error) and len(str(error)) < 7000
        else:
            num_boxes += len(annotation.boxes)
            assert all(0 <= value <= 1 for box in annotation.boxes for value in box)
    assert num_boxes > 20


@pytest.fixture
def unlabeled(tmp_path):
    """A folder with images/a.jpg, and a JSON without annotations such as COCO's test files."""
    write(tmp_path, image='images/a.jpg')
    content = json.loads((tmp_path / TRAIN_JSON).read_text())
    del content['annotations']
    for split in ('test2017', 'test-dev2017'):
        (tmp_path / f'annotations/image_info_{split}.json').write_text(json.dumps(content))
    return tmp_path


def test_unlabeled_images(unlabeled):
    source = CocoSource(str(unlabeled / 'annotations/image_info_test2017.json'))
    assert source.split_names() == ['test2017']
    assert source.class_names(['test2017']) == ['car', 'dog']
    annotation = source.unlabeled_readers('test2017')['a.jpg']()
    assert (annotation.boxes, annotation.source_id, annotation.width) == ([], '5', 100)
    with pytest.raises(UserError, match="it has no list 'annotations'. Pass --without_labels"):
        source.image_readers('test2017')


def test_unlabeled_readers_ignore_annotations(unlabeled):
    readers = CocoSource(str(unlabeled)).unlabeled_readers('train2017')
    assert readers['a.jpg']().names == []


def test_images_of_test_dev_are_in_the_folder_of_test(unlabeled):
    (unlabeled / 'test2017').mkdir()
    (unlabeled / 'images/a.jpg').rename(unlabeled / 'test2017/a.jpg')
    source = CocoSource(str(unlabeled / 'annotations/image_info_test-dev2017.json'))
    assert source.unlabeled_readers('test-dev2017')['a.jpg']().width == 100


def test_unknown_split_and_invalid_json(tmp_path):
    source = write(tmp_path)
    with pytest.raises(UserError, match="has no split 'val'; its splits are: train2017"):
        source.image_readers('val')
    (tmp_path / TRAIN_JSON).write_text('{"images": [')
    with pytest.raises(UserError, match='cannot be read as JSON'):
        CocoSource(str(tmp_path)).image_readers('train2017')


def test_images_of_coco(shared):
    source = CocoSource(str(shared / 'data/coco_small'))
    annotations = [read() for read in source.image_readers('val2017').values()]
    assert len(annotations) == 24
    assert sum(len(annotation.boxes) for annotation in annotations) == 297
    assert sum(sum(annotation.iscrowd) for annotation in annotations) == 5
    assert len(source.class_names(['val2017'])) == 80
    assert source.source_ids(['val2017'])['toothbrush'] == 90

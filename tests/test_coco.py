import json

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

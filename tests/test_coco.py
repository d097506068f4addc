import json

import pytest
from image_files import write_image

from common.errors import UserError
from datasets import coco

CATEGORIES = [{'id': 18, 'name': 'dog'}, {'id': 3, 'name': 'car'}]
BOX = {'id': 7, 'image_id': 5, 'category_id': 18, 'bbox': [10, 20, 40, 40], 'area': 900.5, 'iscrowd': 0,
       'segmentation': [[1, 2, 3, 4, 5, 6]]}


def write(folder, annotations=(BOX,), images=None, path='annotations/instances_train2017.json',
          picture='train2017/a.jpg', **more):
    """One picture of 100x80 with the id 5, and a JSON that is changed as wanted."""
    write_image(folder / picture)
    content = {'images': images or [{'id': 5, 'file_name': 'a.jpg', 'width': 100, 'height': 80}],
               'annotations': list(annotations), 'categories': CATEGORIES, **more}
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(json.dumps(content))
    return coco.CocoSource(str(folder))


def read(source, split='train2017', on_bad_box=None):
    only, = source.pictures(split).values()
    return only(on_bad_box)


def test_a_box_with_all_that_coco_says(tmp_path):
    crowd = {**BOX, 'id': 8, 'category_id': 3, 'bbox': [0, 0, 100, 80], 'iscrowd': 1, 'area': 3000}
    found = read(write(tmp_path, [BOX, crowd]))
    assert found.boxes == [(20 / 80, 10 / 100, 60 / 80, 50 / 100), (0, 0, 1, 1)] and found.names == ['dog', 'car']
    assert (found.iscrowd, found.area, found.source_id) == ([False, True], [900.5, 3000], '5')
    assert (found.difficult, found.truncated) == ([False, False], [False, False])


def test_numbers_of_categories_are_kept(tmp_path):
    source = write(tmp_path)
    assert source.class_names(['train2017']) == ['car', 'dog']
    assert source.source_ids(['train2017']) == {'car': 3, 'dog': 18}


def test_a_name_with_two_numbers_has_none(tmp_path):
    write(tmp_path, path='annotations/instances_val2017.json', categories=[{'id': 18, 'name': 'dog'},
                                                                           {'id': 4, 'name': 'car'}])
    source = write(tmp_path)
    assert source.class_names(['train2017', 'val2017']) == ['car', 'dog']
    assert source.source_ids(['train2017', 'val2017']) == {'dog': 18}


@pytest.mark.parametrize('path, picture, split', [
    ('annotations/instances_train2017.json', 'train2017/a.jpg', 'train2017'),
    ('annotations/instances_train.json', 'images/train/a.jpg', 'train'),
    ('annotations/train.json', 'images/a.jpg', 'train'), ('annotations/instances_default.json', 'images/a.jpg', None),
    ('annotations/instances_default.json', 'images/default/a.jpg', None), ('result.json', 'images/a.jpg', None),
    ('valid/_annotations.coco.json', 'valid/a.jpg', 'valid'), ('_annotations.coco.json', 'a.jpg', None)])
def test_where_tools_put_things(tmp_path, path, picture, split):
    source = write(tmp_path, path=path, picture=picture)
    assert coco.CocoSource.recognises(str(tmp_path)) and source.split_names() == ([split] if split else [])
    assert read(source, split).image_path == str(tmp_path / picture)
    assert read(coco.CocoSource(str(tmp_path / path)), split if split != 'valid' else None).names == ['dog']


def test_captions_beside_the_instances_are_passed_over(tmp_path):
    write(tmp_path)
    (tmp_path / 'annotations/captions_train2017.json').write_text('{}')
    assert coco.CocoSource(str(tmp_path)).split_names() == ['train2017']


def test_pictures_without_boxes_and_what_a_tool_does_not_say(tmp_path):
    assert read(write(tmp_path, [])).boxes == []
    found = read(write(tmp_path, [{key: BOX[key] for key in ('image_id', 'category_id', 'bbox')}]))
    assert (found.iscrowd, found.area) == ([False], ())


def test_the_first_category_of_roboflow_only_groups_the_others(tmp_path):
    cells = [{'id': 0, 'name': 'cells', 'supercategory': 'none'}, {'id': 18, 'name': 'red', 'supercategory': 'cells'}]
    assert write(tmp_path, categories=cells).class_names(['train2017']) == ['red']
    used = {**BOX, 'category_id': 0}
    assert write(tmp_path, [used], categories=cells).class_names(['train2017']) == ['cells', 'red']


@pytest.mark.parametrize('change, kind, message', [
    ({'bbox': [10, 20, 0, 40]}, 'inverted', r"annotation 7 of a.jpg \('dog', x 10, y 20, width 0, .* is empty"),
    ({'bbox': [90, 20, 40, 40]}, 'outside', 'outside its picture of 100x80'),
    ({'bbox': [float('nan'), 20, 40, 40]}, 'inverted', 'is empty or inverted'),
    ({'bbox': [1, 2, 3]}, 'unreadable', 'no bbox of four numbers'), ({'bbox': None}, 'unreadable', 'no bbox of four'),
    ({'iscrowd': 'x'}, 'unreadable', 'unreadable area or iscrowd'),
    ({'category_id': 99}, 'unknown', 'the category 99, which is not among')])
def test_wrong_boxes(tmp_path, change, kind, message):
    source, told = write(tmp_path, [{**BOX, **change}, BOX]), []
    with pytest.raises(UserError, match=message):
        read(source)
    assert len(read(source, on_bad_box=told.append).boxes) == 1 and [error.kind for error in told] == [kind]


IMAGE = {'id': 5, 'file_name': 'a.jpg', 'width': 100, 'height': 80}


@pytest.mark.parametrize('more, message', [
    ({'images': [{**IMAGE, 'width': 80, 'height': 100}]}, 'says that a.jpg has 80x100 pixels, but the file has 100x80'),
    ({'images': [{**IMAGE, 'file_name': 'b.jpg'}]}, "names the picture 'b.jpg', which is in none of"),
    ({'images': [IMAGE, IMAGE]}, 'has 2 images of the id'),
    ({'images': [IMAGE, {**IMAGE, 'id': 6}]}, "lists 'a.jpg' more than once"),
    ({'images': [{'id': 5}]}, 'no file_name or no id'),
    ({'images': [{**IMAGE, 'id': '5'}]}, "no annotation's image_id is the id of an image"),
    ({'categories': [{'id': 1, 'name': 'a'}, {'id': 2, 'name': 'a'}]}, 'two categories of one name or id: a'),
    ({'categories': [{'id': 1}]}, 'a category has no name'), ({'categories': 3}, "it has no list 'categories'")])
def test_wrong_files(tmp_path, more, message):
    write(tmp_path, **{key: value for key, value in more.items() if key == 'images'})
    path = tmp_path / 'annotations/instances_train2017.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), **more}))
    with pytest.raises(UserError, match=message):
        read(coco.CocoSource(str(tmp_path)))


def test_pictures_without_labels(tmp_path):
    """As `image_info_test2017.json` lists them, without a list of annotations."""
    write(tmp_path, picture='images/a.jpg')
    path = tmp_path / 'annotations/instances_train2017.json'
    content = json.loads(path.read_text())
    del content['annotations']
    (tmp_path / 'annotations/image_info_test2017.json').write_text(json.dumps(content))
    source = coco.CocoSource(str(tmp_path / 'annotations/image_info_test2017.json'))
    assert source.split_names() == ['test2017'] and source.class_names(['test2017']) == ['car', 'dog']
    found = source.unlabelled('test2017')['a.jpg']()
    assert (found.boxes, found.source_id, found.width) == ([], '5', 100)
    (tmp_path / 'annotations/image_info_test-dev2017.json').write_text(json.dumps(content))
    (tmp_path / 'test2017').mkdir()
    (tmp_path / 'images/a.jpg').rename(tmp_path / 'test2017/a.jpg')   # where COCO has those of test-dev too
    development = coco.CocoSource(str(tmp_path / 'annotations/image_info_test-dev2017.json'))
    assert development.unlabelled('test-dev2017')['a.jpg']().width == 100
    (tmp_path / 'test2017/a.jpg').rename(tmp_path / 'images/a.jpg')
    assert coco.CocoSource(str(tmp_path)).unlabelled('train2017')['a.jpg']().names == []     # whatever is known
    with pytest.raises(UserError, match="it has no list 'annotations'; .* --without_labels converts the pictures"):
        source.pictures('test2017')


def test_files_that_are_no_coco_json(tmp_path):
    source = write(tmp_path)
    with pytest.raises(UserError, match="has no split 'val'; its splits are: train2017"):
        source.pictures('val')
    (tmp_path / 'annotations/instances_train2017.json').write_text('{"images": [')
    with pytest.raises(UserError, match='cannot be read as JSON'):
        coco.CocoSource(str(tmp_path)).pictures('train2017')


def test_real_crowds(shared):
    source = coco.CocoSource(str(shared / 'data/coco_small'))
    found = [read() for read in source.pictures('val2017').values()]
    assert (len(found), sum(len(one.boxes) for one in found), sum(sum(one.iscrowd) for one in found)) == (24, 297, 5)
    assert len(source.class_names(['val2017'])) == 80 and source.source_ids(['val2017'])['toothbrush'] == 90

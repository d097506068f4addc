import pytest
from image_files import write_image

from common.errors import UserError
from datasets import yolo


def write(folder, labels='1 0.3 0.5 0.4 0.5', picture='images/train/a.jpg', text='labels/train/a.txt', **files):
    """One picture of 100x80 and its boxes; files: name with _ for . -> content, `classes_txt` if nothing else."""
    write_image(folder / picture)
    if labels is not None:
        (folder / text).parent.mkdir(parents=True, exist_ok=True)
        (folder / text).write_text(labels)
    for name, content in (files or {'classes_txt': 'cat\ndog\n'}).items():
        (folder / name.replace('_', '.')).write_text(content)
    return yolo.YoloSource(str(folder))


def read(source, split='train', on_bad_box=None):
    only, = source.pictures(split).values()
    return only(on_bad_box)


def test_a_box_by_hand(tmp_path):
    found = read(write(tmp_path, '1 0.3 0.5 0.4 0.5\n\n0 0.5 0.5 1 1\n'))
    assert found.boxes[0] == pytest.approx((.25, .1, .75, .5)) and found.boxes[1] == (0, 0, 1, 1)
    assert found.names == ['dog', 'cat'] and (found.height, found.width) == (80, 100)
    assert (found.difficult, found.iscrowd, found.source_id) == ([False, False], (), '')


def test_numbers_off_by_rounding_are_cut(tmp_path):
    assert read(write(tmp_path, '0 0.5 0.5 1.000002 1.000002')).boxes == [(0, 0, 1, 1)]


@pytest.mark.parametrize('picture, text, split', [
    ('images/train/a.jpg', 'labels/train/a.txt', 'train'), ('valid/images/a.jpg', 'valid/labels/a.txt', 'valid'),
    ('images/train/deep/a.PNG', 'labels/train/deep/a.txt', 'train'), ('images/a.jpg', 'labels/a.txt', None),
    ('a.jpg', 'a.txt', None), ('images/train/a.jpg', 'images/train/a.txt', 'train')])
def test_where_tools_put_things(tmp_path, picture, text, split):
    source = write(tmp_path / 'images', picture=picture, text=text)   # a folder above that is called images too
    assert yolo.YoloSource.recognises(str(tmp_path / 'images'))
    assert source.split_names() == ([split] if split else []) and list(source.pictures(split)) == [picture]
    assert read(source, split).names == ['dog']


@pytest.mark.parametrize('names', [
    "['cat', \"dog\"]   # two", '\n- cat\n- dog', '\n  0: cat\n  1: dog', '{1: dog, 0: cat}', '[\n  cat,\n  dog]'])
def test_ways_to_name_classes_in_yaml(tmp_path, names):
    source = write(tmp_path, data_yaml=f'nc: 2\nnames: {names}\n')
    assert source.class_names([]) == ['cat', 'dog'] and read(source).names == ['dog']


def test_names_that_yaml_would_take_for_something_else(tmp_path):
    assert write(tmp_path, data_yaml='names: [no, 7, null]').class_names([]) == ['no', '7', 'null']


def test_classes_beside_the_labels(tmp_path):
    write(tmp_path)
    (tmp_path / 'classes.txt').rename(tmp_path / 'labels/classes.txt')
    assert yolo.YoloSource(str(tmp_path)).class_names([]) == ['cat', 'dog']


@pytest.mark.parametrize('value', ['images/train', '../images/train', './images/train', 'list.txt', '[images/train]'])
def test_splits_of_a_yaml(tmp_path, value):
    (tmp_path / 'list.txt').write_text('./images/train/a.jpg\n')
    source = write(tmp_path, data_yaml=f'train: {value}\nval: images/gone\ntest:\nnames: [cat, dog]')
    assert source.split_names() == ['train'] and list(source.pictures('train')) == ['images/train/a.jpg']


def test_a_picture_without_a_file_of_boxes(tmp_path):
    write_image(tmp_path / 'images/train/b.jpg')
    write_image(tmp_path / 'images/train/c.jpg')
    (tmp_path / 'images/train/._a.jpg').write_bytes(b'what another system keeps beside a file')
    source = write(tmp_path)
    (tmp_path / 'labels/train/c.txt').write_text('')
    assert [len(read().boxes) for read in source.pictures('train').values()] == [1, 0, 0]


@pytest.mark.parametrize('line, kind, message', [
    ('0 0.5 0.5 0.2', 'unreadable', "a.txt, line 3: '0 0.5 0.5 0.2' are not the five numbers class cx cy w h"),
    ('0 0.1 0.1 0.2 0.1 0.3 0.4', 'unreadable', 'not the five numbers'),
    ('cat 0.5 0.5 1 1', 'unreadable', 'not the five numbers'),
    ('2 0.5 0.5 0.1 0.1', 'unknown', 'line 3: class 2 is none of the 2 of .*classes.txt, which count from 0'),
    ('0.5 0.5 0.5 0.1 0.1', 'unknown', 'class 0.5 is none'),
    ('0 50 40 20 10', 'outside', 'shares from 0 to 1.* outside'),
    ('0 0.5 0.5 0 0.1', 'inverted', "'cat', cx 0.5, .* is empty"), ('0 nan 0.5 1 1', 'inverted', 'is empty')])
def test_wrong_boxes(tmp_path, line, kind, message):
    source, told = write(tmp_path, f'1 0.5 0.5 0.5 0.5\n\n{line}\n'), []
    with pytest.raises(UserError, match=message):
        read(source)
    assert len(read(source, on_bad_box=told.append).boxes) == 1 and [error.kind for error in told] == [kind]


@pytest.mark.parametrize('options, message', [
    ({'labels': None}, 'has a file of boxes: looked for .*labels/train/a.txt'),
    ({'picture': 'images/train/a.doc.jpg'}, 'labels/train/a.doc.txt'),
    ({'data_yaml': 'nc: 2'}, 'has no list of classes'),
    ({'data_yaml': 'names: [a, a]'}, 'names no class, or one twice'),
    ({'data_yaml': 'names: cat'}, 'names no class'), ({'data_yaml': 'names: {a: cat}'}, 'no list of class names'),
    ({'data_yaml': 'names: [a, [b]]'}, 'no list of class names'), ({'data_yaml': 'names: [a'}, 'is no YAML'),
    ({'data_yaml': 'cat'}, 'holds no names'), ({'classes_txt': '\n'}, 'names no class')])
def test_wrong_folders(tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        read(write(tmp_path, **options))


def test_an_unknown_split(tmp_path):
    with pytest.raises(UserError, match="has no split 'val'; its splits are: train"):
        write(tmp_path).pictures('val')

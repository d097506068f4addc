import pytest
from image_files import write_image

from common.errors import UserError
from datasets import csv_boxes

HEADER = 'image,xmin,ymin,xmax,ymax,class\n'


def write(folder, text, name='train.csv', pictures=('a.jpg',)):
    """A CSV, and pictures of 100x80."""
    for picture in pictures:
        write_image(folder / picture)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return csv_boxes.CsvSource(str(folder))


def read(source, split='train', on_bad_box=None):
    return [read(on_bad_box) for read in source.pictures(split).values()]


@pytest.mark.parametrize('text', [
    HEADER + 'a.jpg,10,20,50,60,dog\n', 'a.jpg,10,20,50,60,dog',
    '\ufeff' + HEADER + '\r\na.jpg, 10,20, 50,60.0,"dog"\r\n',
    'filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,100,80,dog,10,20,50,60\n',
    'path,x1,y1,x2,y2,class_name\na.jpg,10,20,50,60,dog'])
def test_a_box_by_hand(tmp_path, text):
    found, = read(write(tmp_path, text))
    assert found.boxes == [(20 / 80, 10 / 100, 60 / 80, 50 / 100)] and found.names == ['dog']
    assert (found.height, found.width, found.iscrowd) == (80, 100, ())


def test_rows_of_a_picture_need_not_stand_together(tmp_path):
    source = write(tmp_path, 'a.jpg,0,0,9,9,dog\nb.jpg,0,0,9,9,cat\na.jpg,0,0,100,80,cat\n',
                   pictures=('a.jpg', 'b.jpg'))
    assert list(source.pictures('train')) == ['a.jpg', 'b.jpg']
    assert [one.names for one in read(source)] == [['dog', 'cat'], ['cat']]
    assert source.class_names(['train']) == ['cat', 'dog']


@pytest.mark.parametrize('text', ['a.jpg,,,,,\n', HEADER + 'a.jpg,,,,,', HEADER + 'a.jpg, , ,,,\n'])
def test_a_picture_without_boxes(tmp_path, text):
    found, = read(write(tmp_path, text))
    assert found.boxes == []


@pytest.mark.parametrize('name, picture, split', [
    ('train.csv', 'images/train/a.jpg', 'train'), ('train_labels.csv', 'train/a.jpg', 'train'),
    ('val.csv', 'images/a.jpg', 'val'), ('annotations.csv', 'images/a.jpg', None),
    ('test/_annotations.csv', 'test/a.jpg', 'test')])
def test_where_tools_put_things(tmp_path, name, picture, split):
    source = write(tmp_path, 'a.jpg,10,20,50,60,dog', name, (picture,))
    (tmp_path / 'classes.csv').write_text('dog,0\n')
    assert source.split_names() == ([split] if split else [])
    assert read(source, split)[0].image_path == str(tmp_path / picture)


def test_a_path_of_another_machine(tmp_path):
    assert read(write(tmp_path, 'C:\\photos\\a.jpg,1,2,3,4,dog'))[0].image_path == str(tmp_path / 'a.jpg')


@pytest.mark.parametrize('row, kind, message', [
    ('a.jpg,50,20,10,60,dog', 'inverted', r"train.csv, line 2: the box of a 'dog' in a.jpg \(xmin 50, .* is empty"),
    ('a.jpg,10,20,130,60,dog', 'outside', 'outside its picture of 100x80'),
    ('a.jpg,10,20,,60,dog', 'unreadable', 'line 2: .* missing or unreadable coordinate'),
    ('a.jpg,10,20,wide,60,dog', 'unreadable', 'unreadable coordinate'),
    ('a.jpg,10,20,50,60,', 'unreadable', 'line 2: a box in a.jpg has no class')])
def test_wrong_boxes(tmp_path, row, kind, message):
    source, told = write(tmp_path, f'a.jpg,1,2,3,4,dog\n{row}\n'), []
    with pytest.raises(UserError, match=message):
        read(source)
    assert len(read(source, on_bad_box=told.append)[0].boxes) == 1 and [error.kind for error in told] == [kind]


@pytest.mark.parametrize('text, message', [
    ('', 'lists no pictures'), (HEADER, 'lists no pictures'), (',1,2,3,4,dog', 'line 1 names no picture'),
    ('a.jpg;1;2;3;4;dog\n', "line 1: 'a.jpg;1;2;3;4;dog' is neither a box nor a line like image,xmin"),
    ('a.jpg,1,2,3,dog\n', 'line 1: .* is neither'),
    ('a.jpg,1,2,3,4,dog\na.jpg,1\n', 'line 2: 2 values where image,xmin'),
    (HEADER + 'a.jpg,1,2\n', 'line 2: 3 values where the first line has more'),
    ('gone.jpg,1,2,3,4,dog', "names the picture 'gone.jpg', which is in none of")])
def test_wrong_files(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        read(write(tmp_path, text))


def test_text_that_is_not_utf_8(tmp_path):
    source = write(tmp_path, '')
    (tmp_path / 'train.csv').write_bytes(b'a.jpg,1,2,3,4,H\xfcndin\n')
    with pytest.raises(UserError, match='cannot be read as UTF-8'):
        read(source)
    with pytest.raises(UserError, match="has no split 'val'; its splits are: train"):
        source.pictures('val')

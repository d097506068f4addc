import pytest
from image_files import write_image

from common.errors import UserError
from datasets.csv_boxes import CsvSource

HEADER = 'image,xmin,ymin,xmax,ymax,class\n'


def write(folder, text, name='train.csv', images=('a.jpg',)):
    """Write a CSV and images of 100x80 pixels."""
    for image in images:
        write_image(folder / image)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return CsvSource(str(folder))


def read(source, split='train', on_bad_box=None):
    """Return the annotations of all images."""
    return [reader(on_bad_box) for reader in source.image_readers(split).values()]


@pytest.mark.parametrize('text', [
    HEADER + 'a.jpg,10,20,50,60,dog\n', 'a.jpg,10,20,50,60,dog',
    '\ufeff' + HEADER + '\r\na.jpg, 10,20, 50,60.0,"dog"\r\n',
    'filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,100,80,dog,10,20,50,60\n',
    'path,x1,y1,x2,y2,class_name\na.jpg,10,20,50,60,dog'])
def test_values_of_a_box(tmp_path, text):
    annotation, = read(write(tmp_path, text))
    assert annotation.boxes == [(20 / 80, 10 / 100, 60 / 80, 50 / 100)]
    assert annotation.names == ['dog'] and annotation.iscrowd == ()
    assert (annotation.height, annotation.width) == (80, 100)


def test_lines_of_an_image_need_not_be_consecutive(tmp_path):
    source = write(tmp_path, 'a.jpg,0,0,9,9,dog\nb.jpg,0,0,9,9,cat\na.jpg,0,0,100,80,cat\n',
                   images=('a.jpg', 'b.jpg'))
    assert list(source.image_readers('train')) == ['a.jpg', 'b.jpg']
    assert [annotation.names for annotation in read(source)] == [['dog', 'cat'], ['cat']]
    assert source.class_names(['train']) == ['cat', 'dog']
    assert source.source_ids(['train']) == {}


@pytest.mark.parametrize('text', ['a.jpg,,,,,\n', HEADER + 'a.jpg,,,,,', HEADER + 'a.jpg, , ,,,\n'])
def test_image_without_boxes(tmp_path, text):
    annotation, = read(write(tmp_path, text))
    assert annotation.boxes == []


@pytest.mark.parametrize('name, image, split', [
    ('train.csv', 'images/train/a.jpg', 'train'), ('train_labels.csv', 'train/a.jpg', 'train'),
    ('val.csv', 'images/a.jpg', 'val'), ('annotations.csv', 'images/a.jpg', None),
    ('test/_annotations.csv', 'test/a.jpg', 'test')])
def test_file_layouts_of_annotation_tools(tmp_path, name, image, split):
    source = write(tmp_path, 'a.jpg,10,20,50,60,dog', name, (image,))
    (tmp_path / 'classes.csv').write_text('dog,0\n')
    assert source.split_names() == ([split] if split else [])
    assert read(source, split)[0].image_path == str(tmp_path / image)


def test_image_path_of_another_machine(tmp_path):
    annotation, = read(write(tmp_path, 'C:\\photos\\a.jpg,1,2,3,4,dog'))
    assert annotation.image_path == str(tmp_path / 'a.jpg')


@pytest.mark.parametrize('row, problem, message', [
    ('a.jpg,50,20,10,60,dog', 'inverted',
     r"train.csv, line 2: the box of a 'dog' in a.jpg \(xmin 50, .* is empty"),
    ('a.jpg,10,20,130,60,dog', 'outside', 'outside its image of 100x80'),
    ('a.jpg,10,20,,60,dog', 'unreadable', 'line 2: .* missing or invalid coordinate'),
    ('a.jpg,10,20,wide,60,dog', 'unreadable', 'invalid coordinate'),
    ('a.jpg,10,20,50,60,', 'unreadable', 'line 2: a box in a.jpg has no class')])
def test_bad_boxes_are_raised_or_skipped(tmp_path, row, problem, message):
    source, errors = write(tmp_path, f'a.jpg,1,2,3,4,dog\n{row}\n'), []
    with pytest.raises(UserError, match=message):
        read(source)
    assert len(read(source, on_bad_box=errors.append)[0].boxes) == 1
    assert [error.problem for error in errors] == [problem]


@pytest.mark.parametrize('text, message', [
    ('', 'lists no images'), (HEADER, 'lists no images'),
    (',1,2,3,4,dog', 'line 1: the image is missing'),
    ('a.jpg;1;2;3;4;dog\n', "line 1: 'a.jpg;1;2;3;4;dog' is neither a box nor a header"),
    ('a.jpg,1,2,3,dog\n', 'line 1: .* is neither'),
    ('a.jpg,1,2,3,4,dog\na.jpg,1\n', 'line 2: 2 values, but expected image,xmin'),
    (HEADER + 'a.jpg,1,2\n', 'line 2: 3 values, but the first line has more'),
    ('gone.jpg,1,2,3,4,dog', "refers to the image 'gone.jpg', which is missing in")])
def test_invalid_content(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        read(write(tmp_path, text))


def test_unknown_split_and_text_that_is_not_utf_8(tmp_path):
    source = write(tmp_path, '')
    (tmp_path / 'train.csv').write_bytes(b'a.jpg,1,2,3,4,H\xfcndin\n')
    with pytest.raises(UserError, match='cannot be read as UTF-8'):
        read(source)
    with pytest.raises(UserError, match="has no split 'val'; its splits are: train"):
        source.image_readers('val')

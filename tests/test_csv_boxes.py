import os
import random

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


@pytest.mark.parametrize('rows, message', [
    ('a.jpg,80,100,dog,10,20,50,60', 'the size of a.jpg is 80x100 pixels, but the file has 100x80'),
    ('a.jpg,100,80,dog,1,2,3,4\na.jpg,,79,dog,10,20,50,60', r'the size of a.jpg is \?x79 pixels')])
def test_declared_size_that_is_not_that_of_the_image(tmp_path, rows, message):
    source = write(tmp_path, f'filename,width,height,class,xmin,ymin,xmax,ymax\n{rows}\n')
    with pytest.raises(UserError, match=message):
        read(source)


@pytest.mark.parametrize('size', ['0,0', ',', 'null,None', '100.0,80'])
def test_unknown_sizes(tmp_path, size):
    source = write(tmp_path, f'filename,img_width,img_height,class,xmin,ymin,xmax,ymax\n'
                             f'a.jpg,{size},dog,10,20,50,60\n')
    assert read(source)[0].boxes == [(20 / 80, 10 / 100, 60 / 80, 50 / 100)]


def test_relative_coordinates_are_an_error(tmp_path):
    source = write(tmp_path, 'a.jpg,.1,.2,.5,.75,dog\na.jpg,0,0,1,1,dog')
    with pytest.raises(UserError, match='a.jpg: all coordinates are in .0, 1., so they seem to be'):
        read(source)


def test_background_is_no_class(tmp_path):
    source = write(tmp_path, 'a.jpg,1,2,3,4,BACKGROUND\na.jpg,1,2,3,4,dog')
    assert source.class_names(['train']) == ['dog']
    with pytest.raises(UserError, match='line 1: .* is of the background, which is no class'):
        read(source)


OPEN_IMAGES = ('ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,'
               'IsGroupOf\na,xclick,/m/01,1,0.1,0.5,0.2,0.75,0,1,0\na,x,/m/02,1,0,1,0,1,-1,-1,1\n')


@pytest.mark.parametrize('name, split', [
    ('train-annotations-bbox.csv', 'train'), ('oidv6-train-annotations-bbox.csv', 'train'),
    ('validation-annotations-bbox.csv', 'validation'), ('test.csv', 'test')])
def test_open_images(tmp_path, name, split):
    """The image has 100x80 pixels; the box XMin 0.1, XMax 0.5, YMin 0.2, YMax 0.75."""
    (tmp_path / 'class-descriptions-boxable.csv').write_text('/m/01,Cat\n/m/02,"Dog, small"\n')
    source = write(tmp_path, OPEN_IMAGES, name, (f'images/{split}/a.jpg',))
    assert source.split_names() == [split] and source.class_names([split]) == ['Cat', 'Dog, small']
    annotation, = read(source, split)
    assert annotation.boxes == [pytest.approx((.2, .1, .75, .5)), (0, 0, 1, 1)]
    assert annotation.names == ['Cat', 'Dog, small'] and annotation.iscrowd == [False, True]
    assert annotation.truncated == [True, False] and annotation.area == ()


def test_open_images_without_class_names(tmp_path):
    source = write(tmp_path, OPEN_IMAGES)
    with pytest.raises(UserError, match="line 2: the name of the class '/m/01' of Open Images is un"
                                        'known. Add class-descriptions-boxable.csv'):
        read(source)


def test_images_that_no_csv_lists_are_noted(tmp_path):
    write(tmp_path, 'a.jpg,1,2,3,4,dog', images=('images/a.jpg', 'images/sub/b.jpg'))
    source = write(tmp_path, 'c.jpg,1,2,3,4,dog', 'val.csv',
                   ('images/val/c.jpg', 'images/val/d.jpg'))
    assert source.notes('train') == [
        ('unused', f'{tmp_path}/images/sub/b.jpg is in no annotation file')]
    assert source.notes('val') == [('unused', f'{tmp_path}/images/val/d.jpg is not in val.csv')]


def test_two_names_of_one_file(tmp_path):
    source = write(tmp_path, 'cam1/a.jpg,1,2,3,4,dog\ncam2/a.jpg,1,2,3,4,dog')
    with pytest.raises(UserError, match="the images 'cam1/a.jpg' and 'cam2/a.jpg' are both the f"):
        read(source)


def test_random_rows_are_read_or_rejected(tmp_path):
    """100 files of random cells, seed 0: boxes in [0, 1], or a `UserError` of one line."""
    cells = ['a.jpg', '../a.jpg', '/etc/passwd', '', '1', '50', '-1', '.5', 'nan', '1e400', 'dog',
             '9' * 400, '"', '"a""b"', '\x00', 'é', '²', '/m/01', 'x' * 200_000, 'background']
    headers = ['', HEADER, OPEN_IMAGES.split('\n')[0] + '\n', 'image,image,xmin\n',
               'class,width,height,image,xmin,ymin,xmax,ymax\n']
    generator, num_boxes = random.Random(0), 0
    write(tmp_path, '')
    for _ in range(100):
        rows = [['a.jpg', '10', '20', '50', '60', 'dog'] for _ in range(3)]
        for _ in range(generator.randrange(4)):
            generator.choice(rows)[generator.randrange(6)] = generator.choice(cells)
        (tmp_path / 'train.csv').write_text(
            generator.choice(headers) + '\n'.join(map(','.join, rows)))
        try:
            annotations = read(CsvSource(str(tmp_path)), on_bad_box=[].append)
        except UserError as error:
            assert '\n' not in str(error)
        else:
            num_boxes += sum(len(annotation.boxes) for annotation in annotations)
            assert all(0 <= value <= 1 for annotation in annotations
                       for box in annotation.boxes for value in box)
    assert num_boxes > 20


def test_pipes_are_not_read(tmp_path):
    os.mkfifo(tmp_path / 'train.csv')
    with pytest.raises(UserError, match='train.csv cannot be read .*not a regular file'):
        CsvSource(str(tmp_path)).image_readers('train')


def test_unknown_split_and_text_that_is_not_utf_8(tmp_path):
    source = write(tmp_path, '')
    (tmp_path / 'train.csv').write_bytes(b'a.jpg,1,2,3,4,H\xfcndin\n')
    with pytest.raises(UserError, match='cannot be read as UTF-8'):
        read(source)
    with pytest.raises(UserError, match="has no split 'val'; its splits are: train"):
        source.image_readers('val')

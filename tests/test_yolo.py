import pytest
from image_files import write_image

from common.errors import UserError
from datasets.yolo import YoloSource


def write(folder, labels='1 0.3 0.5 0.4 0.5', image='images/train/a.jpg',
          text_file='labels/train/a.txt', **class_files):
    """Write an image of 100x80 pixels and its text file.

    Args:
        folder: Folder to write to.
        labels: Content of the text file, or None for no file.
        image: Path of the image.
        text_file: Path of the text file.
        **class_files: Name, with _ instead of the dot -> content; default: a classes.txt.
    """
    write_image(folder / image)
    if labels is not None:
        (folder / text_file).parent.mkdir(parents=True, exist_ok=True)
        (folder / text_file).write_text(labels)
    for name, content in (class_files or {'classes_txt': 'cat\ndog\n'}).items():
        (folder / name.replace('_', '.')).write_text(content)
    return YoloSource(str(folder))


def read(source, split='train', on_bad_box=None):
    """Return the annotation of the only image."""
    reader, = source.image_readers(split).values()
    return reader(on_bad_box)


def test_values_of_a_box(tmp_path):
    annotation = read(write(tmp_path, '1 0.3 0.5 0.4 0.5\n\n0 0.5 0.5 1 1\n'))
    assert annotation.boxes[0] == pytest.approx((.25, .1, .75, .5))
    assert annotation.boxes[1] == (0, 0, 1, 1)
    assert annotation.names == ['dog', 'cat'] and annotation.difficult == [False, False]
    assert (annotation.height, annotation.width) == (80, 100)
    assert (annotation.iscrowd, annotation.source_id) == ((), '')


def test_box_that_exceeds_the_image_by_rounding_is_clipped(tmp_path):
    annotation = read(write(tmp_path, '0 0.5 0.5 1.000002 1.000002'))
    assert annotation.boxes == [(0, 0, 1, 1)]


@pytest.mark.parametrize('image, text_file, split', [
    ('images/train/a.jpg', 'labels/train/a.txt', 'train'),
    ('valid/images/a.jpg', 'valid/labels/a.txt', 'valid'),
    ('images/train/deep/a.PNG', 'labels/train/deep/a.txt', 'train'),
    ('images/a.jpg', 'labels/a.txt', None), ('a.jpg', 'a.txt', None),
    ('images/train/a.jpg', 'images/train/a.txt', 'train')])
def test_file_layouts_of_annotation_tools(tmp_path, image, text_file, split):
    folder = tmp_path / 'images'   # a parent folder with this name must not matter
    source = write(folder, image=image, text_file=text_file)
    assert YoloSource.matches(str(folder))
    assert source.split_names() == ([split] if split else [])
    assert list(source.image_readers(split)) == [image]
    assert read(source, split).names == ['dog']


@pytest.mark.parametrize('names', [
    "['cat', \"dog\"]   # two", '\n- cat\n- dog', '\n  0: cat\n  1: dog', '{1: dog, 0: cat}',
    '[\n  cat,\n  dog]'])
def test_class_names_in_yaml(tmp_path, names):
    source = write(tmp_path, data_yaml=f'nc: 2\nnames: {names}\n')
    assert source.class_names(['train']) == ['cat', 'dog'] and read(source).names == ['dog']
    assert source.source_ids(['train']) == {}


def test_class_names_that_are_not_strings_in_yaml(tmp_path):
    source = write(tmp_path, data_yaml='names: [no, 7, null]')
    assert source.class_names(['train']) == ['no', '7', 'null']


def test_class_names_beside_the_labels(tmp_path):
    write(tmp_path)
    (tmp_path / 'classes.txt').rename(tmp_path / 'labels/classes.txt')
    assert YoloSource(str(tmp_path)).class_names(['train']) == ['cat', 'dog']


@pytest.mark.parametrize('value', [
    'images/train', '../images/train', './images/train', 'list.txt', '[images/train]'])
def test_splits_in_yaml(tmp_path, value):
    (tmp_path / 'list.txt').write_text('./images/train/a.jpg\n')
    source = write(tmp_path,
                   data_yaml=f'train: {value}\nval: images/gone\ntest:\nnames: [cat, dog]')
    assert source.split_names() == ['train']
    assert list(source.image_readers('train')) == ['images/train/a.jpg']


def test_images_without_boxes(tmp_path):
    write_image(tmp_path / 'images/train/b.jpg')
    write_image(tmp_path / 'images/train/c.jpg')
    (tmp_path / 'images/train/._a.jpg').write_bytes(b'macOS metadata of a.jpg')
    source = write(tmp_path)
    (tmp_path / 'labels/train/c.txt').write_text('')
    readers = source.image_readers('train').values()
    assert [len(reader().boxes) for reader in readers] == [1, 0, 0]


@pytest.mark.parametrize('line, problem, message', [
    ('0 0.5 0.5 0.2', 'unreadable',
     'a.txt, line 3: expected five numbers class cx cy w h, or an outline class x1 y1 x2 y2 x3 y3 '
     "..., but the line is '0 0.5 0.5 0.2'"),
    ('0 0.1 0.1 0.2 0.1 0.3 0.4 0.5', 'unreadable', 'expected five numbers'),
    ('0 0.5 0.5 0.2 0.1 0.98', 'unreadable', 'The sixth seems to be the confidence'),
    ('cat 0.5 0.5 1 1', 'unreadable', "the class is 'cat'"),
    ('0,0.5,0.5,1,1', 'unreadable', 'expected five numbers'),
    ('2 0.5 0.5 0.1 0.1', 'unknown',
     'line 3: class 2 is not among the 2 classes of .*classes.txt, which count from 0'),
    ('0.5 0.5 0.5 0.1 0.1', 'unknown', 'class 0.5 is not among'),
    ('0 50 40 20 10', 'outside', 'as fractions of the image.* seems to be in pixels'),
    ('0 10 10 90 10 90 70', 'outside', 'an outline of 3 points .* seems to be in pixels'),
    ('0 0.9 0.5 0.27 0.5', 'outside', 'lies outside its image of 100x80'),
    ('0 0.1 0.1 0.1 0.2 0.1 0.3', 'inverted', 'an outline of 3 points .* is empty'),
    ('0 1e400 0.5 1 1', 'outside', 'seems to be in pixels'),
    ('0 0.5 0.5 0 0.1', 'inverted', "'cat' .cx 0.5, .* is empty"),
    ('0 nan 0.5 1 1', 'inverted', 'is empty')])
def test_bad_boxes_are_raised_or_skipped(tmp_path, line, problem, message):
    source, errors = write(tmp_path, f'1 0.5 0.5 0.5 0.5\n\n{line}\n'), []
    with pytest.raises(UserError, match=message):
        read(source)
    assert len(read(source, on_bad_box=errors.append).boxes) == 1
    assert [error.problem for error in errors] == [problem]


@pytest.mark.parametrize('options, message', [
    ({'labels': None}, 'has a text file with boxes; .*labels/train/a.txt'),
    ({'image': 'images/train/a.doc.jpg'}, 'labels/train/a.doc.txt'),
    ({'data_yaml': 'nc: 2'}, 'has no list of classes'),
    ({'data_yaml': 'names: [a, a]'}, 'or a duplicate'),
    ({'data_yaml': 'names: cat'}, 'has no class names'),
    ({'data_yaml': 'names: {a: cat}'}, 'must be a list of class names'),
    ({'data_yaml': 'names: [a, [b]]'}, 'must be a list of class names'),
    ({'data_yaml': 'names: [a'}, 'is not valid YAML'), ({'data_yaml': 'cat'}, "no entry 'names:'"),
    ({'classes_txt': '\n'}, 'has no class names')])
def test_invalid_folders(tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        read(write(tmp_path, **options))


@pytest.mark.parametrize('line, box', [
    ('0 0.5 0.1 0.7 0.1 0.7 0.5 0.5 0.5', (.1, .5, .5, .7)),   # an outline, or a rotated box
    ('0 0.2 0.1 0.1 0.3 0.3 0.3', (.1, .1, .3, .3)),
    ('0.0\t0.6 0.3 0.2 0.4\t', (.1, .5, .5, .7))])
def test_boxes_around_outlines(tmp_path, line, box):
    annotation = read(write(tmp_path, f'\ufeff1 0.3 0.5 0.4 0.5\r\n{line}\r\n'))
    assert annotation.boxes == [pytest.approx((.25, .1, .75, .5)), pytest.approx(box)]
    assert annotation.names == ['dog', 'cat']


def test_boxes_with_keypoints(tmp_path):
    """Four values of the box and 2 x 3 of keypoints: ten numbers, without an outline's odd one."""
    source = write(tmp_path, '0 0.6 0.3 0.2 0.4 0.1 0.1 2 0.9 0.9 2',
                   data_yaml='names: [cat]\nkpt_shape: [2, 3]')
    assert read(source).boxes == [pytest.approx((.1, .5, .5, .7))]


def test_background_has_no_boxes(tmp_path):
    source = write(tmp_path, '1 0.3 0.5 0.4 0.5\n0 0.3 0.5 0.4 0.5',
                   data_yaml='names: [__background__, dog]')
    assert source.class_names(['train']) == ['dog']
    with pytest.raises(UserError, match="class 0 is '__background__' in .*data.yaml, which is the"):
        read(source)
    assert read(source, on_bad_box=[].append).names == ['dog']


def test_unknown_split(tmp_path):
    source = write(tmp_path)
    for method in (source.image_readers, source.categories):
        with pytest.raises(UserError, match="has no split 'val'; its splits are: train"):
            method('val')

"""Class files, split lists and file names as annotation tools write them."""
import os
import random
import unicodedata

import pytest
from image_files import write_image

from common.errors import UserError
from datasets import formats
from datasets.yolo import YoloSource

BOX = '0 0.5 0.5 0.5 0.5\n'


def write(folder, files, images=()):
    """Write text files {path: content} and images of different sizes; return the `YoloSource`."""
    for index, image in enumerate(images):
        write_image(folder / image, (100, 80 + index))
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    return YoloSource(str(folder))


def read(source, split):
    """Return {path of the image: class names of its boxes}."""
    return {name: reader().names for name, reader in source.image_readers(split).items()}


def write_cvat(folder, **lists):
    """Write CVAT's "YOLO 1.1" with a box in each image; lists: {train or valid: image names}."""
    data = ['classes = 1', *(f'{split} = data/{split}.txt' for split in lists),
            'names = data/obj.names', 'backup = backup/']
    paths = {split: [f'obj_{split}_data/{name}' for name in names]
             for split, names in lists.items()}
    listed = [path for split_paths in paths.values() for path in split_paths]
    return write(folder, {
        'obj.data': '\n'.join(data), 'obj.names': 'cat\n',
        **{f'{split}.txt': ''.join(f'data/{path}\n' for path in paths[split]) for split in lists},
        **{path.replace('.jpg', '.txt'): BOX for path in listed}}, listed)


def test_lists_of_cvat(tmp_path):
    source = write_cvat(tmp_path, train=['a.jpg', 'b.jpg'], valid=['a.jpg'])
    assert YoloSource.matches(str(tmp_path)) and source.split_names() == ['train', 'valid']
    assert read(source, 'train') == {
        'obj_train_data/a.jpg': ['cat'], 'obj_train_data/b.jpg': ['cat']}
    assert read(source, 'valid') == {'obj_valid_data/a.jpg': ['cat']}
    assert source.notes('train') == source.notes('valid') == []


def test_a_split_by_somebody_is_not_split_by_ratio(tmp_path):
    """CVAT lists images without a split in train.txt; two lists are a split."""
    half = {'train': .5, 'val': .5}
    write_cvat(tmp_path / 'one', train=['a.jpg', 'b.jpg'])
    write_image(tmp_path / 'one/obj_train_data/unlisted.jpg')
    source = formats.open_source(str(tmp_path / 'one'), shares=half)
    names = [list(source.image_readers(split)) for split in half]
    assert sorted(sum(names, [])) == ['obj_train_data/a.jpg', 'obj_train_data/b.jpg']
    assert [len(part) for part in names] == [1, 1]
    assert source.notes('train') == [
        ('unused', f'{tmp_path}/one/obj_train_data/unlisted.jpg is an image of no split')]
    write_cvat(tmp_path / 'two', train=['a.jpg'], valid=['b.jpg'])
    with pytest.raises(UserError, match='has splits already .train, valid'):
        formats.open_source(str(tmp_path / 'two'), shares=half)


@pytest.mark.parametrize('class_files', [
    {'coco8.yaml': 'names: [cat, dog]'}, {'my.yml': 'nc: 2\nnames: {0: cat, 1: dog}'},
    {'obj.names': 'cat\ndog'}, {'voc.data': 'names = /home/me/darknet/voc.names\nclasses=2',
                                'voc.names': 'cat\ndog'},
    {'data.yaml': 'train: images', 'classes.txt': 'cat\ndog'},
    {'other.yaml': 'a: b', 'broken.yaml': '[', 'iris.data': '5.1,3.5',
     'labels/classes.txt': '0: cat\n1: dog'}])
def test_files_that_name_the_classes(tmp_path, class_files):
    source = write(tmp_path, {**class_files, 'labels/a.txt': BOX}, ['images/a.jpg'])
    assert YoloSource.matches(str(tmp_path))
    assert source.class_names([]) == [] and list(source.categories(None)) == ['cat', 'dog']
    assert read(source, None) == {'images/a.jpg': ['cat']} and source.notes(None) == []


@pytest.mark.parametrize('class_files, message', [
    ({'data.yaml': 'nc: 3\nnames: [cat]'}, 'there are 3 classes, but .*data.yaml names 1'),
    ({'obj.data': 'classes = 2\nnames=obj.names', 'obj.names': 'cat'}, 'there are 2 classes'),
    ({'data.yaml': 'names: [cat]\ntrain: {a: b}'}, "'train' is not a path or a list of paths"),
    ({'data.yaml': 'names: [cat]\nval: [[a]]'}, "'val' is not a path or a list of paths"),
    ({'classes.txt': 'cat,dog'}, "'cat,dog' is not the name of one class")])
def test_contradictory_class_files(tmp_path, class_files, message):
    with pytest.raises(UserError, match=message):
        write(tmp_path, {**class_files, 'labels/a.txt': BOX}, ['images/a.jpg'])


def test_a_second_list_of_classes_is_noted(tmp_path):
    source = write(tmp_path, {'data.yaml': 'names: [cat, dog]', 'classes.txt': 'dog\ncat\n',
                              'labels/a.txt': BOX}, ['images/a.jpg'])
    assert source.notes(None) == [
        ('unused', f'{tmp_path}/classes.txt names other classes (dog, cat) than '
                   f'{tmp_path}/data.yaml (cat, dog), which is used')]


@pytest.mark.parametrize('files, images, split', [
    ({'train.txt': './images/a.jpg\n', 'labels/a.txt': BOX}, ['images/a.jpg'], 'train'),
    ({'val.txt': '/home/me/data/images/a.jpg', 'labels/a.txt': BOX}, ['images/a.jpg'], 'val'),
    ({'train/_darknet.labels': 'cat', 'train/a.txt': BOX}, ['train/a.jpg'], 'train'),
    ({'test/classes.txt': 'cat', 'test/a.txt': BOX}, ['test/a.jpg'], 'test'),
    ({'data.yaml': 'path: ../datasets/pets\ntrain: images/train\nnames: [cat]',
      'labels/train/a.txt': BOX}, ['images/train/a.jpg'], 'train'),
    ({'data.yaml': 'train: /content/pets/train/images\nnames: [cat]',
      'train/labels/a.txt': BOX}, ['train/images/a.jpg'], 'train'),
    ({'data.yaml': 'path: .\ntrain: train.txt\nnames: {0: cat}', 'labels/train/a.txt': BOX,
      'train.txt': 'data/images/train/a.jpg\n'}, ['images/train/a.jpg'], 'train')])
def test_splits(tmp_path, files, images, split):
    if not any('data.yaml' in path or 'train/_' in path or 'test/c' in path for path in files):
        files = {**files, 'classes.txt': 'cat\n'}
    source = write(tmp_path, files, images)
    assert YoloSource.matches(str(tmp_path)) and source.split_names() == [split]
    assert read(source, split) == {images[0]: ['cat']} and source.notes(split) == []


@pytest.mark.parametrize('value', ['/', '..', '../..', '/etc', 'gone', '/a/images', '"\\0"'])
def test_paths_outside_the_folder_are_not_read(tmp_path, value):
    """The name 'images' alone could be the folder of all splits."""
    files = {'data.yaml': f'train: {value}\nnames: [cat]', 'labels/val/a.txt': BOX}
    source = write(tmp_path / 'pets', files, ['images/val/a.jpg'])
    assert source.split_names() == ['val']
    (problem, text), = source.notes('val')
    assert problem == 'unused' and "data.yaml: the images of 'train'" in text


@pytest.mark.parametrize('suffix', ['/', '//', '/.', '/labels/..'])
def test_spellings_of_the_folder(tmp_path, suffix):
    write(tmp_path, {'classes.txt': 'cat', 'labels/train/a.txt': BOX}, ['images/train/a.jpg'])
    source = YoloSource(f'{tmp_path}{suffix}')
    assert read(source, 'train') == {'images/train/a.jpg': ['cat']} and source.notes('train') == []


@pytest.mark.parametrize('folder', ['.', './', 'pets', './pets', '../pets/pets'])
def test_relative_folders(tmp_path, monkeypatch, folder):
    base = tmp_path / 'pets'
    write(base / 'pets' if 'pets' in folder else base, {
        'data.yaml': 'train: images/train\nnames: [cat]', 'labels/train/a.txt': BOX,
        'labels/b.txt': BOX}, ['images/train/a.jpg'])
    monkeypatch.chdir(base)
    source = YoloSource(folder)
    assert YoloSource.matches(folder)
    assert read(source, 'train') == {'images/train/a.jpg': ['cat']}
    text = os.path.normpath(f'{folder}/labels/b.txt')
    assert source.notes('train') == [('unused', f'{text} is the text of no image')]


def test_texts_and_images_that_are_not_used(tmp_path):
    source = write(tmp_path, {
        'classes.txt': 'cat', 'README.roboflow.txt': 'Pets\n5 images', 'labels/train/a.txt': BOX,
        'labels/train/gone.txt': BOX, 'labels/train/empty.txt': '', 'labels/extra/b.txt': BOX,
        'notes.txt': ''}, ['images/train/a.jpg', 'images/train/a.png', 'images/extra/c.jpg'])
    assert sorted(source.notes('train')) == [
        ('shared', f'{tmp_path}/labels/train/a.txt is the text of {tmp_path}/images/train/a.jpg, '
                   f'{tmp_path}/images/train/a.png'),
        ('unused', f'{tmp_path}/images/extra/c.jpg is an image of no split'),
        ('unused', f'{tmp_path}/labels/extra/b.txt is the text of no image'),
        ('unused', f'{tmp_path}/labels/train/empty.txt is the text of no image'),
        ('unused', f'{tmp_path}/labels/train/gone.txt is the text of no image')]


@pytest.mark.parametrize('text_name', ['Capture_d%C3%A9cran%20(HD).txt', unicodedata.normalize(
    'NFD', 'Capture_décran (HD).txt'), 'Capture_décran (HD).TXT'])
def test_spellings_of_the_name_of_a_text(tmp_path, text_name):
    source = write(tmp_path, {'classes.txt': 'cat', f'labels/{text_name}': BOX},
                   ['images/Capture_décran (HD).jpg'])
    assert read(source, None) == {'images/Capture_décran (HD).jpg': ['cat']}
    assert source.notes(None) == []


def test_lines_of_a_list(tmp_path):
    files = {'classes.txt': 'cat', 'a.txt': BOX, 'train.txt': 'a.jpg\n./a.jpg\na%20b.jpg\ngone.jpg'}
    source = write(tmp_path, files, ['a.jpg', 'a b.jpg'])
    readers = source.image_readers('train')
    assert list(readers) == ['a.jpg', 'a b.jpg', 'gone.jpg']
    assert source.notes('train') == [
        ('unused', f"{tmp_path}/train.txt lists './a.jpg' more than once")]
    with pytest.raises(UserError, match='gone.jpg: cannot be read'):
        readers['gone.jpg']()


@pytest.mark.parametrize('line, message', [
    ('cam1/a.jpg\ncam2/a.jpg', "lists 'cam2/a.jpg' and 'cam1/a.jpg', but both are the file"),
    ('../../b.jpg', "the image '../../b.jpg', which is missing in"),
    ('/etc/b.jpg', "the image '/etc/b.jpg', which is missing in")])
def test_lines_that_name_no_image_of_the_folder(tmp_path, line, message):
    write_image(tmp_path / 'b.jpg')
    source = write(tmp_path / 'x/pets', {'classes.txt': 'cat', 'a.txt': BOX, 'train.txt': line},
                   ['a.jpg'])
    with pytest.raises(UserError, match=message):
        source.image_readers('train')


def test_pipes_and_devices_are_one_sentence(tmp_path):
    source = write(tmp_path, {'classes.txt': 'cat', 'labels/a.txt': BOX}, [
        'images/a.jpg', 'images/b.jpg', 'images/c.jpg'])
    os.mkfifo(tmp_path / 'labels/b.txt')
    (tmp_path / 'labels/c.txt').symlink_to('/dev/zero')
    readers = source.image_readers(None)
    for name in ('images/b.jpg', 'images/c.jpg'):
        with pytest.raises(UserError, match='txt cannot be read .not a regular file'):
            readers[name]()


def test_random_folders_are_read_or_rejected(tmp_path):
    """80 random files, seed 0: boxes in [0, 1] of known classes, or a `UserError` of one line."""
    lines = ['0 0.5 0.5 0.5 0.5', '1 .1 .1 .2 .2', '0 nan 1 1 1', '0 1e400 1 1 1', '-1 0 0 1 1',
             '0 0.1 0.1 0.9 0.1 0.9 0.9', '\x00', '0 ' + '9' * 400 + ' 1 1 1', 'é ² 1 1 1',
             '1 ' * 9, '0 .5 .5 .5 .5 .9', '\ufeff0 .5 .5 1 1', 'inf 1 1 1 1',
             '0 1 1 -1 -1', '0 0 0 0 0']
    values = ['images', '[images, images]', '/', '..', '{a: b}', '[[[]]]', '"\\0"', 'list.txt',
              '3', '[' * 400, '&a [*a]', '[cat, dog]', '{0: cat, 1: dog}', '{x: y}',
              'images/../images', '[cat, background]', '~', '"%2e%2e/%2e%2e"', 'a.jpg']
    listed = ['images/a.jpg', 'a.jpg', '../a.jpg', '/etc/passwd', '\x00', 'é' * 300, 'images',
              '/' * 99]
    generator, num_boxes = random.Random(0), 0
    for _ in range(80):
        names = generator.choice(values) if generator.random() < .3 else '[cat, dog]'
        config = f'names: {names}\n' + ''.join(
            f'{key}: {generator.choice(values)}\n' for key in ('train', 'val', 'path', 'nc')
            if generator.random() < .4)
        files = {'data.yaml': config, 'list.txt': '\n'.join(generator.choices(listed, k=2)),
                 'labels/a.txt': '\n'.join(generator.choices(lines, k=generator.randrange(4)))}
        try:
            source = write(tmp_path, files, () if num_boxes else ['images/a.jpg'])
            split = next(iter(source.split_names()), None)
            source.notes(split)
            for reader in source.image_readers(split).values():
                annotation = reader([].append)
                num_boxes += len(annotation.boxes)
                assert set(annotation.names) <= set(source.categories(split))
                assert all(0 <= value <= 1 for box in annotation.boxes for value in box)
        except UserError as error:
            assert '\n' not in str(error)
    assert num_boxes > 5

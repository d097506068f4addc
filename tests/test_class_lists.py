import random

import pytest

from common.errors import UserError
from datasets import class_lists, dataset_info


def write(folder, text, name='labels.txt'):
    (folder / name).write_text(text, encoding='utf-8')
    return folder / name


@pytest.mark.parametrize('text', [
    'BACKGROUND\ncat\ndog', '__background__\ncat\ndog\n', 'cat\ndog\n\n', '_background_\ncat\ndog',
    '__ignore__\n_background_\ncat\ndog', 'BG\ncat\ndog', '???\ncat\ndog', 'cat\ndog\nBackground',
    '0: background\n1: cat\n2: dog', '0:BACKGROUND\n2:dog\n1:cat', '0:???\n1:cat\n2:dog',
    '1 cat\n2 dog', '0 Background\n1\tcat\n2 dog',
    '# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:1,2,3::\ndog:4,5,6:head:run',
    '# my classes\ncat\ndog',
    'item {\n  id: 1\n  name: "cat"\n}\nitem {\n  id: 2\n  name: "dog"\n}\n',
    "item { name: 'dog', id: 2 } # two\nitem{id:1 name:'cat'}",
    'item { id: 1 name: "/m/01" display_name: "cat" }\nitem { id: 2 name: "dog" }'])
def test_lists_of_cat_and_dog(tmp_path, text):
    assert dataset_info.read_labels(write(tmp_path, text)) == ['cat', 'dog']


@pytest.mark.parametrize('text', ['names: [cat, dog]', 'nc: 2\nnames:\n  1: dog\n  0: cat\n'])
def test_names_of_yaml(tmp_path, text):
    assert dataset_info.read_labels(write(tmp_path, text, 'data.yaml')) == ['cat', 'dog']


@pytest.mark.parametrize('text, names', [
    ('7 eleven', ['7 eleven']), ('traffic light\nBG\n', ['traffic light', 'BG']),
    ('tench, Tinca tinca\ngoldfish, Carassius auratus', [
        'tench, Tinca tinca', 'goldfish, Carassius auratus']),
    ('1:tench, Tinca tinca', ['tench, Tinca tinca'])])
def test_names_that_look_like_something_else(tmp_path, text, names):
    assert dataset_info.read_labels(write(tmp_path, text)) == names


@pytest.mark.parametrize('text, message', [
    ('cat,dog', "'cat,dog' is not the name of one class. Write one class per line"),
    ('cat;dog\n', 'is not the name of one class'), ('cat\tdog', 'is not the name of one class'),
    ('0:cat 1:dog', 'is not the name of one class'), ('1:cat,2:dog', 'is not the name of one'),
    ('1,cat\n2,dog', 'is not the name of one class'), ('cat,1\ndog,2', 'is not the name of one'),
    ("['cat', 'dog']", 'is not the name of one class'), ('{"cat": 1}', 'is not the name of one'),
    ('"cat",\n"dog"', 'is not the name of one class'), ('<xml/>', 'is not the name of one class'),
    ('names: [cat]', 'is not the name of one class'),
    ('0:cat\n1:dog', "the label of 'cat' is 0, but label 0, and no other, is the background"),
    ('0 cat\n1 dog', "the label of 'cat' is 0"), ('item { id: 0 name: "cat" }', "'cat' is 0"),
    ('1:background\n2:cat', "the label of 'background' is 1"),
    ('1:cat\n1:dog', 'two classes with the same label'),
    ('background\n1:cat', "'background' has no number, but other lines have"),
    ('1:', 'has no class names, or an empty one'), ('BACKGROUND', 'has no class names'),
    ('item { name: "cat" }', 'has no id or no name'), ('item { id: -1 name: "a" }', 'has no id')])
def test_invalid_lists(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        dataset_info.read_labels(write(tmp_path, text))


@pytest.mark.parametrize('text', [
    '[' * 5000, 'names: ' + '[' * 5000, 'names: {[a]: b}', '? [1]\n: 2', 'names: [*a]', 'names: &a'
    ' [*a]', 'names: {a: 1}', 'names: 3', '\x00', '3'])
def test_hostile_yaml_is_one_sentence(tmp_path, text):
    with pytest.raises(UserError):
        dataset_info.read_labels(write(tmp_path, text, 'a.yaml'))


def test_random_lists_are_read_or_rejected(tmp_path):
    """400 texts of random pieces, seed 0: names without a newline, or a `UserError`."""
    pieces = ['0', '1', '2', ':', ' ', '\n', '\n', 'cat', 'dog', ',', '"', '{', '}', 'item {',
              'id: 1', 'name: "a"', '# label:', '- ', 'names: ', '[', ']', '\x00', '\ufeff',
              'é', '²']
    generator, num_read = random.Random(0), 0
    for index in range(400):
        text = ''.join(generator.choices(pieces, k=generator.randrange(1, 12)))
        path = write(tmp_path, text, 'a.yaml' if index % 4 == 0 else 'a.txt')
        try:
            names = dataset_info.read_labels(path)
        except UserError as error:
            assert '\n' not in str(error)
        else:
            num_read += 1
            assert names and all(name and '\n' not in name for name in names)
            assert not any(map(class_lists.is_background, names))
    assert num_read > 50

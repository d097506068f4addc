import json

import pytest
from image_files import write_image
from voc_folder import box_xml, write_voc

from common.errors import UserError
from datasets import coco, csv_boxes, formats, voc, yolo

HALF = {'train': .5, 'val': .5}


def write_coco(folder, numbers, name='instances_train'):
    """A picture without boxes; numbers: of the categories cat, dog and so on, as given."""
    write_image(folder / 'images/a.jpg')
    (folder / 'annotations').mkdir(exist_ok=True)
    (folder / f'annotations/{name}.json').write_text(json.dumps({
        'images': [{'id': 1, 'file_name': 'a.jpg'}], 'annotations': [],
        'categories': [{'id': number, 'name': name} for name, number in numbers.items()]}))
    return folder


def write_csv(folder, name='boxes.csv', count=4, label='cat'):
    """A CSV of so many pictures of a box each."""
    for i in range(count):
        write_image(folder / f'{i}.jpg')
    (folder / name).write_text(''.join(f'{i}.jpg,0,0,9,9,{label}\n' for i in range(count)))
    return folder


@pytest.mark.parametrize('files, kind', [
    (['Annotations/a.xml', 'JPEGImages/a.jpg', 'test.csv'], voc.VocSource),
    (['annotations/instances_train.json'], coco.CocoSource), (['train/_annotations.coco.json'], coco.CocoSource),
    (['data.yaml'], yolo.YoloSource),
    (['labels/train/a.txt'], yolo.YoloSource), (['train/labels/a.txt'], yolo.YoloSource),
    (['train.csv'], csv_boxes.CsvSource), (['train/_annotations.csv'], csv_boxes.CsvSource)])
def test_which_format_a_folder_has(tmp_path, files, kind):
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('')
    assert [one for one in formats.FORMATS.values() if one.recognises(str(tmp_path))][0] is kind


def test_nothing_of_a_known_format(tmp_path):
    (tmp_path / 'dataset.json').write_text('{}')    # of a folder of TFRecords
    with pytest.raises(UserError, match=r'holds nothing of a known format: VOC \(.*; --format names one'):
        formats.find(str(tmp_path))
    with pytest.raises(UserError, match='does not exist'):
        formats.find(str(tmp_path / 'gone'))
    with pytest.raises(UserError, match='holds no .csv'):
        formats.find(str(tmp_path), 'csv')


def test_formats_whose_labels_are_always_there(tmp_path):
    with pytest.raises(UserError, match='--without_labels is for pictures in the layout of VOC or of COCO'):
        formats.unlabelled(formats.find(str(write_csv(tmp_path, 'test.csv'))), 'test')
    found = formats.unlabelled(formats.find(str(write_voc(tmp_path / 'voc', {'one': box_xml()}))), 'train')
    assert found['one']().boxes == []


def test_a_note_beside_yolo_text_is_no_coco(tmp_path):
    """As Label Studio writes it."""
    write_image(tmp_path / 'images/cam1/a.jpg')
    (tmp_path / 'labels/cam1').mkdir(parents=True)
    (tmp_path / 'labels/cam1/a.txt').write_text('0 0.5 0.5 0.2 0.2')
    (tmp_path / 'classes.txt').write_text('cat')
    (tmp_path / 'notes.json').write_text('{"categories": []}')
    source = formats.find(str(tmp_path))
    assert isinstance(source, yolo.YoloSource)
    assert source.split_names() == [] and list(source.pictures(None)) == ['images/cam1/a.jpg']   # cam1 is no split


def test_what_no_list_divides(tmp_path):
    whole = formats.find(str(write_csv(tmp_path)))
    with pytest.raises(UserError, match='has no split lists: pass --split_ratio'):
        formats.split_names(whole, 'folder')
    divided = formats.find(str(tmp_path), shares=HALF)
    assert divided.split_names() == ['train', 'val']
    train, val = divided.pictures('train'), divided.pictures('val')
    assert len(train) == len(val) == 2 and {**train, **val}.keys() == whole.pictures(None).keys()
    assert train[min(train)]().names == ['cat'] and divided.class_names(['val']) == ['cat']
    with pytest.raises(UserError, match="--split_ratio makes no split 'test', but train, val"):
        divided.pictures('test')


def test_voc_without_lists(tmp_path):
    folder = write_voc(tmp_path, {'a': box_xml(), 'b': box_xml('dog')})
    with pytest.raises(UserError, match=r'has splits already \(train\); leave --split_ratio out'):
        formats.find(str(folder), shares=HALF)
    (folder / 'ImageSets/Main/train.txt').unlink()
    divided = formats.find(str(folder), shares=HALF)
    assert sorted([*divided.pictures('train'), *divided.pictures('val')]) == ['a', 'b']
    assert divided.class_names(['train']) == ['cat', 'dog']      # of all, not of one


def test_classes_of_several_folders(tmp_path):
    one, two = (formats.find(str(write_csv(tmp_path / name, 'train.csv', label=name))) for name in ('dog', 'cat'))
    assert formats.class_names([one, two], ['train']) == ['cat', 'dog']
    listed = formats.find(str(write_coco(tmp_path / 'coco', {'dog': 7, 'bird': 3})))
    assert formats.class_names([two, listed], ['train']) == ['cat', 'bird', 'dog']


def test_numbers_of_several_folders(tmp_path):
    one = formats.find(str(write_coco(tmp_path / 'one', {'dog': 7, 'bird': 3})))
    two = formats.find(str(write_coco(tmp_path / 'two', {'dog': 8})))
    assert formats.source_ids([one], ['train'], ['dog', 'bird']) == [7, 3]
    assert formats.source_ids([one], ['train'], ['dog', 'cow']) is None
    assert formats.source_ids([one, two], ['train'], ['dog', 'bird']) is None

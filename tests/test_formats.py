import json

import pytest
from image_files import write_image
from voc_folder import box_xml, write_voc

from common.errors import UserError
from datasets import formats
from datasets.coco import CocoSource
from datasets.csv_boxes import CsvSource
from datasets.voc import VocSource
from datasets.yolo import YoloSource

HALF = {'train': .5, 'val': .5}


def write_coco(folder, category_ids):
    """Write an image without boxes and its JSON; category_ids: {name: id}."""
    write_image(folder / 'images/a.jpg')
    (folder / 'annotations').mkdir(exist_ok=True)
    (folder / 'annotations/instances_train.json').write_text(json.dumps({
        'images': [{'id': 1, 'file_name': 'a.jpg'}], 'annotations': [],
        'categories': [{'id': number, 'name': name} for name, number in category_ids.items()]}))
    return folder


def write_csv(folder, name='boxes.csv', num_images=4, class_name='cat'):
    """Write a CSV with one box per image, and the images."""
    for i in range(num_images):
        write_image(folder / f'{i}.jpg', color=(i * 20, 0, 0))
    (folder / name).write_text(''.join(
        f'{i}.jpg,0,0,9,9,{class_name}\n' for i in range(num_images)))
    return folder


def open_source(folder, **options):
    return formats.open_source(str(folder), **options)


@pytest.mark.parametrize('files, source_class', [
    (['Annotations/a.xml', 'JPEGImages/a.jpg', 'test.csv'], VocSource),
    (['annotations/instances_train.json'], CocoSource),
    (['train/_annotations.coco.json'], CocoSource), (['data.yaml'], YoloSource),
    (['labels/train/a.txt'], YoloSource), (['train/labels/a.txt'], YoloSource),
    (['train.csv'], CsvSource), (['train/_annotations.csv'], CsvSource)])
def test_detection_of_the_format(tmp_path, files, source_class):
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('')
    matching = [source for source in formats.FORMATS.values() if source.matches(str(tmp_path))]
    assert matching[0] is source_class


def test_unknown_format(tmp_path):
    (tmp_path / 'dataset.json').write_text('{}')    # of a folder of TFRecords
    with pytest.raises(UserError, match=r'has no known format; expected one of VOC \(.*--format'):
        open_source(tmp_path)
    with pytest.raises(UserError, match='does not exist'):
        open_source(tmp_path / 'gone')
    with pytest.raises(UserError, match='has no .csv file'):
        open_source(tmp_path, format_name='csv')


def test_unlabeled_images_are_supported_by_some_formats(tmp_path):
    csv_source = open_source(write_csv(tmp_path, 'test.csv'))
    with pytest.raises(UserError, match='--without_labels supports only images in VOC or COCO'):
        formats.unlabeled_readers(csv_source, 'test')
    voc_source = open_source(write_voc(tmp_path / 'voc', {'one': box_xml()}))
    assert formats.unlabeled_readers(voc_source, 'train')['one']().boxes == []


def test_json_note_beside_yolo_text_is_not_coco(tmp_path):
    """Label Studio writes such a notes.json."""
    write_image(tmp_path / 'images/cam1/a.jpg')
    (tmp_path / 'labels/cam1').mkdir(parents=True)
    (tmp_path / 'labels/cam1/a.txt').write_text('0 0.5 0.5 0.2 0.2')
    (tmp_path / 'classes.txt').write_text('cat')
    (tmp_path / 'notes.json').write_text('{"categories": []}')
    source = open_source(tmp_path)
    assert isinstance(source, YoloSource)
    assert source.split_names() == []   # cam1 is not the name of a split
    assert list(source.image_readers(None)) == ['images/cam1/a.jpg']


def test_split_by_ratio(tmp_path):
    whole = open_source(write_csv(tmp_path))
    with pytest.raises(UserError, match='has no splits. Pass --split_ratio'):
        formats.require_split_names(whole, 'folder')
    source = open_source(tmp_path, shares=HALF)
    assert source.split_names() == ['train', 'val']
    train, val = source.image_readers('train'), source.image_readers('val')
    assert len(train) == len(val) == 2
    assert {**train, **val}.keys() == whole.image_readers(None).keys()
    assert train[min(train)]().names == ['cat'] and source.class_names(['val']) == ['cat']
    with pytest.raises(UserError, match="--split_ratio defines no split 'test'; its splits are: t"):
        source.image_readers('test')


def test_voc_folder_without_split_lists(tmp_path):
    folder = write_voc(tmp_path, {'a': box_xml(), 'b': box_xml('dog')})
    with pytest.raises(UserError, match=r'has splits already \(train\). Leave out --split_ratio'):
        open_source(folder, shares=HALF)
    (folder / 'ImageSets/Main/train.txt').unlink()
    with pytest.raises(UserError, match='val without any of the 2 images, 1 of which repeat'):
        open_source(folder, shares=HALF).image_readers('train')
    write_image(folder / 'JPEGImages/b.jpg', color=(0, 0, 90))
    source = open_source(folder, shares=HALF)
    assert sorted([*source.image_readers('train'), *source.image_readers('val')]) == ['a', 'b']
    assert source.class_names(['train']) == ['cat', 'dog']   # those of all splits
    assert source.source_ids(['train']) == {}


def test_class_names_of_several_folders(tmp_path):
    dogs = open_source(write_csv(tmp_path / 'dog', 'train.csv', class_name='dog'))
    cats = open_source(write_csv(tmp_path / 'cat', 'train.csv', class_name='cat'))
    assert formats.merge_class_names([dogs, cats], ['train']) == ['cat', 'dog']
    coco = open_source(write_coco(tmp_path / 'coco', {'dog': 7, 'bird': 3}))
    assert formats.merge_class_names([cats, coco], ['train']) == ['cat', 'bird', 'dog']


def test_source_ids_of_several_folders(tmp_path):
    one = open_source(write_coco(tmp_path / 'one', {'dog': 7, 'bird': 3}))
    two = open_source(write_coco(tmp_path / 'two', {'dog': 8}))
    assert formats.merge_source_ids([one], ['train'], ['dog', 'bird']) == [7, 3]
    assert formats.merge_source_ids([one], ['train'], ['dog', 'cow']) is None
    assert formats.merge_source_ids([one, two], ['train'], ['dog', 'bird']) is None


def write_yolo(folder):
    """Write six images in three pairs of the same content."""
    for i in range(6):
        write_image(folder / f'images/{i}.jpg', color=(i // 2 * 20, 0, 0))
        (folder / 'labels').mkdir(exist_ok=True)
        (folder / f'labels/{i}.txt').write_text('0 .5 .5 .2 .2')
    (folder / 'classes.txt').write_text('cat')
    return folder


def write_pairs_of_csv(folder):
    write_csv(folder, num_images=6)
    for i in range(6):
        write_image(folder / f'{i}.jpg', color=(i // 2 * 20, 0, 0))
    return folder


def write_pairs_of_coco(folder):
    for i in range(6):
        write_image(folder / f'images/{i}.jpg', color=(i // 2 * 20, 0, 0))
    (folder / 'coco.json').write_text(json.dumps({
        'images': [{'id': i, 'file_name': f'{i}.jpg'} for i in range(6)], 'annotations': [
            {'id': 1, 'image_id': 0, 'category_id': 1, 'bbox': [1, 1, 9, 9]}],
        'categories': [{'id': 1, 'name': 'cat'}]}))
    return folder


@pytest.mark.parametrize('write', [write_yolo, write_pairs_of_csv, write_pairs_of_coco])
def test_identical_images_are_not_split(tmp_path, write):
    """Images 0 and 1, 2 and 3, 4 and 5 are the same."""
    for seed in range(6):
        source = open_source(write(tmp_path), shares={'train': .67, 'val': .33}, seed=seed)
        assert (len(source.image_readers('train')), len(source.image_readers('val'))) == (4, 2)
        contents = [{read().encoded for read in source.image_readers(split).values()}
                    for split in ('train', 'val')]
        assert contents[0].isdisjoint(contents[1])

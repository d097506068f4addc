import pytest
from image_files import write_image

from common.errors import UserError
from datasets import dataset_info, images, records, schema
from datasets.annotation import Annotation
from exporting import calibration


def test_pick_evenly():
    assert calibration.pick_evenly(list('abc'), 3) == ['a', 'b', 'c']
    assert calibration.pick_evenly(list('abc'), 9) == ['a', 'b', 'c']
    assert calibration.pick_evenly(list(range(11)), 3) == [0, 5, 10]
    assert calibration.pick_evenly(list('abc'), 1) == ['a']


def test_images_from_all_shards(tmp_path):
    with records.ShardWriter(str(tmp_path), 'pets', 'train', 2) as writer:
        for i in range(5):
            annotation = Annotation('a', b'image %d' % i, 9, 8, [], [], [], [])
            writer.write(i // 3, schema.serialize(annotation, {'cat': 1}))
    assert calibration.load_from_records(str(tmp_path), 'train', 3) == [
        b'image 0', b'image 2', b'image 4']


@pytest.mark.parametrize('has_info', [False, True])
def test_a_split_whose_name_begins_like_another(tmp_path, has_info):
    for split in ('train', 'train_small'):
        with records.ShardWriter(str(tmp_path), 'pets', split, 1) as writer:
            annotation = Annotation('a', split.encode(), 9, 8, [], [], [], [])
            writer.write(0, schema.serialize(annotation, {'cat': 1}))
        if has_info:
            dataset_info.write_split(tmp_path, 'pets', ['cat'], split, writer.counts)
    assert calibration.load_from_records(str(tmp_path), 'train', 9) == [b'train']
    assert calibration.load_from_records(str(tmp_path), 'train_small', 9) == [b'train_small']


def test_folder_without_records_fails(tmp_path):
    with pytest.raises(UserError, match='has no records of the split val for the calibration'):
        calibration.load_from_records(str(tmp_path), 'val', 3)


def test_images_from_files(tmp_path):
    paths = [write_image(tmp_path / name) for name in ('a.jpg', 'b.png')]
    first, second = calibration.load_from_files([str(path) for path in paths], 9)
    assert first == paths[0].read_bytes()
    assert images.to_upright(second, 'b').width == 100

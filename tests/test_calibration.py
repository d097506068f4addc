import pytest
from image_files import write_image

from common.errors import UserError
from datasets import images, records, schema
from datasets.annotation import Annotation
from exporting import calibration


def test_even_distances():
    assert calibration.spread(list('abc'), 3) == calibration.spread(list('abc'), 9) == ['a', 'b', 'c']
    assert calibration.spread(list(range(11)), 3) == [0, 5, 10]
    assert calibration.spread(list('abc'), 1) == ['a']


def test_pictures_of_records_over_all_shards(tmp_path):
    with records.ShardWriter(str(tmp_path), 'pets', 'train', 2) as writer:
        for i in range(5):
            writer.write(i // 3, schema.serialize(Annotation('a', b'picture %d' % i, 9, 8, [], [], [], []), {'cat': 1}))
    assert calibration.from_records(str(tmp_path), 'train', 3) == [b'picture 0', b'picture 2', b'picture 4']


def test_no_records(tmp_path):
    with pytest.raises(UserError, match=r'has no records to calibrate with in files such as \*_val_\*.tfrecord'):
        calibration.from_records(str(tmp_path), 'val', 3)


def test_pictures_of_files(tmp_path):
    paths = [write_image(tmp_path / name) for name in ('a.jpg', 'b.png')]
    first, second = calibration.from_files([str(path) for path in paths], 9)
    assert first == paths[0].read_bytes() and images.to_jpeg(second, 'b').width == 100

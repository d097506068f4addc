import pytest
import tensorflow.compat.v1 as tf
import voc_folder
from voc_folder import box_xml, write_voc

from common.errors import UserError
from datasets import convert, dataset_factory, dataset_info
from datasets.annotation import Annotation
from datasets.convert import SplitSpec


def convert_pets(folder, output_dir, class_names=('cat', 'dog'), num_shards=0, bad_boxes=None):
    """Convert the split train of a VOC folder; return the number of boxes."""
    readers = voc_folder.readers(folder)
    annotations = (read() for read in readers.values())
    spec = SplitSpec('pets', 'train', list(class_names), len(readers), num_shards)
    return convert.convert_split(annotations, spec, str(output_dir), bad_boxes)


def features_of(path):
    """Return the features of each record of a shard."""
    return [tf.train.Example.FromString(record).features.feature
            for record in tf.io.tf_record_iterator(str(path))]


@pytest.fixture
def folder(tmp_path):
    return write_voc(tmp_path / 'voc', {
        'a': box_xml('dog') + box_xml('cat'), 'b': '', 'c': box_xml('cat')})


def test_images_are_distributed_to_shards_in_order(folder, tmp_path):
    assert convert_pets(folder, tmp_path / 'out', num_shards=2) == 3
    dataset = dataset_factory.get_dataset('pets', 'train', str(tmp_path / 'out'))
    assert len(dataset.files) == 2
    names = [features['image/filename'].bytes_list.value[0]
             for path in dataset.files for features in features_of(path)]
    assert names == [b'a.jpg', b'b.jpg', b'c.jpg']
    assert dataset_info.read_info(tmp_path / 'out')['splits']['train']['boxes'] == 3


def test_unknown_class_fails_and_nothing_is_written(folder, tmp_path):
    message = "a.jpg has a box of class 'dog', which is not among the classes: cat"
    with pytest.raises(UserError, match=message):
        convert_pets(folder, tmp_path / 'out', class_names=['cat'])
    assert list((tmp_path / 'out').iterdir()) == []


def test_boxes_of_unknown_classes_can_be_skipped(folder, tmp_path):
    bad_boxes = []
    num_boxes = convert_pets(folder, tmp_path / 'out', class_names=['cat'], bad_boxes=bad_boxes)
    assert num_boxes == 2
    assert [error.problem for error in bad_boxes] == ['unknown']


def test_skipping_all_boxes_fails(folder, tmp_path):
    with pytest.raises(UserError, match='the split train has no boxes left'):
        convert_pets(folder, tmp_path / 'out', class_names=['cow'], bad_boxes=[])
    assert list((tmp_path / 'out').iterdir()) == []


def test_optional_values_are_kept_with_their_boxes(tmp_path):
    annotation = Annotation('a.jpg', b'', 9, 9, [(0, 0, .5, 1), (0, 0, 1, 1)], ['cow', 'cat'],
                            [False] * 2, [False] * 2, [False, True], [5., 7.], '4711')
    bad_boxes = []
    spec = SplitSpec('pets', 'train', ['cat'], num_images=1, source_ids=[17], details={'seed': 3})
    convert.convert_split([annotation], spec, str(tmp_path), bad_boxes)
    info = dataset_info.read_info(tmp_path)
    assert info['source_ids'] == [17] and info['splits']['train']['seed'] == 3
    shard, = info['splits']['train']['shards']
    features, = features_of(tmp_path / shard)
    assert len(bad_boxes) == 1
    assert features['image/object/bbox/iscrowd'].int64_list.value == [1]
    assert features['image/object/bbox/area'].float_list.value == [7]
    assert features['image/source_id'].bytes_list.value == [b'4711']


def test_second_conversion_replaces_the_first(folder, tmp_path):
    convert_pets(folder, tmp_path / 'out', num_shards=2)
    convert_pets(folder, tmp_path / 'out', num_shards=1)
    shards = sorted(path.name for path in (tmp_path / 'out').glob('*.tfrecord'))
    assert shards == ['pets_train_00000-of-00001.tfrecord']
    assert dataset_factory.get_dataset('', 'train', str(tmp_path / 'out')).num_examples == 3


def test_more_shards_than_images_fails(folder, tmp_path):
    message = '--num_shards=4, but the split train has 3 images'
    with pytest.raises(UserError, match=message):
        convert_pets(folder, tmp_path / 'out', num_shards=4)

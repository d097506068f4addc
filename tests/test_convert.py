import pytest
import tensorflow.compat.v1 as tf
from voc_folder import box_xml, write_voc

from common.errors import UserError
from datasets import convert, dataset_factory, dataset_info, voc
from datasets.annotation import Annotation


def convert_pets(folder, output, classes=('cat', 'dog'), **options):
    identifiers = voc.read_split(folder, 'train')
    return convert.convert_split((voc.read_annotation(folder, i) for i in identifiers), len(identifiers), str(output),
                                 'pets', 'train', list(classes), [str(folder)], **options)


def filenames(dataset):
    return [tf.train.Example.FromString(record).features.feature['image/filename'].bytes_list.value[0].decode()
            for path in dataset.files for record in tf.io.tf_record_iterator(path)]


@pytest.fixture
def folder(tmp_path):
    return write_voc(tmp_path / 'voc', {'a': box_xml('dog') + box_xml('cat'), 'b': '', 'c': box_xml('cat')})


def test_all_pictures_in_order_over_the_shards(folder, tmp_path):
    assert convert_pets(folder, tmp_path / 'out', num_shards=2) == 3
    dataset = dataset_factory.get_dataset('pets', 'train', str(tmp_path / 'out'))
    assert filenames(dataset) == ['a.jpg', 'b.jpg', 'c.jpg'] and len(dataset.files) == 2
    assert dataset_info.read_info(tmp_path / 'out')['splits']['train']['boxes'] == 3


def test_an_unknown_class_is_named_and_nothing_is_written(folder, tmp_path):
    with pytest.raises(UserError, match="a.jpg holds a 'dog', which is not among the classes: cat"):
        convert_pets(folder, tmp_path / 'out', classes=['cat'])
    assert list((tmp_path / 'out').iterdir()) == []


def test_unknown_classes_can_be_left_out_but_not_all_boxes(folder, tmp_path):
    told = []
    assert convert_pets(folder, tmp_path / 'out', classes=['cat'], left_out=told) == 2
    assert len(told) == 1 and told[0].kind == 'unknown'
    with pytest.raises(UserError, match='no box of train is left'):
        convert_pets(folder, tmp_path / 'none', classes=['cow'], left_out=told)
    assert list((tmp_path / 'none').iterdir()) == []


def test_crowds_and_areas_follow_their_boxes(tmp_path):
    picture = Annotation('a.jpg', b'', 9, 9, [(0, 0, .5, 1), (0, 0, 1, 1)], ['cow', 'cat'], [False] * 2, [False] * 2,
                         [False, True], [5., 7.], '4711')
    told = []
    convert.convert_split([picture], 1, str(tmp_path), 'pets', 'train', ['cat'], [], left_out=told,
                          source_ids=[17], seed=3)
    found = dataset_info.read_info(tmp_path)
    assert found['source_ids'] == [17] and found['splits']['train']['seed'] == 3
    shard, = found['splits']['train']['shards']
    record = next(tf.io.tf_record_iterator(str(tmp_path / shard)))
    feature = tf.train.Example.FromString(record).features.feature
    assert feature['image/object/bbox/iscrowd'].int64_list.value == [1] and len(told) == 1
    assert feature['image/object/bbox/area'].float_list.value == [7]
    assert feature['image/source_id'].bytes_list.value == [b'4711']


def test_a_new_conversion_takes_the_place_of_the_old(folder, tmp_path):
    convert_pets(folder, tmp_path / 'out', num_shards=2)
    convert_pets(folder, tmp_path / 'out', num_shards=1)
    assert sorted(path.name for path in (tmp_path / 'out').glob('*.tfrecord')) == [
        'pets_train_00000-of-00001.tfrecord']
    assert dataset_factory.get_dataset('', 'train', str(tmp_path / 'out')).num_examples == 3


def test_more_shards_than_pictures(folder, tmp_path):
    with pytest.raises(UserError, match='--num_shards=4 is more than the 3 pictures'):
        convert_pets(folder, tmp_path / 'out', num_shards=4)

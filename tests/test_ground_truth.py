import pytest

from common.errors import UserError
from datasets import dataset_factory, dataset_info, ground_truth, records, schema
from datasets.annotation import Annotation


def make_annotation(boxes, **options):
    flags = [False] * len(boxes)
    return Annotation('a', b'', 9, 8, boxes, ['cat'] * len(boxes), flags, flags, **options)


def test_boxes_are_clipped_and_crowds_and_empty_boxes_removed(tmp_path):
    annotations = [
        make_annotation([(0, 0, 1, 1), (0, 0, .5, 1)], iscrowd=[True, False]), make_annotation([]),
        make_annotation([(.25, -.5, 1.5, 1), (.5, .5, .5, 1)])]
    with records.ShardWriter(str(tmp_path), 'pets', 'train', 2) as writer:
        for index, annotation in enumerate(annotations):
            writer.write(index % 2, schema.serialize(annotation, {'cat': 1}))
    dataset_info.write_split(tmp_path, 'pets', ['cat'], 'train', writer.counts)
    dataset = dataset_factory.get_dataset('', 'train', str(tmp_path))
    assert ground_truth.read_boxes(dataset).tolist() == [[0, 0, .5, 1], [.25, 0, 1, 1]]


def test_boxes_in_pixels_fail(tmp_path):
    with records.ShardWriter(str(tmp_path), 'pets', 'train', 1) as writer:
        writer.write(0, schema.serialize(make_annotation([(1, 2, 30, 40)]), {'cat': 1}))
    dataset_info.write_split(tmp_path, 'pets', ['cat'], 'train', writer.counts)
    dataset = dataset_factory.get_dataset('', 'train', str(tmp_path))
    with pytest.raises(UserError, match="record 0 of .*tfrecord .'a'.: it has a box .* in pixels"):
        ground_truth.read_boxes(dataset)

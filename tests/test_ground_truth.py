from datasets import dataset_factory, dataset_info, records, schema, ground_truth
from datasets.annotation import Annotation


def test_boxes_of_all_records_without_crowds(tmp_path):
    def picture(boxes, **more):
        flags = [False] * len(boxes)
        return Annotation('a', b'', 9, 8, boxes, ['cat'] * len(boxes), flags, flags, **more)
    pictures = [picture([(0, 0, 1, 1), (0, 0, .5, 1)], iscrowd=[True, False]), picture([]),
                picture([(.25, -.5, 1.5, 1), (.5, .5, .5, 1)])]   # the last has no area
    with records.ShardWriter(str(tmp_path), 'pets', 'train', 2) as writer:
        for i, one in enumerate(pictures):
            writer.write(i % 2, schema.serialize(one, {'cat': 1}))
    dataset_info.write_split(tmp_path, 'pets', ['cat'], 'train', writer.counts)
    dataset = dataset_factory.get_dataset('', 'train', str(tmp_path))
    assert ground_truth.read_boxes(dataset).tolist() == [[0, 0, .5, 1], [.25, 0, 1, 1]]

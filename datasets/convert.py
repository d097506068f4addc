"""Conversion of annotated images to shards of records."""
import itertools
import os
from typing import NamedTuple

from tqdm import tqdm

from common.errors import UserError
from datasets import dataset_info, records, schema
from datasets.annotation import PER_BOX_FIELDS, BadBox

EXAMPLES_PER_SHARD = 1000


class SplitSpec(NamedTuple):
    """The description of a split to write.

    Attributes:
        dataset_name: Name of the dataset.
        split: Name of the split.
        class_names: Names of the classes, label 1 first.
        num_images: Number of images.
        num_shards: Number of files; 0: one per `EXAMPLES_PER_SHARD` images.
        source_ids: Ids of the classes in the source, in the order of `class_names`, or None.
        details: Further entries of the split in dataset.json, a dict, or None.
    """
    dataset_name: str
    split: str
    class_names: list
    num_images: int
    num_shards: int = 0
    source_ids: list = None
    details: dict = None


def convert_split(annotations, spec, output_dir, bad_boxes=None, notes=None):
    """Write the shards of a split, and its entries in labels.txt and dataset.json.

    If the split exists, it is replaced when the new shards are complete.

    Args:
        annotations: Iterable of `Annotation`; they are read one by one.
        spec: `SplitSpec`.
        output_dir: Folder of the records.
        bad_boxes: List of the `BadBox` errors of the boxes that have been skipped so far. Boxes of
            unknown classes are skipped too, and their errors are appended. None: raise the error.
        notes: List to which `Annotation.notes` are appended, or None.

    Returns:
        Number of boxes written.

    Raises:
        UserError: If there are more shards than images, or no boxes after some were skipped.
        BadBox: If a class is unknown and `bad_boxes` is None.
    """
    num_shards = spec.num_shards or max(1, round(spec.num_images / EXAMPLES_PER_SHARD))
    if num_shards > spec.num_images:
        raise UserError(f'--num_shards={num_shards}, but the split {spec.split} has '
                        f'{spec.num_images} images. Pass at most that number')
    labels = {name: label for label, name in enumerate(spec.class_names, 1)}
    old_shards = _existing_shards(output_dir, spec.split)
    num_boxes = 0
    with records.ShardWriter(output_dir, spec.dataset_name, spec.split, num_shards) as writer:
        progress = tqdm(annotations, spec.split, spec.num_images, unit=' images', disable=None)
        for index, annotation in enumerate(progress):
            annotation = _remove_unknown_classes(annotation, spec.class_names, bad_boxes)
            shard = index * num_shards // spec.num_images
            writer.write(shard, schema.serialize(annotation, labels))
            num_boxes += len(annotation.names)
            if notes is not None:
                notes += annotation.notes
        if bad_boxes and not num_boxes:
            raise UserError(f'the split {spec.split} has no boxes left: all are bad or of unknown '
                            f'classes. Run with --check to list them')
    dataset_info.write_labels(output_dir, spec.class_names)
    dataset_info.write_split(
        output_dir, spec.dataset_name, spec.class_names, spec.split, writer.counts,
        spec.source_ids, boxes=num_boxes, **(spec.details or {}))
    for shard in old_shards - set(writer.counts):
        os.remove(os.path.join(output_dir, shard))
    return num_boxes


def _existing_shards(output_dir, split):
    """Return the file names of a split's shards in dataset.json, a set."""
    info = dataset_info.read_info(output_dir) or {'splits': {}}
    return set(info['splits'].get(split, {'shards': {}})['shards'])


def _remove_unknown_classes(annotation, class_names, bad_boxes):
    """Remove the boxes of other classes from an `Annotation`; see `convert_split`."""
    is_known = [name in class_names for name in annotation.names]
    for name in set(itertools.compress(annotation.names, [not known for known in is_known])):
        error = BadBox('unknown', f"{annotation.image_path} has a box of class '{name}', which is "
                                  f"not among the classes: {', '.join(class_names)}. Add it to "
                                  f'--labels_file, or correct the annotation')
        if bad_boxes is None:
            raise error
        bad_boxes += [error] * annotation.names.count(name)
    return annotation._replace(**{
        field: list(itertools.compress(getattr(annotation, field), is_known))
        for field in PER_BOX_FIELDS})

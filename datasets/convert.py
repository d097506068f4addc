"""Annotated pictures to shards of records, with the facts beside them."""
import itertools
import os

from tqdm import tqdm

from common.errors import UserError
from datasets import dataset_info, records, schema
from datasets.annotation import OF_BOXES, BadBox

EXAMPLES_PER_SHARD = 1000


def _without_unknown(annotation, class_names, left_out):
    """The `Annotation` without the boxes of other classes; `left_out` gets each, or the first is raised."""
    known = [name in class_names for name in annotation.names]
    for name in {name for name, is_known in zip(annotation.names, known, strict=True) if not is_known}:
        error = BadBox('unknown', f"{annotation.image_path} holds a '{name}', which is not among the classes: "
                                  f"{', '.join(class_names)}; add it to --labels_file, or correct the annotation")
        if left_out is None:
            raise error
        left_out += [error] * annotation.names.count(name)
    return annotation._replace(**{field: list(itertools.compress(getattr(annotation, field), known))
                                  for field in OF_BOXES})


def convert_split(annotations, num_examples, output_dir, name, split, class_names, source, num_shards=0,
                  left_out=None, source_ids=None, **more):
    """Writes a split; returns the number of boxes written.

    annotations: iterable of `Annotation`, read one by one. num_shards: 0 puts about a thousand pictures into
    each. left_out: list of the `BadBox`es that are left out, to which those of other classes are added; without it they
    are an error. source_ids: as of `dataset_info.write_split`; more: further facts of the split. The split's old shards, if
    any, go when the new ones stand.
    """
    num_shards = num_shards or max(1, round(num_examples / EXAMPLES_PER_SHARD))
    if num_shards > num_examples:
        raise UserError(f'--num_shards={num_shards} is more than the {num_examples} pictures of {split}')
    labels = {class_name: label for label, class_name in enumerate(class_names, 1)}
    old = (dataset_info.read_info(output_dir) or {'splits': {}})['splits'].get(split, {'shards': {}})['shards']
    num_boxes = 0
    with records.ShardWriter(output_dir, name, split, num_shards) as writer:
        for index, annotation in enumerate(tqdm(annotations, split, num_examples, unit=' pictures')):
            annotation = _without_unknown(annotation, class_names, left_out)
            writer.write(index * num_shards // num_examples, schema.serialize(annotation, labels))
            num_boxes += len(annotation.names)
        if left_out and not num_boxes:
            raise UserError(f'no box of {split} is left: all are bad or of other classes; --check says why')
    dataset_info.write_labels(output_dir, class_names)
    dataset_info.write_split(output_dir, name, class_names, split, writer.counts, source_ids, boxes=num_boxes,
                      source=source, **more)
    for shard in set(old) - set(writer.counts):
        os.remove(os.path.join(output_dir, shard))
    return num_boxes

"""Annotated pictures to shards of records, with the facts beside them."""
import os

from tqdm import tqdm

from datasets import facts, records, schema
from deployment.errors import UserError

EXAMPLES_PER_SHARD = 1000


def convert_split(annotations, num_examples, output_dir, name, split, class_names, source, num_shards=0):
    """Writes a split; returns the number of boxes written.

    annotations: iterable of `Annotation`, read one by one. num_shards: 0 puts about a thousand pictures into
    each. The split's old shards, if any, go when the new ones stand.
    """
    num_shards = num_shards or max(1, round(num_examples / EXAMPLES_PER_SHARD))
    if num_shards > num_examples:
        raise UserError(f'--num_shards={num_shards} is more than the {num_examples} pictures of {split}')
    labels = {class_name: label for label, class_name in enumerate(class_names, 1)}
    old = (facts.read_facts(output_dir) or {'splits': {}})['splits'].get(split, {'shards': {}})['shards']
    num_boxes = 0
    with records.ShardWriter(output_dir, name, split, num_shards) as writer:
        for index, annotation in enumerate(tqdm(annotations, split, num_examples, unit=' pictures')):
            unknown = next((n for n in annotation.names if n not in labels), None)
            if unknown is not None:
                raise UserError(f"{annotation.image_path} holds a '{unknown}', which is not among the classes: "
                                f"{', '.join(class_names)}; add it to --labels_file, or correct the annotation")
            writer.write(index * num_shards // num_examples, schema.serialize(annotation, labels))
            num_boxes += len(annotation.names)
    facts.write_labels(output_dir, class_names)
    facts.write_split(output_dir, name, class_names, split, writer.counts, boxes=num_boxes, source=source)
    for shard in set(old) - set(writer.counts):
        os.remove(os.path.join(output_dir, shard))
    return num_boxes

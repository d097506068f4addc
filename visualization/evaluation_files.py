"""What an evaluation leaves for people: curves, confusion, the worst pictures."""
import csv
import io
import os

from common.files import write_atomically
from datasets import records, schema
from visualization import curves, judged, worst_pictures


def write(folder, title, evaluation, dataset):
    """Writes `precision_recall.png`, `confusion.csv` and `worst_pictures.html`.

    title: what was evaluated, for people. evaluation: `metrics.evaluation.Evaluation` of all pictures of a `Dataset`.
    """
    areas = evaluation.voc.average_precisions('VOC12')
    curves.draw(os.path.join(folder, 'precision_recall.png'), f'{title}; AP as VOC12 counts', [
        curves.Curve(name, *evaluation.voc.curve(label), areas[label])
        for label, name in enumerate(dataset.class_names, 1)], evaluation.min_score)
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows(evaluation.confusion.table(dataset.class_names))
    write_atomically(os.path.join(folder, 'confusion.csv'), text.getvalue())
    worst_pictures.write(
        os.path.join(folder, 'worst_pictures.html'), f'Worst pictures: {title}',
        f'The pictures with the most mistakes, at a score of {evaluation.min_score:g} and more.',
        [(_name(judgement, index), encoded(dataset, index), judgement)
         for index, judgement in evaluation.confusion.worst()], dataset.class_names)


def kept_pictures(evaluation, dataset):
    """(name, PIL image) of each picture that the evaluation kept, drawn with its detections and ground truths."""
    for index, judgement in evaluation.kept.items():
        yield _name(judgement, index), judged.draw(encoded(dataset, index), judgement, dataset.class_names)


def encoded(dataset, index):
    """The bytes of a picture of a `Dataset`, as its record holds them."""
    for path, offsets in zip(dataset.files, dataset.offsets, strict=True):
        if index < len(offsets):
            return schema.parse_raw(records.read_record(path, offsets[index])).encoded
        index -= len(offsets)
    raise IndexError(f'there are no {index} more pictures')


def _name(judgement, index):
    return judgement.picture.filename or f'picture {index}'

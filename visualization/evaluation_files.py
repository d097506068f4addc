"""Files of an evaluation for the user: curves, confusion matrix and the worst images."""
import csv
import io
import os

from common.files import write_atomically
from datasets import schema
from visualization import curves, error_images, worst_images


def write_files(folder, title, evaluation, dataset):
    """Write `precision_recall.png`, `confusion.csv` and `worst_pictures.html`.

    Args:
        folder: an existing folder.
        title: heading of the plots and the page: dataset, split, net and step.
        evaluation: `metrics.evaluation.Evaluation` of all images of the dataset.
        dataset: the evaluated `Dataset`.
    """
    class_aps = evaluation.voc.average_precisions()['VOC12']
    curves.draw_pages(
        os.path.join(folder, 'precision_recall.png'), f'{title}; AP of VOC12',
        [curves.Curve(name, *evaluation.voc.precision_recall_curve(label), class_aps[label])
         for label, name in enumerate(dataset.class_names, 1)], evaluation.min_score)
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows(
        evaluation.confusion.to_rows(dataset.class_names))
    write_atomically(os.path.join(folder, 'confusion.csv'), text.getvalue())
    worst_images.write_page(
        os.path.join(folder, 'worst_pictures.html'), f'Worst images: {title}',
        f'Images with the most errors, at a score of at least {evaluation.min_score:g}.',
        [(_image_name(errors, index), read_encoded_image(dataset, index), errors)
         for index, errors in evaluation.confusion.worst_images()], dataset.class_names)


def draw_kept_images(evaluation, dataset):
    """Yield (name, PIL image) of each image in `evaluation.kept`, with its boxes drawn."""
    for index, errors in evaluation.kept.items():
        encoded = read_encoded_image(dataset, index)
        yield (_image_name(errors, index),
               error_images.draw(encoded, errors, dataset.class_names))


def read_encoded_image(dataset, index):
    """Return the bytes of the image file in record `index` of a `Dataset`, counted over all files.

    Raises:
        IndexError: If the dataset has fewer records.
    """
    position = index
    for path, offsets in zip(dataset.files, dataset.offsets, strict=True):
        if position < len(offsets):
            return schema.read_raw(path, offsets[position]).encoded
        position -= len(offsets)
    raise IndexError(f'{dataset.name} {dataset.split} has no record {index}')


def _image_name(errors, index):
    return errors.image.filename or f'image {index}'

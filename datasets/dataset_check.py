"""Check of a whole dataset before training, for `tf_convert_data.py --check`.

All problems of annotated images or records are added to a `CheckReport`, with the names of the
files.
"""
import numpy as np
from tqdm import tqdm

from datasets import broken_records, images, parallel_reading, schema
from datasets.annotation import BadBox
from datasets.check_report import ExaminedImage

_TOLERANCE = 1e-3   # relative to the image: converters round coordinates


def check_images(report, readers, num_workers):
    """Read annotated images and add them to a `CheckReport`.

    Args:
        report: `CheckReport`.
        readers: {split: list of image readers}.
        num_workers: Maximum number of processes that read.
    """
    splits = [split for split, split_readers in readers.items() for _ in split_readers]
    results = parallel_reading.read_images(
        [read for split_readers in readers.values() for read in split_readers], num_workers)
    progress = tqdm(results, 'check', len(splits), unit=' images', disable=None)
    for split, result in zip(splits, progress, strict=True):
        add_read_result(report, split, result)


def add_read_result(report, split, result):
    """Add a `parallel_reading.ReadResult` to a `CheckReport`."""
    for error in result.bad_boxes:
        report.add_finding(error.problem, split, str(error))
    if result.error:
        is_bad_image = isinstance(result.error, images.BadImage)
        problem = 'undecodable' if is_bad_image else getattr(result.error, 'problem', 'unreadable')
        report.add_finding(problem, split, str(result.error))
        return
    annotation = result.annotation
    for problem, text in annotation.notes:
        report.add_finding(problem, split, text)
    image = ExaminedImage(annotation.image_path, annotation.encoded, _to_array(annotation.boxes),
                          annotation.names, annotation.difficult)
    report.add_image(split, _without_crowds(image, annotation.iscrowd))


def check_datasets(report, datasets):
    """Read the records of a list of `Dataset` and add them to a `CheckReport`."""
    locations = [location for dataset in datasets
                 for location in _intact_records(report, dataset)]
    for dataset, name, path, offset in tqdm(
            locations, 'check', unit=' images', disable=None):
        _add_record(report, dataset, name, schema.read_raw(path, offset))


def _intact_records(report, dataset):
    """Add the broken records of a `Dataset` to a report.

    Returns:
        List of (dataset, name of the record, path, offset) of the other records.
    """
    broken = {(record.path, record.index): record
              for record in broken_records.find_broken_records(dataset, check_values=False)}
    for record in broken.values():
        report.add_finding('undecodable', dataset.split, str(record))
    return [(dataset, f'record {index} of {path}', path, offset)
            for path, offsets in zip(dataset.files, dataset.offsets, strict=True)
            for index, offset in enumerate(offsets) if (path, index) not in broken]


def _add_record(report, dataset, name, record):
    """Add a `schema.RawRecord` to a report."""
    labels, coordinates = record.labels, record.coordinates
    name += f" ('{record.filename}')" if record.filename else ''
    if any(len(values) != len(labels) for values in coordinates):
        counts = ', '.join(str(len(values)) for values in coordinates)
        report.add_finding('unreadable', dataset.split, f'{name} has {len(labels)} labels, but '
                                                        f'{counts} ymin, xmin, ymax, xmax')
        return
    for key in schema.OPTIONAL:
        if len(getattr(record, key)) > len(labels):
            report.add_finding('unreadable', dataset.split, f'{name} has {len(labels)} labels, but '
                                                            f'{len(getattr(record, key))} {key}')
    difficult, iscrowd = ((values + [0] * len(labels))[:len(labels)]
                          for values in (record.difficult, record.iscrowd))
    valid = []
    for label, is_difficult, is_crowd, *box in zip(
            labels, difficult, iscrowd, *coordinates, strict=True):
        class_name = _class_name(label, dataset)
        try:
            box = _clip_box(box, f"{name}: the box of a '{class_name}'")
        except BadBox as error:
            report.add_finding(error.problem, dataset.split, str(error))
        else:
            valid.append((box, class_name, bool(is_difficult), is_crowd))
    boxes, names, difficult, iscrowd = map(list, zip(*valid, strict=True)) if valid else (
        [], [], [], [])
    image = ExaminedImage(name, record.encoded, _to_array(boxes), names, difficult)
    report.add_image(dataset.split, _without_crowds(image, iscrowd))


def _class_name(label, dataset):
    """Return the name of a class, or text for a label that the dataset does not have."""
    if 0 < label < dataset.num_classes:
        return dataset.class_names[label - 1]
    return str(label) if label else '0 (background: the labels seem to be 0-based)'


def _to_array(boxes):
    return np.array(boxes, np.float32).reshape(-1, 4)


def _without_crowds(image, iscrowd):
    """Return an `ExaminedImage` without crowd boxes; iscrowd: one value per box, or empty."""
    return image.select(np.logical_not(iscrowd)) if any(iscrowd) else image


def _clip_box(box, description):
    """Clip a relative box (ymin, xmin, ymax, xmax) to the image.

    Raises:
        BadBox: If it is empty or inverted, or exceeds the image by more than rounding.
    """
    description = f'{description} {schema.format_box(box)}'
    if not (box[0] < box[2] and box[1] < box[3]):   # true for NaN too
        raise BadBox('inverted', f'{description} is empty or inverted')
    if min(box) < -_TOLERANCE or max(box) > 1 + _TOLERANCE:
        raise BadBox('outside', f'{description} lies outside its image; coordinates must be '
                                f'relative, from 0 to 1')
    return np.clip(box, 0, 1)

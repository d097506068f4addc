"""Files of detections in the formats of the evaluation servers of Pascal VOC and COCO."""
import json
import os

import numpy as np

from common.errors import UserError
from common.files import file_name, write_atomically
from common.text import counted

FORMATS = ('voc', 'coco')


def create(name, dataset, model_name):
    """Return the submission with a name of `FORMATS`, to which images can be added.

    dataset: the evaluated `Dataset`. model_name: becomes part of the name of COCO's file.
    """
    return VocSubmission(dataset) if name == 'voc' else CocoSubmission(dataset, model_name)


class VocSubmission:
    """Results for the VOC server: one file `comp4_det_<split>_<class>.txt` per class.

    Each line is `<image> <score> <xmin> <ymin> <xmax> <ymax>`: pixels counted from 1, with both
    ends inside the box.
    """

    def __init__(self, dataset):
        """dataset: the evaluated `Dataset`."""
        self._split, self._class_names = dataset.split, dataset.class_names
        self._lines = {name: [] for name in dataset.class_names}

    def add(self, image):
        """Add the detections of an `EvaluatedImage`.

        Raises:
            UserError: If the record of the image has no file name.
        """
        name = os.path.splitext(image.filename)[0]
        if not name:
            raise UserError('--write_detections=voc needs the file names of the images, but these '
                            'records have none. Convert the dataset again')
        scale = (image.height, image.width) * 2
        corners = np.asarray(image.detected_boxes, float) * scale + (1, 1, 0, 0)
        for label, score, (ymin, xmin, ymax, xmax) in zip(
                image.detected_labels, image.scores.tolist(), corners.tolist(), strict=True):
            self._lines[self._class_names[label - 1]].append(
                f'{name} {score:.6f} {xmin:.6f} {ymin:.6f} {xmax:.6f} {ymax:.6f}\n')

    def write(self, folder):
        """Write the files to a folder, and return a line for the log."""
        os.makedirs(folder, exist_ok=True)
        for name, lines in self._lines.items():
            # `file_name`, because users may name a class cat/dog.
            safe_name = file_name(f'comp4_det_{self._split}_{name}', '.txt')
            write_atomically(os.path.join(folder, safe_name), ''.join(lines))
        return (f'detections for the VOC server: {counted(len(self._lines), "file")} '
                f'{folder}/comp4_det_{self._split}_<class>.txt')


class CocoSubmission:
    """Results for the COCO server: `detections_<split>_<net>_results.json`.

    Images and categories have the ids of the original COCO JSON.
    """

    def __init__(self, dataset, model_name):
        """Create a submission for a `Dataset`.

        Raises:
            UserError: If the dataset has no COCO category ids.
        """
        if not dataset.source_ids:
            raise UserError(f'--write_detections=coco needs COCO category ids, but {dataset.name} '
                            'has none: it was not converted from COCO JSON. Leave out the flag, or '
                            'pass --write_detections=voc')
        self._file_name = f'detections_{dataset.split}_{model_name}_results.json'
        self._category_ids = dataset.source_ids
        self._detections = []

    def add(self, image):
        """Add the detections of an `EvaluatedImage`.

        Raises:
            UserError: If the id of the image is not an integer.
        """
        if not image.source_id.isdecimal():
            raise UserError('--write_detections=coco needs integer image ids, but '
                            f"{image.filename} has the id '{image.source_id}'. Convert the dataset "
                            'from COCO JSON with integer ids')
        boxes = image.to_coco_boxes(image.detected_boxes).round(2).tolist()
        scores = image.scores.astype(float).round(6).tolist()
        self._detections += [
            {'image_id': int(image.source_id), 'category_id': self._category_ids[label - 1],
             'bbox': box, 'score': score}
            for label, box, score in zip(image.detected_labels, boxes, scores, strict=True)]

    def write(self, folder):
        """Write the file to a folder, and return a line for the log."""
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, self._file_name)
        write_atomically(path, json.dumps(self._detections))
        return f'detections for the COCO server: {path}'

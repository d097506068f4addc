"""Detections as the evaluation servers of Pascal VOC and of COCO want them."""
import json
import os

import numpy as np

from common.errors import UserError
from common.files import write_atomically


class VocFiles:
    """`comp4_det_<split>_<class>.txt`, a file for each class: a line `picture score xmin ymin xmax ymax` for each box,
    in pixels that count from 1, both ends included."""

    def __init__(self, dataset, model_name):
        """dataset: a `Dataset`."""
        del model_name
        self._split, self._class_names = dataset.split, dataset.class_names
        self._lines = {name: [] for name in dataset.class_names}

    def add(self, picture):
        """One `Picture`; UserError where its record does not say what it is called."""
        name = os.path.splitext(picture.filename)[0]
        if not name:
            raise UserError('--write_detections=voc wants the names of the pictures, which these records do not hold; '
                            'convert the data anew')
        corners = np.asarray(picture.detected, float) * ((picture.height, picture.width) * 2) + (1, 1, 0, 0)
        for label, score, (ymin, xmin, ymax, xmax) in zip(picture.detected_labels, picture.scores.tolist(),
                                                          corners.tolist(), strict=True):
            self._lines[self._class_names[label - 1]].append(
                f'{name} {score:.6f} {xmin:.6f} {ymin:.6f} {xmax:.6f} {ymax:.6f}\n')

    def write(self, folder):
        """Writes the files; returns what to say of them."""
        os.makedirs(folder, exist_ok=True)
        for name, lines in self._lines.items():
            safe = name.replace(os.sep, '_')   # a class of one's own
            write_atomically(os.path.join(folder, f'comp4_det_{self._split}_{safe}.txt'), ''.join(lines))
        return f'for the VOC server: {len(self._lines)} files {folder}/comp4_det_{self._split}_<class>.txt'


class CocoFile:
    """`detections_<split>_<net>_results.json`, with the ids that COCO has for pictures and categories."""

    def __init__(self, dataset, model_name):
        """dataset: a `Dataset`; UserError where it does not know COCO's ids."""
        if not dataset.source_ids:
            raise UserError(f'--write_detections=coco wants the ids of categories, which {dataset.name} does not have: '
                            f'it was not converted from COCO JSON; leave it out, or write voc')
        self._name = f'detections_{dataset.split}_{model_name}_results.json'
        self._ids = dataset.source_ids
        self._found = []

    def add(self, picture):
        """One `Picture`; UserError where its source called it by no whole number."""
        if not picture.source_id.isdigit():
            raise UserError(f"--write_detections=coco wants whole numbers as ids of pictures, but {picture.filename} "
                            f"has '{picture.source_id}'; convert it from COCO JSON with such ids")
        boxes = picture.corner_and_sides(picture.detected).round(2)
        self._found += [
            {'image_id': int(picture.source_id), 'category_id': self._ids[label - 1], 'bbox': box, 'score': score}
            for label, box, score in zip(picture.detected_labels, boxes.tolist(),
                                         picture.scores.astype(float).round(6).tolist(), strict=True)]

    def write(self, folder):
        """Writes the file; returns what to say of it."""
        os.makedirs(folder, exist_ok=True)
        write_atomically(os.path.join(folder, self._name), json.dumps(self._found))
        return f'for the COCO server: {folder}/{self._name}'


SERVERS = {'voc': VocFiles, 'coco': CocoFile}

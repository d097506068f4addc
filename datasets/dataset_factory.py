"""Converted datasets, by name, split and folder.

The code does not depend on any particular dataset, except for the file names that public TF1 SSD
converters use.
"""
import glob
import hashlib
import os
import re
from typing import NamedTuple

from common.errors import UserError
from datasets import dataset_info, records, voc

EVALUATION_SPLITS = ('test', 'val', 'valid', 'validation')   # in the order of preference
# Dataset names as passed by public scripts -> file name prefixes as written by public converters.
PUBLIC_PREFIXES = {'pascalvoc_2007': 'voc_2007', 'pascalvoc_2012': 'voc_2012'}


class Dataset(NamedTuple):
    """One split of a converted dataset, with the byte offsets of its records.

    Attributes:
        name: Name of the dataset.
        split: Name of the split.
        files: Sorted list of the paths of the shards.
        offsets: List with one array per file: [n] int64, byte offsets of its records.
        class_names: Names of the classes, label 1 first.
        fingerprint: Hash of the content of all records, in their order, and the class names.
        source_ids: Ids of the classes in the source (such as COCO's category ids), in the order of
            `class_names`, or None.
    """
    name: str
    split: str
    files: list
    offsets: list
    class_names: list
    fingerprint: str
    source_ids: list = None

    @property
    def num_examples(self):
        """Number of records."""
        return sum(len(offsets) for offsets in self.offsets)

    @property
    def num_classes(self):
        """Number of classes C, with the background."""
        return len(self.class_names) + 1


def get_dataset(dataset_name, split, folder, num_classes=0):
    """Return the `Dataset` of a split.

    Args:
        dataset_name: Name of the dataset. May be empty if the folder has a dataset.json.
        split: Name of the split.
        folder: Folder of the records.
        num_classes: Expected number of classes with the background; 0: not checked. Required for
            records without class names.

    Raises:
        UserError: If files are missing, or contradict each other or the arguments.
    """
    if not folder:
        raise UserError('--dataset_dir is missing. Pass the folder that tf_convert_data.py wrote')
    if not os.path.isdir(folder):
        raise UserError(f'the dataset_dir {folder} does not exist. Correct the path, or '
                        f'create it with tf_convert_data.py')
    info = dataset_info.read_info(folder)
    if info:
        name, files = info['name'], _files_of_info(info, dataset_name, split, folder)
    else:
        name, files = dataset_name, _files_of_pattern(dataset_name, split, folder)
    indexes = [records.index_records(path) for path in files]
    offsets, checksums = ([index[part] for index in indexes] for part in (0, 1))
    if info:
        _check_counts(info['splits'][split]['shards'], files, offsets)
    class_names = _class_names(info, dataset_name, folder, num_classes)
    dataset = Dataset(name, split, files, offsets, class_names,
                      _fingerprint(checksums, class_names), (info or {}).get('source_ids'))
    if not dataset.num_examples:
        raise UserError(f"the split '{split}' in {folder} has no records")
    if num_classes and num_classes != dataset.num_classes:
        raise UserError(f'--num_classes={num_classes}, but {folder} has {dataset.num_classes - 1} '
                        f'classes, {dataset.num_classes} with the background. Pass '
                        f'{dataset.num_classes}, or leave out the flag')
    return dataset


def split_names(dataset_name, folder):
    """Return the splits in a folder of records, from dataset.json or the names of the files.

    For a folder without records, return ['train'], for which `get_dataset` raises an error.
    """
    info = dataset_info.read_info(folder)
    if info:
        return list(info['splits'])
    prefix = re.escape(PUBLIC_PREFIXES.get(dataset_name, dataset_name))
    pattern = re.compile(prefix + r'_(.+?)_\d+(-of-\d+)?\.tfrecord')
    matches = filter(None, map(pattern.fullmatch, os.listdir(folder)))
    return sorted({match.group(1) for match in matches}) or ['train']


def evaluation_split(dataset_name, folder):
    """Return the split of a folder of records to evaluate on: test, or else val or a synonym.

    Without such a split, return 'test', for which `get_dataset` raises an error.
    """
    names = split_names(dataset_name, folder) if os.path.isdir(folder) else ()
    return next((name for name in EVALUATION_SPLITS if name in names), 'test')


def _files_of_info(info, dataset_name, split, folder):
    """Return the paths of the shards of a split that dataset.json lists."""
    if dataset_name and dataset_name != info['name']:
        raise UserError(f"{folder} contains the dataset '{info['name']}', not '{dataset_name}'. "
                        f'Correct or leave out --dataset_name')
    if split not in info['splits']:
        raise UserError(f"{folder} has no split '{split}'; its splits are: "
                        f"{', '.join(info['splits'])}")
    files = [os.path.join(folder, shard) for shard in sorted(info['splits'][split]['shards'])]
    missing = [path for path in files if not os.path.exists(path)]
    if missing:
        raise UserError(f'{missing[0]} is missing, but {dataset_info.INFO_FILE} lists it. Convert '
                        f'the data again')
    return files


def _files_of_pattern(dataset_name, split, folder):
    """Return the paths of the shards of a split as public converters name them."""
    if not dataset_name:
        raise UserError(f'{folder} has no {dataset_info.INFO_FILE}. Pass --dataset_name, or '
                        f'convert the data with tf_convert_data.py')
    prefix = PUBLIC_PREFIXES.get(dataset_name, dataset_name)
    pattern = os.path.join(folder, f'{prefix}_{split}_*.tfrecord')
    all_records = glob.glob(os.path.join(glob.escape(folder), '*.tfrecord'))
    # Excludes the files of a split such as 'train_small', which the pattern of 'train' matches.
    exact = re.compile(re.escape(f'{prefix}_{split}_') + r'\d+(-of-\d+)?\.tfrecord$')
    files = sorted(path for path in all_records if exact.match(os.path.basename(path)))
    if not files:
        names = sorted(map(os.path.basename, all_records))
        raise UserError(f'no file matches {pattern}; the folder contains '
                        f"{', '.join(names[:3]) or 'no .tfrecord files'}")
    matches = filter(None, (re.search(r'-of-(\d+)\.', path) for path in files))
    totals = {int(match.group(1)) for match in matches}
    if totals and totals != {len(files)}:
        raise UserError(f'{pattern} matches {len(files)} files, which are not one complete set of '
                        f'shards. Convert the data again')
    return files


def _check_counts(shards, files, offsets):
    """Compare the numbers of records with those in dataset.json: {file name: count}."""
    for path, file_offsets in zip(files, offsets, strict=True):
        expected = shards[os.path.basename(path)]
        if len(file_offsets) != expected:
            raise UserError(f'{path} has {len(file_offsets)} records, but {expected} according to '
                            f'{dataset_info.INFO_FILE}. Convert the data again')


def _class_names(info, dataset_name, folder, num_classes):
    """Return the class names, label 1 first; generated ones if only their number is known."""
    labels_path = os.path.join(folder, dataset_info.LABELS_FILE)
    if info:
        return info['classes']
    if os.path.exists(labels_path):
        return dataset_info.read_labels(labels_path)
    if dataset_name.startswith(('pascalvoc', 'voc')):
        return list(voc.CLASSES)
    if num_classes < 2:
        raise UserError(f'{folder} has no {dataset_info.LABELS_FILE}. Pass --num_classes (with the '
                        f'background), or add a {dataset_info.LABELS_FILE} with one line id:name '
                        f'per class')
    return [f'class_{label}' for label in range(1, num_classes)]


def _fingerprint(checksums, class_names):
    content = b''.join(part.tobytes() for part in checksums) + '\n'.join(class_names).encode()
    return hashlib.sha256(content).hexdigest()[:16]

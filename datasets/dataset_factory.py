"""A converted data set by name, split and folder. Nothing about any data set is written here but the names of
files that public TF1 SSD converters make."""
import glob
import hashlib
import os
import re
from typing import NamedTuple

from common.errors import UserError
from datasets import dataset_info
from datasets import records, voc

# Names that public scripts pass -> prefix of the files that public converters write.
PUBLIC_PREFIXES = {'pascalvoc_2007': 'voc_2007', 'pascalvoc_2012': 'voc_2012'}


class Dataset(NamedTuple):
    """One split, ready to be read."""
    name: str
    split: str
    files: list          # paths, sorted
    offsets: list        # per file, [n] int64 byte offsets of its records
    class_names: list    # label 1 first
    fingerprint: str     # of the content of all records, in their order, and the classes
    source_ids: list = None   # what the source calls each class (category ids of COCO), in their order; or None

    @property
    def num_examples(self):
        """Pictures in the split."""
        return sum(len(offsets) for offsets in self.offsets)

    @property
    def num_classes(self):
        """C: classes, background included."""
        return len(self.class_names) + 1


def get_dataset(dataset_name, split, folder, num_classes=0):
    """The `Dataset` in a folder; UserError where something is missing or contradicts itself.

    dataset_name: may be empty where the folder holds a dataset.json. num_classes: 0, or what the caller
    believes C to be.
    """
    if not folder:
        raise UserError('no --dataset_dir given: pass the folder that tf_convert_data.py wrote')
    if not os.path.isdir(folder):
        raise UserError(f'the dataset_dir {folder} does not exist; make it with tf_convert_data.py')
    facts = dataset_info.read_info(folder)
    if facts:
        name, files = _described(facts, dataset_name, split, folder)
    else:
        name, files = dataset_name, _undescribed(dataset_name, split, folder)
    offsets, checksums = zip(*(records.index_records(path) for path in files), strict=True)
    _check_counts(facts, split, files, offsets)
    classes = _class_names(facts, dataset_name, folder, num_classes)
    dataset = Dataset(name, split, files, list(offsets), classes, _fingerprint(checksums, classes),
                      (facts or {}).get('source_ids'))
    if not dataset.num_examples:
        raise UserError(f"the split '{split}' in {folder} holds no records")
    if num_classes and num_classes != dataset.num_classes:
        raise UserError(f'--num_classes={num_classes}, but {folder} has {dataset.num_classes - 1} classes, '
                        f'{dataset.num_classes} with the background; pass that, or leave the flag out')
    return dataset


def split_names(dataset_name, folder):
    """Names of the splits in a folder, by its dataset.json or by the files of public converters."""
    facts = dataset_info.read_info(folder)
    if facts:
        return list(facts['splits'])
    prefix = re.escape(PUBLIC_PREFIXES.get(dataset_name, dataset_name))
    found = (re.fullmatch(prefix + r'_(.+?)_\d+(-of-\d+)?\.tfrecord', name) for name in os.listdir(folder))
    return sorted({match.group(1) for match in found if match}) or ['train']   # which then says what is missing


def _fingerprint(checksums, class_names):
    content = b''.join(part.tobytes() for part in checksums) + '\n'.join(class_names).encode()
    return hashlib.sha256(content).hexdigest()[:16]


def _described(facts, dataset_name, split, folder):
    """Name and files of a split by dataset.json."""
    if dataset_name and dataset_name != facts['name']:
        raise UserError(f"{folder} holds the data set '{facts['name']}', not '{dataset_name}'; correct "
                        f'--dataset_name or leave it out')
    if split not in facts['splits']:
        raise UserError(f"{folder} has no split '{split}'; its splits are: {', '.join(facts['splits'])}")
    files = [os.path.join(folder, shard) for shard in sorted(facts['splits'][split]['shards'])]
    missing = [path for path in files if not os.path.exists(path)]
    if missing:
        raise UserError(f'{missing[0]} is missing, but {dataset_info.INFO_FILE} beside it names it; '
                        f'convert the data anew')
    return facts['name'], files


def _undescribed(dataset_name, split, folder):
    """Files of a split by the pattern of public converters."""
    if not dataset_name:
        raise UserError(f'{folder} holds no {dataset_info.INFO_FILE}: name the data set with --dataset_name, or convert '
                        f'it with tf_convert_data.py')
    prefix = PUBLIC_PREFIXES.get(dataset_name, dataset_name)
    pattern = os.path.join(folder, f'{prefix}_{split}_*.tfrecord')
    # A split 'train' is not the 'train_small' whose files begin alike.
    whole = re.compile(re.escape(f'{prefix}_{split}_') + r'\d+(-of-\d+)?\.tfrecord$')
    files = sorted(path for path in glob.glob(pattern) if whole.match(os.path.basename(path)))
    if not files:
        there = sorted(os.path.basename(path) for path in glob.glob(os.path.join(folder, '*.tfrecord')))
        raise UserError(f"no file matches {pattern}; "
                        f"{'the folder holds ' + ', '.join(there[:3]) if there else 'the folder holds no .tfrecord'}")
    counts = {match.group(1) for match in (re.search(r'-of-(\d+)\.', path) for path in files) if match}
    if counts and (len(counts) > 1 or int(counts.pop()) != len(files)):
        raise UserError(f'{pattern} matches {len(files)} files, which are not one whole set; convert the data anew')
    return files


def _check_counts(facts, split, files, offsets):
    for path, found in zip(files, offsets, strict=True) if facts else ():
        expected = facts['splits'][split]['shards'][os.path.basename(path)]
        if len(found) != expected:
            raise UserError(f'{path} holds {len(found)} records, but {dataset_info.INFO_FILE} says {expected}; '
                            f'convert the data anew')


def _class_names(facts, dataset_name, folder, num_classes):
    labels = os.path.join(folder, dataset_info.LABELS_FILE)
    if facts:
        return facts['classes']
    if os.path.exists(labels):
        return dataset_info.read_labels(labels)
    if dataset_name.startswith(('pascalvoc', 'voc')):
        return list(voc.CLASSES)
    if num_classes < 2:
        raise UserError(f'{folder} has no {dataset_info.LABELS_FILE}: pass --num_classes (background included), '
                        f'or put a {dataset_info.LABELS_FILE} there with a line id:name for each class')
    return [f'class_{label}' for label in range(1, num_classes)]

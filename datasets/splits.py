"""Which pictures are for training and which for evaluation: what names of files say, and shares where nothing does."""
import glob
import hashlib
import math
import os
import re

from common.errors import UserError

_ABOUT = re.compile(r'^(instances|image_info|annotations|labels)[_-]|[_-](annotations|labels|boxes)$')
_SPLIT = re.compile(r'(train|trainval|val|valid|validation|test|dev)\d*([_-].*)?')


def is_split(name):
    """Whether a folder of this name is one of a split: train, val2017, test_small and the like."""
    return bool(_SPLIT.fullmatch(name))


def by_folder(path, name):
    """The files of this name in the folders of a folder, one for each split: {split: path}."""
    return {os.path.basename(os.path.dirname(found)): found
            for found in glob.glob(os.path.join(glob.escape(path), '*', name))}


def by_name(paths):
    """Files, one for each split -> {split: path}: `instances_train2017.json` is the split train2017.

    The only file may have a name that is none of a split, such as `annotations.json`: then it holds pictures that
    nobody has divided, and its split is ''.
    """
    stems = {os.path.splitext(os.path.basename(path))[0].removesuffix('.coco'): path for path in sorted(paths)}
    found = {_ABOUT.sub('', stem): path for stem, path in stems.items()}
    if len(found) == 1 and not is_split(next(iter(found))):
        return {'': paths[0]}
    return found if len(found) == len(stems) else stems


def parse_ratio(text):
    """'train=0.8,val=0.2' -> {'train': .8, 'val': .2}; UserError unless the shares are positive and sum to 1."""
    shares = {}
    for part in text.split(','):
        name, _, share = part.partition('=')
        name = name.strip()
        try:
            shares[name] = float(share) if re.fullmatch(r'[\w.-]+', name) and name not in shares else math.nan
        except ValueError:
            shares[name] = math.nan
    if not (all(share > 0 for share in shares.values()) and math.isclose(sum(shares.values()), 1, abs_tol=1e-6)):
        raise UserError(f"--split_ratio={text} are no shares that sum to 1; write it like train=0.8,val=0.2")
    return shares


def divide(identifiers, shares, seed):
    """Every identifier in exactly one split: {split: identifiers, sorted}.

    The order in which they are dealt out is that of a digest of each with the seed, so it is the same on every machine,
    and a few more pictures later move few of the others. UserError where a split would be empty.
    """
    def digest(identifier):
        return hashlib.sha256(f'{seed}/{identifier}'.encode()).digest()
    dealt = sorted(identifiers, key=digest)
    found, total = {}, 0.
    for name, share in shares.items():
        first, total = round(total * len(dealt)), total + share
        found[name] = sorted(dealt[first:round(total * len(dealt))])
        if not found[name]:
            raise UserError(f'--split_ratio leaves no picture of {len(dealt)} to {name}; give it a larger share')
    return found

"""Splits of annotated images: by the names of files and folders, or by ratio."""
import collections
import contextlib
import glob
import hashlib
import math
import os
import re

from common import files
from common.errors import UserError

# Parts of a file name that are not part of the split's name.
_AFFIXES = re.compile(
    r'^(instances|image_info|annotations|labels)[_-]|[_-](annotations|labels|boxes)$')
_EXACT_SPLIT_NAMES = ('train', 'trainval', 'val', 'valid', 'validation', 'test', 'dev')
_SPLIT_NAME = re.compile(r'(train|trainval|val|valid|validation|test|dev)\d*([_-].*)?')


def is_split_name(name):
    """Return whether a name looks like that of a split: train, val2017, test_small, ..."""
    return bool(_SPLIT_NAME.fullmatch(name))


def is_exact_split_name(name):
    """Return whether a name is that of a split without additions: train, valid, Test, ..."""
    return name.lower() in _EXACT_SPLIT_NAMES


def files_by_folder(path, filename):
    """Return the files `<path>/<split>/<filename>` as {split: path of the file}."""
    return {os.path.basename(os.path.dirname(match)): match
            for match in glob.glob(os.path.join(glob.escape(path), '*', filename))}


def files_by_name(paths):
    """Assign annotation files to splits by their names: `instances_train2017.json` -> train2017.

    Returns:
        {split: path}. If there is only one file and its name is not that of a split, such as
        `annotations.json`, its images are not split, and the key is ''.
    """
    stems = {os.path.splitext(os.path.basename(path))[0].removesuffix('.coco'): path
             for path in sorted(paths)}
    by_split = {_AFFIXES.sub('', stem): path for stem, path in stems.items()}
    if len(by_split) == 1 and not is_split_name(next(iter(by_split))):
        return {'': paths[0]}
    return by_split if len(by_split) == len(stems) else stems


def parse_ratio(text):
    """Parse a split ratio: 'train=0.8,val=0.2' -> {'train': .8, 'val': .2}.

    Raises:
        UserError: If a name is invalid or repeated, or the shares are not positive or do not sum to
            1.
    """
    shares = {}
    for part in text.split(','):
        name, _, share = part.partition('=')
        name = name.strip()
        is_valid = re.fullmatch(r'[\w.-]+', name) and name not in shares
        try:
            shares[name] = float(share) if is_valid else math.nan
        except ValueError:
            shares[name] = math.nan
    total = sum(shares.values())
    if not (all(share > 0 for share in shares.values()) and math.isclose(total, 1, abs_tol=1e-6)):
        raise UserError(f'--split_ratio={text}: the shares must be positive and sum to 1. Pass '
                        f'names and shares like train=0.8,val=0.2')
    return shares


def find_identical(paths):
    """Find files with the same content.

    Args:
        paths: {identifier: path}; files that cannot be read are left out.

    Returns:
        {identifier: first identifier with the same content}, for those that have an earlier one.
    """
    by_size, first_with_digest, same_as = collections.defaultdict(list), {}, {}
    for identifier in sorted(paths):
        with contextlib.suppress(OSError):
            by_size[os.path.getsize(paths[identifier])].append(identifier)
    for identifiers in by_size.values():
        for identifier in identifiers if len(identifiers) > 1 else ():
            with contextlib.suppress(OSError):
                digest = hashlib.sha256(files.read_bytes(paths[identifier])).digest()
                first = first_with_digest.setdefault(digest, identifier)
                if first != identifier:
                    same_as[identifier] = first
    return same_as


def assign_to_splits(identifiers, shares, seed, same_as=None):
    """Assign each image to exactly one split, pseudo-randomly.

    The images are ordered by a hash of the seed and the identifier, and the splits are consecutive
    ranges of this order. The result is the same on every machine, and adding a few images moves
    only a few others to another split.

    Args:
        identifiers: Iterable of strings.
        shares: {split: share}; the shares sum to 1.
        seed: Int.
        same_as: {identifier: another one that must be in the same split}, or None.

    Returns:
        {split: sorted list of identifiers}.

    Raises:
        UserError: If a split would be empty.
    """
    same_as = same_as or {}

    def digest(identifier):
        first = same_as.get(identifier, identifier)
        return hashlib.sha256(
            f'{seed}/{first}'.encode(errors='surrogateescape')).digest(), identifier
    ordered = sorted(identifiers, key=digest)
    assigned, start, total = {}, 0, 0.
    for name, share in shares.items():
        total += share
        end = max(round(total * len(ordered)), start)
        while 0 < end < len(ordered) and digest(ordered[end - 1])[0] == digest(ordered[end])[0]:
            end += 1   # identical images stay together
        assigned[name], start = sorted(ordered[start:end]), end
        if not assigned[name]:
            identical = f', {len(same_as)} of which repeat others' if same_as else ''
            raise UserError(f'--split_ratio leaves the split {name} without any of the '
                            f'{len(ordered)} images{identical}. Increase its share')
    return assigned

"""Which class names mean the same class, or its mirror image."""
import re

# VOC's names, and COCO's names of the same classes.
_VOC_NAMES_OF_COCO = {
    'airplane': 'aeroplane', 'motorcycle': 'motorbike', 'couch': 'sofa', 'tv': 'tvmonitor',
    'potted plant': 'pottedplant', 'dining table': 'diningtable'}
_SYNONYMS = {coco.replace(' ', ''): voc for coco, voc in _VOC_NAMES_OF_COCO.items()}
# Words for left and right.
_SIDES = (('left', 'right'), ('links', 'rechts'), ('linke', 'rechte'), ('gauche', 'droite'),
          ('izquierd', 'derech'), ('左', '右'))


def canonical_name(name):
    """Return a name that is equal for all spellings of a class.

    Case, spaces, hyphens and underscores do not matter, and VOC's and COCO's names of a class are
    equal: 'TV monitor', 'tv_monitor' and 'tv' give 'tvmonitor'.
    """
    compact = ''.join(letter for letter in name.lower() if letter not in ' -_')
    return _SYNONYMS.get(compact, compact)


def match(names, other_names):
    """Return pairs (index, index in `other_names`) of the names that mean the same class.

    Equal names are preferred, and each name is in one pair at most.

    Args:
        names: class names; the pairs are in their order.
        other_names: class names of another dataset.
    """
    unused = dict(enumerate(other_names))
    partners = {}
    for same in (lambda a, b: a == b, lambda a, b: canonical_name(a) == canonical_name(b)):
        for index, name in enumerate(names):
            other = next((i for i, candidate in unused.items() if same(name, candidate)), None)
            if index not in partners and other is not None:
                partners[index] = other
                del unused[other]
    return sorted(partners.items())


def mirrored_pairs(names):
    """Return the pairs of names that differ only in left and right: 'left hand', 'right hand'.

    Args:
        names: Iterable of class names.

    Returns:
        List of tuples (left, right), sorted.
    """
    by_lower_case = {name.lower(): name for name in names}
    pairs = set()
    for lower, name in by_lower_case.items():
        for left, right in _SIDES:
            mirrored = re.sub(left, right, lower)
            if mirrored != lower and mirrored in by_lower_case:
                pairs.add((name, by_lower_case[mirrored]))
    return sorted(pairs)

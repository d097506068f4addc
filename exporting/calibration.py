"""The pictures that show an integer net what its numbers reach: encoded, as many as are wanted, spread over all."""
import numpy as np

from datasets import images, records, schema


def from_dataset(dataset, most):
    """Encoded pictures of a split's records, `most` at most."""
    places = [(path, offset) for path, offsets in zip(dataset.files, dataset.offsets, strict=True)
              for offset in offsets]
    return [schema.read_raw(records.read(*place)).encoded for place in spread(places, most)]


def from_files(paths, most):
    """Encoded pictures of files."""
    return [images.read_jpeg(path, upright=True).encoded for path in spread(paths, most)]


def spread(values, most):
    """So many of a list, from its first to its last at even distances; all where there are fewer."""
    if len(values) <= most:
        return list(values)
    return [values[place] for place in np.linspace(0, len(values) - 1, most).round().astype(int)]

"""Run the reference programs of detectors and store samples of their outputs for the tests.

Run it by hand after a change of the weights, the image or a program; tests need only its results.
PyTorch is not one of the project's requirements, so install it in an environment of its own:

    python -m venv /tmp/references
    /tmp/references/bin/pip install -r tests/requirements-references.txt
    /tmp/references/bin/python tests/make_detector_references.py torch

The programs in TensorFlow and OpenCV run in the environment of the project:

    .venv/bin/python tests/make_detector_references.py tensorflow caffe
"""
import importlib
import os
import sys

import detector_references
import numpy as np
import reference_weights

_MAX_VALUES = 9000   # logits and offsets of a fixture, 36 kB: a limit on the sampled anchors
_MIN_CELLS = 5       # of a feature map


def sample_anchors(kind, num_classes):
    """Return the indices of all anchors of some cells of each feature map, corners included."""
    indices, first = [], 0
    for cells, per_cell in zip(kind.cells, kind.anchors_per_cell, strict=True):
        count = max(_MIN_CELLS, _MAX_VALUES // ((num_classes + 4) * per_cell * len(kind.cells)))
        corners = (0, cells - 1, cells * (cells - 1), cells * cells - 1)
        others = np.linspace(0, cells * cells - 1, max(count - len(corners), 0) + 2)[1:-1]
        sampled = np.unique([*corners, *others.astype(int)])
        indices.append(first + (sampled[:, None] * per_cell + np.arange(per_cell)).ravel())
        first += cells * cells * per_cell
    return np.concatenate(indices).astype(np.int32)


def write_fixture(name, program):
    """Run a program and write its anchors, and its outputs for the sampled ones."""
    weights, image = detector_references.make_inputs(name)
    outputs = program(weights, image)
    kind = detector_references.KINDS[name]
    num_anchors = np.dot(np.square(kind.cells), kind.anchors_per_cell)
    assert len(outputs.logits) == len(outputs.offsets) == len(outputs.anchors) == num_anchors
    indices = sample_anchors(kind, outputs.logits.shape[1])
    path = detector_references.fixture_path(name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    np.savez_compressed(
        path, indices=indices,
        logits=outputs.logits[indices].astype(np.float32),
        offsets=outputs.offsets[indices].astype(np.float32),
        # In Fortran order, the repetitions of a grid stand together: compressed to a tenth.
        anchors=np.asfortranarray(outputs.anchors.astype(np.float32)),
        checksum=np.uint32(reference_weights.checksum([*weights.values(), image])))
    print(f'{name}: {len(indices)} of {num_anchors} anchors, {os.path.getsize(path)} bytes, '
          f'largest logit {np.abs(outputs.logits).max():.4g}', flush=True)


if __name__ == '__main__':
    for library in sys.argv[1:]:
        programs = importlib.import_module(f'reference_{library}').PROGRAMS
        for program_name in programs:
            write_fixture(program_name, programs[program_name])

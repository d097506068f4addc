import numpy as np
import pytest

from datasets import shapes, voc


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp('shapes')
    shapes.write_dataset(str(path), seed=3, splits={'train': 12, 'test': 4})
    return path


def test_a_voc_folder_with_annotations_that_can_be_read(folder):
    assert voc.split_names(folder) == ['test', 'train']
    found = [voc.read_annotation(folder, i) for i in voc.read_split(folder, 'train')]
    assert len(found) == 12 and {n for a in found for n in a.names} <= set(shapes.CLASSES)
    assert len({(a.height, a.width) for a in found}) > 6
    assert max(len(a.boxes) for a in found) > 1


def test_the_same_seed_writes_the_same_bytes(folder, tmp_path):
    shapes.write_dataset(str(tmp_path), seed=3, splits={'train': 12, 'test': 4})
    for path in sorted(folder.rglob('*.*')):
        assert path.read_bytes() == (tmp_path / path.relative_to(folder)).read_bytes()


def test_splits_do_not_share_pictures(folder):
    names = [a for split in ('train', 'test') for a in voc.read_split(folder, split)]
    contents = {voc.read_annotation(folder, name).encoded for name in names}
    assert len(contents) == 16


def test_boxes_are_tight():
    pixels, objects = shapes.draw_image(np.random.RandomState(1))
    for _, xmin, ymin, xmax, ymax, hidden, _ in objects:
        assert 1 <= xmin <= xmax <= pixels.shape[1] and 1 <= ymin <= ymax <= pixels.shape[0]
        assert 0 <= hidden <= shapes._MOST_HIDDEN + .01
    mask = shapes._mask('square', 10., 40, 50, 20., 5.)
    rows, columns = np.nonzero(mask > .5)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (5, 14, 20, 29)


@pytest.mark.parametrize('name', shapes.CLASSES)
def test_every_shape_fills_its_square(name):
    corners = shapes.outline(name, 30.)
    np.testing.assert_allclose([corners.min(0), corners.max(0)], [[0, 0], [30, 30]], atol=1e-9)

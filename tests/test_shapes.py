import numpy as np
import pytest
import voc_folder

from datasets import shapes, voc


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp('shapes')
    shapes.write_dataset(str(path), seed=3, splits={'train': 12, 'test': 4})
    return path


def test_annotations_can_be_read(folder):
    assert voc.VocSource(str(folder)).split_names() == ['test', 'train']
    annotations = [read() for read in voc_folder.readers(folder).values()]
    assert len(annotations) == 12
    assert {name for one in annotations for name in one.names} <= set(shapes.CLASSES)
    assert len({(one.height, one.width) for one in annotations}) > 6
    assert max(len(one.boxes) for one in annotations) > 1


def test_same_seed_writes_the_same_bytes(folder, tmp_path):
    shapes.write_dataset(str(tmp_path), seed=3, splits={'train': 12, 'test': 4})
    for path in sorted(folder.rglob('*.*')):
        assert path.read_bytes() == (tmp_path / path.relative_to(folder)).read_bytes()


def test_all_images_differ(folder):
    contents = {read().encoded for split in ('train', 'test')
                for read in voc_folder.readers(folder, split).values()}
    assert len(contents) == 16


def test_boxes_are_inside_the_image():
    pixels, drawn = shapes.draw_image(np.random.RandomState(1))
    for shape in drawn:
        assert 1 <= shape.xmin <= shape.xmax <= pixels.shape[1]
        assert 1 <= shape.ymin <= shape.ymax <= pixels.shape[0]
        assert 0 <= shape.occlusion <= shapes._MAX_OCCLUSION + .01


def test_mask_is_tight():
    mask = shapes._mask('square', 10., 40, 50, 20., 5.)
    rows, columns = np.nonzero(mask > .5)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (5, 14, 20, 29)


@pytest.mark.parametrize('name', shapes.CLASSES)
def test_outline_spans_its_square(name):
    corners = shapes.outline(name, 30.)
    np.testing.assert_allclose([corners.min(0), corners.max(0)], [[0, 0], [30, 30]], atol=1e-9)

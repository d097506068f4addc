import numpy as np
import pytest
from PIL import Image

from visualization import batches

CLASSES = ['dog', 'cat']


def test_a_batch_is_written_as_images_and_arrays(tmp_path):
    batch = {
        'image': np.full([2, 60, 60, 3], 9, np.uint8),
        'filename': np.array([b'cats/a.jpg', b''], object),
        'boxes': np.float32([[[.25, .25, .75, .75], [0, 0, 0, 0]], [[0, 0, 0, 0]] * 2]),
        'labels': np.int32([[2, 0], [0, 0]])}
    out = tmp_path / 'out'
    batches.write_batch(str(out), batch, CLASSES)
    assert sorted(path.name for path in out.iterdir()) == [
        '000_a.png', '001_no_name.png', 'batch.npz']
    with Image.open(out / '000_a.png') as drawn, Image.open(out / '001_no_name.png') as empty:
        assert drawn.size == (60, 60) and len(drawn.getcolors()) > 1
        assert empty.getcolors() == [(3600, (9, 9, 9))]
    arrays = np.load(out / 'batch.npz')
    np.testing.assert_array_equal(arrays['boxes'], batch['boxes'])
    assert arrays['filename'].tolist() == [b'cats/a.jpg', b'']


@pytest.mark.parametrize('name', ['batch.npz', '000_a.png'])
def test_links_are_not_followed(tmp_path, name):
    (tmp_path / 'other').write_text('content')
    (tmp_path / name).symlink_to(tmp_path / 'other')
    batch = {'image': np.zeros([1, 9, 9, 3], np.uint8), 'filename': np.array([b'a.jpg'], object),
             'boxes': np.zeros([1, 0, 4]), 'labels': np.zeros([1, 0], int)}
    with pytest.raises(OSError, match='is a symbolic link'):
        batches.write_batch(str(tmp_path), batch, CLASSES)
    assert (tmp_path / 'other').read_text() == 'content'


@pytest.mark.parametrize('filename, expected', [
    (b'a\0b.jpg', '000_a_b.png'), (b'x' * 255 + b'.jpg', '000_' + 'x' * 247 + '.png')])
def test_file_names_of_a_batch_are_valid(tmp_path, filename, expected):
    batches.write_batch(str(tmp_path), {
        'image': np.zeros([1, 60, 60, 3], np.uint8), 'filename': np.array([filename], object),
        'boxes': np.zeros([1, 0, 4], np.float32), 'labels': np.zeros([1, 0], np.int32)}, CLASSES)
    assert sorted(path.name for path in tmp_path.iterdir()) == [expected, 'batch.npz']


def test_an_example_is_enlarged_and_drawn_with_its_class_names():
    pixels = np.full([60, 60, 3], 9, np.uint8)
    boxes = np.float32([[.25, .25, .75, .75], [0, 0, 0, 0]])
    drawn = batches.draw_example(pixels, boxes, np.int32([2, 0]), CLASSES)
    without_boxes = batches.draw_example(pixels, boxes, np.int32([0, 0]), CLASSES)
    assert drawn.shape == (480, 480, 3) and drawn.dtype == np.uint8
    changed = (drawn != without_boxes).any(axis=2)
    may_change = np.zeros([480, 480], bool)
    may_change[90:360, 120:360] = True   # the box, and the caption above it
    assert changed[may_change].any() and not changed[~may_change].any()
    assert changed[121, 121:359].all() and changed[121:359, 121].all()


def test_a_box_that_is_not_finite_is_not_drawn():
    pixels, boxes = np.full([60, 60, 3], 9, np.uint8), np.float32([[.25, .25, np.nan, .75]])
    np.testing.assert_array_equal(batches.draw_example(pixels, boxes, np.int32([2]), CLASSES),
                                  batches.draw_example(pixels, boxes, np.int32([0]), CLASSES))


def test_a_large_example_keeps_its_size():
    drawn = batches.draw_example(np.zeros([481, 481, 3], np.uint8), np.zeros([1, 4], np.float32),
                                 np.int32([0]), CLASSES)
    assert drawn.shape == (481, 481, 3)

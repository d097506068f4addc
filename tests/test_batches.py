import numpy as np
from PIL import Image

from visualization import batches


def test_a_batch_as_pictures_and_arrays(tmp_path):
    batch = {'image': np.full([2, 60, 60, 3], 9, np.uint8), 'filename': np.array([b'cats/a.jpg', b''], object),
             'boxes': np.float32([[[.25, .25, .75, .75], [0, 0, 0, 0]], [[0, 0, 0, 0]] * 2]),
             'labels': np.int32([[2, 0], [0, 0]])}
    batches.write_batch(str(tmp_path / 'out'), batch, ['dog', 'cat'])
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['000_a.png', '001_no_name.png', 'batch.npz']
    with Image.open(tmp_path / 'out/000_a.png') as boxed, Image.open(tmp_path / 'out/001_no_name.png') as empty:
        assert boxed.size == (60, 60) and len(boxed.getcolors()) > 1 and empty.getcolors() == [(3600, (9, 9, 9))]
    kept = np.load(tmp_path / 'out/batch.npz')
    np.testing.assert_array_equal(kept['boxes'], batch['boxes'])
    assert kept['filename'].tolist() == [b'cats/a.jpg', b'']


def test_an_example_for_the_board_is_enlarged_and_named():
    pixels, box = np.full([60, 60, 3], 9, np.uint8), np.float32([[.25, .25, .75, .75], [0, 0, 0, 0]])
    drawn = batches.draw_example(pixels, box, np.int32([2, 0]), ['dog', 'cat'])
    empty = batches.draw_example(pixels, box, np.int32([0, 0]), ['dog', 'cat'])
    assert drawn.shape == (480, 480, 3) and drawn.dtype == np.uint8
    inside = np.zeros([480, 480], bool)
    inside[90:360, 120:360] = True           # the box, with its name above
    changed = (drawn != empty).any(axis=2)
    assert changed[inside].any() and not changed[~inside].any()
    assert changed[121, 121:359].all() and changed[121:359, 121].all()
    box[0, 2] = np.nan
    np.testing.assert_array_equal(batches.draw_example(pixels, box, np.int32([2, 0]), ['dog', 'cat']), empty)
    assert batches.draw_example(np.zeros([481, 481, 3], np.uint8), box, np.int32([0, 0]), []).shape == (481, 481, 3)

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

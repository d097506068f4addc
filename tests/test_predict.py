"""predict_ssd_network.py as a user calls it: pictures and a video, one by one and in batches, to the end and not."""
import json
import re
import signal

import nano
import numpy as np
import pytest
from PIL import Image

import scripts
from visualization import video

pytestmark = pytest.mark.slow
SCRIPT = 'predict_ssd_network.py'
CLASSES = ['cat', 'dog', 'cow']


def write_video(folder, count):
    """A video of so many frames: the first three pictures, over and over."""
    pictures = nano.pictures(3)
    with video.Writer(str(folder / 'clip.mp4'), {}, 160, 160, 12.5) as writer:
        for index in range(count):
            writer.add(0, pictures[index % 3], [])
    return folder / 'clip.mp4'


@pytest.fixture(scope='module')
def given(tmp_path_factory):
    """A folder with a net in `net`, and in `pictures` five pictures, what is no video, and a video of seven frames."""
    folder = tmp_path_factory.mktemp('given')
    for name in ('net', 'pictures'):
        (folder / name).mkdir()
    nano.write_checkpoint(folder / 'net', CLASSES)
    for name, pixels in zip(('0.jpg', '1.jpg', '2.jpg', '3.png', 'clip.png'), nano.pictures(5), strict=True):
        Image.fromarray(pixels).resize((200, 100)).save(folder / 'pictures' / name, quality=95)
    (folder / 'pictures/broken.avi').write_bytes(b'')
    write_video(folder / 'pictures', 7)
    (folder / 'pictures/clip.json').unlink()
    return folder


def predict(given, out, *more):
    """What the script says and writes: its output, detections.json, clip.json."""
    text = scripts.succeed(SCRIPT, f'--checkpoint_path={given}/net', f'--output_dir={out}', '--min_score=0.3', *more,
                           given / 'pictures')
    return (text, *(json.loads((out / name).read_text()) for name in ('detections.json', 'clip.json')))


def assert_alike(one, other):
    """The same detections up to rounding."""
    assert len(one) == len(other) > 0
    for a, b in zip(one, other, strict=True):
        assert (a['class'], a['label']) == (b['class'], b['label'])
        assert a['score'] == pytest.approx(b['score'], abs=1e-5)
        assert a['box'] == pytest.approx(b['box'], abs=1e-5)


def test_one_by_one_and_in_batches(given, tmp_path):
    text, pictures, clip = predict(given, tmp_path / 'one', '--batch_size=1', '--max_detections=20')
    assert re.search(r'left out: .*broken.avi: is no video', text)
    assert re.search(r'^\d+ detections in 5 pictures and 7 frames, \d+\.\d images/s, drawn and written to', text, re.M)
    _, batched, clip_batched = predict(given, tmp_path / 'batch', '--batch_size=4', '--max_detections=20')
    assert len(pictures) == 5 and pictures.keys() == batched.keys()
    for path in pictures:
        assert_alike(pictures[path], batched[path])
    assert (clip['width'], clip['height'], clip['fps']) == (160, 160, 12.5)
    assert [frame['time'] for frame in clip['frames']] == pytest.approx(np.arange(7) / 12.5)
    for one, other in zip(clip['frames'], clip_batched['frames'], strict=True):
        assert_alike(one['detections'], other['detections'])
    assert sorted(path.name for path in (tmp_path / 'one').iterdir()) == [
        '0.jpg', '1.jpg', '2.jpg', '3.jpg', 'clip.jpg', 'clip.json', 'clip.mp4', 'detections.json']


def test_classes_and_max_detections(given, tmp_path):
    _, pictures, clip = predict(given, tmp_path, '--classes=cow,cat', '--max_detections=2', '--max_images=3')
    assert len(pictures) == len(clip['frames']) == 3
    for found in [*pictures.values(), *(frame['detections'] for frame in clip['frames'])]:
        assert len(found) == 2 and {detection['class'] for detection in found} <= {'cat', 'cow'}
        assert found[0]['score'] >= found[1]['score'] >= .3
    with video.Reader(str(tmp_path / 'clip.mp4')) as drawn, video.Reader(str(given / 'pictures/clip.mp4')) as plain:
        assert (drawn.width, drawn.height, drawn.fps, drawn.num_frames) == (160, 160, 12.5, 3)
        for (_, after), (_, before) in zip(drawn, plain, strict=False):
            assert np.abs(after.astype(int) - before).max() > 100   # boxes


def test_ctrl_c_keeps_what_there_is(given, tmp_path):
    write_video(tmp_path, 2000)
    running = scripts.start(SCRIPT, f'--checkpoint_path={given}/net', f'--output_dir={tmp_path}/out', '--batch_size=2',
                            tmp_path / 'clip.mp4')
    text = ''
    while not re.search(r' [1-9]\d*/2000', text):   # the bar has no ends of lines
        part = running.stdout.read(1)
        assert part, text
        text += part
    running.send_signal(signal.SIGINT)
    text += running.communicate(timeout=60)[0]
    assert running.returncode == 130 and 'error: interrupted' in text
    count = int(re.search(r'results of the first (\d+) frames saved to', text).group(1))
    assert len(json.loads((tmp_path / 'out/clip.partial.json').read_text())['frames']) == count
    assert sum(1 for _ in video.Reader(str(tmp_path / 'out/clip.partial.mp4'))) == count
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['clip.partial.json', 'clip.partial.mp4']


def test_without_opencv(given, tmp_path, monkeypatch):
    (tmp_path / 'cv2.py').write_text('raise ImportError')
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    sentence = scripts.refusal(SCRIPT, f'--checkpoint_path={given}/net', f'--output_dir={tmp_path}/out',
                               given / 'pictures/clip.mp4')
    assert sentence.endswith('clip.mp4 is a video, and videos need OpenCV, which is not installed; run pip install -r '
                             'requirements-video.txt')
    assert 'would overwrite' in scripts.refusal(SCRIPT, f'--checkpoint_path={given}/net',
                                                f'--output_dir={given}/pictures', given / 'pictures/0.jpg')


def test_what_is_nothing_to_look_at(given, tmp_path):
    arguments = [SCRIPT, f'--checkpoint_path={given}/net', f'--output_dir={tmp_path}/out']
    assert 'no pictures or videos given; name files, folders or globs' in scripts.refusal(*arguments)
    for name in ('none.mp4', 'net', '*.gif'):
        assert f"no image or video found at '{given}/{name}'; pass existing files" in scripts.refusal(
            *arguments, given / name)
    assert not (tmp_path / 'out').exists()

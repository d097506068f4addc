"""End-to-end tests of predict_ssd_network.py with images and a video."""
import json
import re
import signal
import time

import nano
import numpy as np
import pytest
from PIL import Image

import scripts
from visualization import video

pytestmark = pytest.mark.slow
SCRIPT = 'predict_ssd_network.py'
CLASS_NAMES = ['cat', 'dog', 'cow']


def write_video(folder, num_frames):
    """Write clip.mp4, which repeats three frames, and return its path."""
    frames = nano.images(3)
    with video.Writer(str(folder / 'clip.mp4'), {}, 160, 160, 12.5) as writer:
        for index in range(num_frames):
            writer.add(0, frames[index % 3], [])
    return folder / 'clip.mp4'


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Folder with a checkpoint in net/, and five images, a video and a broken video in input/."""
    folder = tmp_path_factory.mktemp('data')
    for name in ('net', 'input'):
        (folder / name).mkdir()
    nano.write_checkpoint(folder / 'net', CLASS_NAMES)
    names = ('0.jpg', '1.jpg', '2.jpg', '3.png', 'clip.png')
    for name, pixels in zip(names, nano.images(5), strict=True):
        Image.fromarray(pixels).resize((200, 100)).save(folder / 'input' / name, quality=95)
    for name in ('broken.avi', 'animation.gif'):
        (folder / 'input' / name).write_bytes(b'')
    write_video(folder / 'input', 7)
    (folder / 'input/clip.json').unlink()
    return folder


def predict(data, output_dir, *flags):
    """Run the script on the input folder; return its output, detections.json and clip.json."""
    text = scripts.succeed(SCRIPT, f'--checkpoint_path={data}/net', f'--output_dir={output_dir}',
                           '--min_score=0.3', *flags, data / 'input')
    return (text, *(json.loads((output_dir / name).read_text())
                    for name in ('detections.json', 'clip.json')))


def assert_detections_close(actual, expected):
    """Assert that two lists of detections are not empty, and equal up to rounding."""
    assert len(actual) == len(expected) > 0
    for a, b in zip(actual, expected, strict=True):
        assert (a['class'], a['label']) == (b['class'], b['label'])
        assert a['score'] == pytest.approx(b['score'], abs=1e-5)
        assert a['box'] == pytest.approx(b['box'], abs=1e-5)


def test_detections_do_not_depend_on_the_batch_size(data, tmp_path):
    text, images, clip = predict(data, tmp_path / 'single', '--batch_size=1',
                                 '--max_detections=20')
    assert re.search(r'skipped: .*broken.avi', text)
    assert 'not used, because of the extension: 1 file: animation.gif. Name such files' in text
    assert re.search(r'^\d+ detections in 5 images and 7 video frames, \d+\.\d images/s, '
                     r'written to', text, re.MULTILINE)
    _, batched_images, batched_clip = predict(data, tmp_path / 'batched', '--batch_size=4',
                                              '--max_detections=20')
    assert len(images) == 5 and images.keys() == batched_images.keys()
    for path in images:
        assert_detections_close(images[path], batched_images[path])
    assert (clip['width'], clip['height'], clip['fps']) == (160, 160, 12.5)
    assert [frame['time'] for frame in clip['frames']] == pytest.approx(np.arange(7) / 12.5)
    for frame, batched_frame in zip(clip['frames'], batched_clip['frames'], strict=True):
        assert_detections_close(frame['detections'], batched_frame['detections'])
    assert sorted(path.name for path in (tmp_path / 'single').iterdir()) == [
        '0.jpg', '1.jpg', '2.jpg', '3.jpg', 'clip.jpg', 'clip.json', 'clip.mp4',
        'detections.json']


def test_every_format_has_the_same_detections(data, tmp_path):
    (tmp_path / 'input').mkdir()
    image = Image.open(data / 'input/0.jpg')
    for name in ('a.png', 'b.bmp', 'c.tif'):
        image.save(tmp_path / 'input' / name)
    scripts.succeed(SCRIPT, f'--checkpoint_path={data}/net', f'--output_dir={tmp_path}/out',
                    '--min_score=0.3', '--batch_size=1', data / 'input/0.jpg', tmp_path / 'input')
    of_jpeg, *others = json.loads((tmp_path / 'out/detections.json').read_text()).values()
    assert len(others) == 3 and of_jpeg
    for detections in others:
        assert detections == of_jpeg


def test_classes_and_max_detections(data, tmp_path):
    _, images, clip = predict(data, tmp_path, '--classes=cow,cat', '--max_detections=2',
                              '--max_images=3')
    assert len(images) == len(clip['frames']) == 3
    for detections in [*images.values(), *(frame['detections'] for frame in clip['frames'])]:
        assert len(detections) == 2
        assert {detection['class'] for detection in detections} <= {'cat', 'cow'}
        assert detections[0]['score'] >= detections[1]['score'] >= .3
    with video.Reader(str(tmp_path / 'clip.mp4')) as drawn, \
         video.Reader(str(data / 'input/clip.mp4')) as original:
        assert (drawn.width, drawn.height, drawn.fps, drawn.num_frames) == (160, 160, 12.5, 3)
        for (_, drawn_pixels), (_, pixels) in zip(drawn, original, strict=False):
            assert np.abs(drawn_pixels.astype(int) - pixels).max() > 100   # the boxes


def test_interrupt_keeps_the_results_so_far(data, tmp_path):
    write_video(tmp_path, 2000)
    process = scripts.start(SCRIPT, f'--checkpoint_path={data}/net', f'--output_dir={tmp_path}/out',
                            '--batch_size=2', tmp_path / 'clip.mp4')
    json_path = tmp_path / 'out/clip.partial.json'
    while not json_path.exists() or '"frame": 1,' not in json_path.read_text():
        assert process.poll() is None, process.communicate(timeout=60)[0]
        time.sleep(.1)
    process.send_signal(signal.SIGINT)
    text = process.communicate(timeout=60)[0]
    assert process.returncode == 130 and 'error: interrupted' in text
    num_frames = int(re.search(r'results of the first (\d+) frames saved to', text).group(1))
    partial_json = json.loads((tmp_path / 'out/clip.partial.json').read_text())
    assert len(partial_json['frames']) == num_frames
    assert sum(1 for _ in video.Reader(str(tmp_path / 'out/clip.partial.mp4'))) == num_frames
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == [
        'clip.partial.json', 'clip.partial.mp4']


def test_long_and_unprintable_names(data, tmp_path):
    image = (data / 'input/0.jpg').read_bytes()
    (tmp_path / 'in').mkdir()
    for name in ('x' * 251 + '.png', 'y' * 255, 'a\nb.jpg'):
        (tmp_path / 'in' / name).write_bytes(image)
    (tmp_path / 'in/c\x1b[2J.png').write_bytes(b'not an image')
    text = scripts.succeed(SCRIPT, f'--checkpoint_path={data}/net', f'--output_dir={tmp_path}/out',
                           *sorted((tmp_path / 'in').iterdir()))
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == [
        'a\nb.jpg', 'detections.json', 'x' * 251 + '.jpg', 'y' * 251 + '.jpg']
    assert r'in/c\x1b[2J.png: not an image' in text


def test_video_without_opencv_fails(data, tmp_path, monkeypatch):
    (tmp_path / 'cv2.py').write_text('raise ImportError')
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    message = scripts.rejection(SCRIPT, f'--checkpoint_path={data}/net',
                              f'--output_dir={tmp_path}/out', data / 'input/clip.mp4')
    assert 'clip.mp4 is a video, and videos need OpenCV' in message
    assert message.endswith('pip install -r requirements-video.txt')


def test_input_is_not_overwritten(data):
    assert 'would overwrite the input' in scripts.rejection(
        SCRIPT, f'--checkpoint_path={data}/net', f'--output_dir={data}/input',
        data / 'input/0.jpg')


def test_missing_input_fails(data, tmp_path):
    arguments = [SCRIPT, f'--checkpoint_path={data}/net', f'--output_dir={tmp_path}/out']
    assert 'no images or videos to process' in scripts.rejection(*arguments)
    for name in ('none.mp4', 'net', '*.gif'):
        assert f"no image or video found at '{data}/{name}'" in scripts.rejection(
            *arguments, data / name)
    assert not (tmp_path / 'out').exists()

import json
import os
import pathlib
import struct
import sys

import numpy as np
import pytest

from common.errors import UserError
from common.log import log
from visualization import video

FACTS = {'video': 'a.mp4'}


def write_clip(folder, num_frames=5, size=(64, 48), fps=10.):
    """Write a video of gray frames, each 20 levels brighter than the last; return its path."""
    width, height = size
    with video.Writer(str(folder / 'clip.mp4'), FACTS, height, width, fps) as writer:
        for index in range(num_frames):
            pixels = np.full([height, width, 3], 20 * index, np.uint8)
            writer.add(index / fps, pixels, detections=[index] * index)
    return str(folder / 'clip.mp4')


def write_with_opencv(path, codec, frames):
    """Write frames of 64x48 pixels at 10 frames/s with OpenCV itself."""
    cv2 = video.import_cv2(str(path))
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 10, (64, 48))
    for frame in frames:
        writer.write(frame)
    writer.release()


def file_names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_written_frames_can_be_read(tmp_path):
    with video.Reader(write_clip(tmp_path)) as reader:
        assert (reader.width, reader.height, reader.fps, reader.num_frames) == (64, 48, 10, 5)
        frames = list(reader)
    assert [round(frame.time, 6) for frame in frames] == [0, .1, .2, .3, .4]
    for index, frame in enumerate(frames):
        assert frame.pixels.shape == (48, 64, 3) and frame.pixels.dtype == np.uint8
        np.testing.assert_allclose(frame.pixels, 20 * index, atol=6)   # the codec is lossy


def test_json_has_one_frame_per_line(tmp_path):
    write_clip(tmp_path, num_frames=3)
    text = (tmp_path / 'clip.json').read_text()
    assert json.loads(text) == {'video': 'a.mp4', 'frames': [
        {'frame': 0, 'time': 0, 'detections': []}, {'frame': 1, 'time': .1, 'detections': [1]},
        {'frame': 2, 'time': .2, 'detections': [2, 2]}]}
    assert len(text.splitlines()) == 5
    assert file_names(tmp_path) == ['clip.json', 'clip.mp4']


def test_pixels_are_rgb(tmp_path):
    with video.Writer(str(tmp_path / 'red.mp4'), FACTS, 48, 64, 10) as writer:
        writer.add(0, np.broadcast_to(np.uint8([200, 40, 20]), [48, 64, 3]), [])
    frame, = video.Reader(str(tmp_path / 'red.mp4'))
    np.testing.assert_allclose(frame.pixels.mean((0, 1)), [200, 40, 20], atol=10)


@pytest.mark.parametrize('name, codec', [
    ('a.avi', 'MJPG'), ('a.mov', 'mp4v'), ('a.mkv', 'mp4v'), ('a.webm', 'VP80')])
def test_other_containers_can_be_read(tmp_path, name, codec):
    write_with_opencv(tmp_path / name, codec,
                      [np.full([48, 64, 3], 50 * index, np.uint8) for index in range(5)])
    assert video.is_video(name.upper())
    frames = list(video.Reader(str(tmp_path / name)))
    assert [round(frame.time, 3) for frame in frames] == [0, .1, .2, .3, .4]
    np.testing.assert_allclose([frame.pixels.mean() for frame in frames], [0, 50, 100, 150, 200],
                               atol=6)


def test_frames_of_a_rotated_video_are_upright(tmp_path):
    content = bytearray(pathlib.Path(write_clip(tmp_path)).read_bytes())
    start = content.index(b'tkhd') + 44   # the track's matrix, replaced by a rotation by 90 degrees
    content[start:start + 36] = struct.pack(
        '>9i', 0, 1 << 16, 0, -1 << 16, 0, 0, 48 << 16, 0, 1 << 30)
    (tmp_path / 'rotated.mp4').write_bytes(content)
    with video.Reader(str(tmp_path / 'rotated.mp4')) as reader:
        assert (reader.width, reader.height) == (48, 64)
        assert {frame.pixels.shape for frame in reader} == {(64, 48, 3)}


def test_a_truncated_video_is_read_as_far_as_possible(tmp_path):
    noise = np.random.RandomState(0).randint(0, 256, [48, 64, 3], np.uint8)
    write_with_opencv(tmp_path / 'a.avi', 'MJPG', [noise] * 40)
    content = (tmp_path / 'a.avi').read_bytes()
    (tmp_path / 'half.avi').write_bytes(content[:len(content) // 2])
    reader = video.Reader(str(tmp_path / 'half.avi'))
    assert reader.num_frames > len(list(reader)) > 0


@pytest.mark.parametrize('content', [b'', b'no video'])
def test_an_invalid_file_raises_user_error(tmp_path, content, capfd):
    (tmp_path / 'a.mp4').write_bytes(content)
    with pytest.raises(UserError, match='a.mp4: OpenCV cannot read any frame of this video. Repla'):
        video.Reader(str(tmp_path / 'a.mp4'))
    with pytest.raises(UserError, match='none.mp4: the file does not exist'):
        video.Reader(str(tmp_path / 'none.mp4'))
    os.mkfifo(tmp_path / 'pipe.mp4')
    with pytest.raises(UserError, match='pipe.mp4: not a regular file'):
        video.Reader(str(tmp_path / 'pipe.mp4'))
    assert capfd.readouterr() == ('', '')   # OpenCV prints nothing


def test_a_video_without_frames_raises_user_error(tmp_path):
    write_with_opencv(tmp_path / 'a.mp4', 'mp4v', [])
    with pytest.raises(UserError, match='cannot read any frame'):
        video.Reader(str(tmp_path / 'a.mp4'))


def test_missing_opencv_raises_user_error(monkeypatch):
    monkeypatch.setitem(sys.modules, 'cv2', None)
    with pytest.raises(UserError, match='clip.mp4 is a video, and videos need OpenCV, which is not '
                                        'installed. Run pip install -r requirements-video.txt'):
        video.import_cv2('clip.mp4')


@pytest.fixture
def log_lines(monkeypatch):
    """The lines logged during the test."""
    lines = []
    monkeypatch.setattr(log, 'info', lambda text, *values: lines.append(text % values))
    return lines


@pytest.mark.parametrize('error', [KeyboardInterrupt, OSError])
def test_interrupted_files_are_valid_and_keep_their_partial_names(tmp_path, log_lines, error):
    with pytest.raises(error), \
         video.Writer(str(tmp_path / 'a.mp4'), FACTS, 48, 64, 10) as writer:
        for index in range(3):
            writer.add(index / 10, np.zeros([48, 64, 3], np.uint8), [])
        raise error
    assert file_names(tmp_path) == ['a.partial.json', 'a.partial.mp4']
    assert len(json.loads((tmp_path / 'a.partial.json').read_text())['frames']) == 3
    assert len(list(video.Reader(str(tmp_path / 'a.partial.mp4')))) == 3
    assert log_lines == [f'results of the first 3 frames saved to {tmp_path}/a.partial.json and '
                         f'{tmp_path}/a.partial.mp4']


def test_no_files_are_left_if_interrupted_before_the_first_frame(tmp_path, log_lines):
    with pytest.raises(KeyboardInterrupt), \
         video.Writer(str(tmp_path / 'a.mp4'), FACTS, 48, 64, 10):
        raise KeyboardInterrupt
    assert not file_names(tmp_path) and not log_lines


def test_frames_that_opencv_drops_raise_user_error(tmp_path, log_lines):
    with pytest.raises(UserError, match='only 0 of 1 frames were written, because the disk'), \
         video.Writer(str(tmp_path / 'a.mp4'), FACTS, 48, 64, 10) as writer:
        # OpenCV silently drops frames of another size.
        writer.add(0, np.zeros([50, 50, 3], np.uint8), [])
    assert file_names(tmp_path) == ['a.partial.json'] and len(log_lines) == 1


def test_a_video_that_cannot_be_opened_raises_an_error(tmp_path):
    with pytest.raises(OSError, match='No such file or directory'):
        video.Writer(str(tmp_path / 'no/a.mp4'), FACTS, 48, 64, 10)
    with pytest.raises(UserError, match='cannot write a video of 0x48 pixels at 10 frames/s'):
        video.Writer(str(tmp_path / 'a.mp4'), FACTS, 48, 0, 10)
    assert not file_names(tmp_path)


def test_frames_of_changing_size_are_resized(tmp_path, monkeypatch):
    reader = video.Reader(write_clip(tmp_path, num_frames=2))
    frames = iter([video.Frame(1., np.full([24, 32, 3], 7, np.uint8)), None])
    monkeypatch.setattr(reader, '_read', lambda: next(frames))
    assert [frame.pixels.shape for frame in reader] == [(48, 64, 3)] * 2
